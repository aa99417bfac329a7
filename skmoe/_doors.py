"""The doors to the leaves, folders that the core neither imports when loaded nor needs to fit.

Each function below has the only import of its leaf in the core; ``tests/test_house.py`` holds the
core to that, and fits mixtures without the leaves.
"""
