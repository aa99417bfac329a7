"""Experts fitted on all rows: stacks of different models, and a generalist with specialists."""
