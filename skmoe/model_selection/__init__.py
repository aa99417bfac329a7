"""How many experts, and whether the gate: criteria, cross-validation, likelihood-ratio tests."""

from ._likelihood_ratio import LikelihoodRatioResult, gate_test, n_experts_test
from ._n_experts import ExpertSelection, select_n_experts

__all__ = [
    "ExpertSelection",
    "LikelihoodRatioResult",
    "gate_test",
    "n_experts_test",
    "select_n_experts",
]
