"""How many experts, by criteria and cross-validation, and one small model in their place."""

from ._distil import DistillationLosses, DistilledRegressor
from ._n_experts import ExpertSelection, select_n_experts

__all__ = [
    "DistillationLosses",
    "DistilledRegressor",
    "ExpertSelection",
    "select_n_experts",
]
