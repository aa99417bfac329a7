"""Displays of fitted mixtures, in scikit-learn's convention; they need matplotlib.

Each class has ``from_estimator``, which computes what is to be drawn and draws it, ``plot``,
which draws it again, and the attributes ``ax_``, ``axes_`` and ``figure_``. The estimator is a
fitted mixture, a Pipeline that ends in one, or a search over one; a feature is a column of the X
that is passed. Experts differ in colour and lightness, and also in dashes or marks, so that
nothing is lost in grey or to the colour-blind. ``DriftMonitor`` tells, without drawing, whether
later rows are as those before.
"""

from .._doors import updates
from ._calibration import CalibrationDisplay
from ._expert import ExpertDisplay
from ._gate import GateDisplay
from ._predictive import PredictiveDisplay
from ._responsibility import ResponsibilityDisplay
from ._selection import ExpertSelectionDisplay

__all__ = [
    "CalibrationDisplay",
    "DriftMonitor",
    "DriftReport",
    "ExpertDisplay",
    "ExpertSelectionDisplay",
    "GateDisplay",
    "PredictiveDisplay",
    "ResponsibilityDisplay",
]


def __getattr__(name):
    if name in ("DriftMonitor", "DriftReport"):
        return getattr(updates(name), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
