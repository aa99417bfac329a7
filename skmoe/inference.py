"""What a fitted mixture says about its parameters, and how sure it is."""

from ._inference import MixtureSummary

__all__ = ["MixtureSummary"]
