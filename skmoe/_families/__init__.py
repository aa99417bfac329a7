"""Families of errors around a linear predictor, each stated once."""
