"""Mixture of experts for scikit-learn: any estimators as experts, a learned gate, EM."""

from ._classifier import MixtureOfExpertsClassifier
from ._experts.fold_ensemble import FoldEnsemble
from ._regressor import MixtureOfExpertsRegressor

__all__ = ["FoldEnsemble", "MixtureOfExpertsClassifier", "MixtureOfExpertsRegressor"]
__version__ = "0.1.0"
