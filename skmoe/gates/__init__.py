"""Gates: which expert answers for a row, and how much each counts.

A gate is a classifier whose classes are the experts. It is trained on soft labels, the
responsibilities of the experts for each row, and it answers with probabilities. Ours derive
from :class:`BaseGate`; any other classifier becomes a gate through :class:`ClassifierGate`,
which the mixtures wrap around it themselves.
"""

from ._base import BaseGate
from ._classifier import ClassifierGate
from ._constant import ConstantGate
from ._forest import ForestGate
from ._gaussian import GaussianGate
from ._softmax import SoftmaxGate
from ._tree import TreeGate

__all__ = [
    "BaseGate",
    "ClassifierGate",
    "ConstantGate",
    "ForestGate",
    "GaussianGate",
    "SoftmaxGate",
    "TreeGate",
]
