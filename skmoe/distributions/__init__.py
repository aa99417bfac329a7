"""The predictive distribution of a mixture, in the words of :mod:`scipy.stats`.

:class:`MixtureDistribution` weighs components: of every kind there is one for each row and expert,
and :class:`BaseComponents` says what all of them have.
"""

from ._components import BaseComponents
from ._counts import (
    AveragedBinomialComponents,
    BinomialComponents,
    NegativeBinomialComponents,
    PoissonComponents,
)
from ._gaussian import CorrelatedComponents, GaussianComponents
from ._made_of_others import NestedComponents, ZeroInflatedComponents
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
    "ZeroInflatedComponents",
]
