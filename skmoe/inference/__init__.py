"""How sure a fitted mixture is of its parameters, and of whatever is computed from them."""

from ._bootstrap import BootstrapResult, bootstrap
from ._effects import MarginalEffects
from ._stability import Stability
from ._subject_effects import SubjectEffects, subject_effects
from ._summary import MixtureSummary

__all__ = [
    "BootstrapResult",
    "MarginalEffects",
    "MixtureSummary",
    "Stability",
    "SubjectEffects",
    "bootstrap",
    "subject_effects",
]
