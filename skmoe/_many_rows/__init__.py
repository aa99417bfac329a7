"""Mixtures of rows that are not in memory: by sums over all, or on rows of each expert."""
