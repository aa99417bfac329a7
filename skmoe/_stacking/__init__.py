"""Experts fitted on all rows: stacks of unlike ones, and specialists beside a generalist."""
