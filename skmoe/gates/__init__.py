"""Gates: the probability of each expert for each row.

A gate is a classifier whose classes are the experts. It is trained on soft labels, the
responsibilities of the experts for each row, and predicts probabilities. The gates of this package
derive from :class:`BaseGate`; mixtures wrap any other classifier in a :class:`ClassifierGate`.
"""

from ._base import BaseGate
from ._classifier import ClassifierGate, ForestGate
from ._constant import ConstantGate
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
