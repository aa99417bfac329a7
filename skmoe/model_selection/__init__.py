"""How many experts, by criteria and by cross-validation."""

from ._n_experts import ExpertSelection, select_n_experts

__all__ = ["ExpertSelection", "select_n_experts"]
