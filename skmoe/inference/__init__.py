"""How sure a fitted mixture is of its parameters, and of whatever is computed from them."""

from .._doors import effects, served
from ._bootstrap import BootstrapResult, bootstrap
from ._effects import MarginalEffects
from ._stability import Stability
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
__getattr__, __dir__ = served(__name__, SubjectEffects=effects, subject_effects=effects)
