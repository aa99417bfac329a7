"""Experts in training: any estimators, or linear models that are solved all at once."""
