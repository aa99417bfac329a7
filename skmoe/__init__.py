"""Mixture of experts for scikit-learn: any estimators as experts, a learned gate, EM."""

from . import _compat  # noqa: F401  # before all else, as it looks at the version of scikit-learn
from ._classifier import MixtureOfExpertsClassifier
from ._compat import show_versions
from ._doors import ready, served
from ._experts.rates import RateRegressor
from ._regressor import MixtureOfExpertsRegressor

__all__ = [
    "DensityForestRegressor",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "RateRegressor",
    "show_versions",
]
__version__ = "0.1.0"
__getattr__, __dir__ = served(__name__, DensityForestRegressor=ready)
