"""Training: problems, the loop that drives them, starts, and the trainer."""
