"""How many experts, whether the gate, and one small model in their place.

Criteria, cross-validation, likelihood-ratio tests and distillation.
"""

from ._distil import DistillationLosses, DistilledRegressor
from ._likelihood_ratio import LikelihoodRatioResult, gate_test, n_experts_test
from ._n_experts import ExpertSelection, select_n_experts

__all__ = [
    "DistillationLosses",
    "DistilledRegressor",
    "ExpertSelection",
    "LikelihoodRatioResult",
    "gate_test",
    "n_experts_test",
    "select_n_experts",
]
