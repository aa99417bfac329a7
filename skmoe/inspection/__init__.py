"""Displays of fitted mixtures, in scikit-learn's convention; they need matplotlib.

Each class has ``from_estimator``, which computes and draws, ``plot``, which draws again, and the
attributes ``ax_``, ``axes_`` and ``figure_``. The estimator is a fitted mixture, a Pipeline that
ends in one, or a search over one; a feature is a column of the X that is passed. Experts differ in
colour and lightness, and also in dashes or markers, for print in grey and for colour-blind readers.
"""

from ._calibration import CalibrationDisplay
from ._membership import GateDisplay
from ._predictions import ExpertDisplay, PredictiveDisplay

__all__ = ["CalibrationDisplay", "ExpertDisplay", "GateDisplay", "PredictiveDisplay"]
