"""Linear experts whose coefficients are pooled, and their number by the evidence."""
