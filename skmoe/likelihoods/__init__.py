"""Likelihoods: how probable a target is, given the prediction of an expert.

A likelihood owns the scales of the experts. Within EM it is asked for the log-density of each
row under each expert, and to re-estimate its scales from weighted rows; after EM, for the
distribution around a prediction.
"""

from ._categorical import Categorical
from ._gaussian import Gaussian

__all__ = ["Categorical", "Gaussian"]

# What MixtureOfExpertsRegressor knows by name.
BY_NAME = {"gaussian": Gaussian}
