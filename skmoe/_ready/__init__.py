"""The list that "diverse" stands for, and what else makes some estimators better experts."""

from . import density_forest, diverse, packages, smooth
from .density_forest import DensityForestRegressor
