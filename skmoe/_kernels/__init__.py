"""Compiled kernels; the tests hold each against its NumPy reference."""
