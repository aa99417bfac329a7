"""The predictive distribution of a mixture, with the methods of :mod:`scipy.stats`.

A :class:`MixtureDistribution` has weights and components. Components have one distribution for each
row and expert, with the interface of :class:`BaseComponents`.
"""

from ._components import BaseComponents
from ._counts import (
    AveragedBinomialComponents,
    BinomialComponents,
    NegativeBinomialComponents,
    PoissonComponents,
)
from ._gaussian import CorrelatedComponents, GaussianComponents
from ._made_of_others import NestedComponents
from ._mixture import MixtureDistribution
from ._scipy import ScipyComponents
from ._student_t import StudentTComponents

__all__ = [
    "AveragedBinomialComponents",
    "BaseComponents",
    "BinomialComponents",
    "CorrelatedComponents",
    "GaussianComponents",
    "MixtureDistribution",
    "NegativeBinomialComponents",
    "NestedComponents",
    "PoissonComponents",
    "ScipyComponents",
    "StudentTComponents",
]
