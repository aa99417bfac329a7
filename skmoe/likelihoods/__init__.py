"""Likelihoods: how probable a target is, given the prediction of an expert.

A likelihood owns the scales of the experts. :class:`BaseLikelihood` says what it promises, and
:class:`PredictorTerms` what its standard errors need.
"""

from .._doors import effects, error_terms, served
from ._base import BaseLikelihood
from ._categorical import Categorical
from ._counts import Binomial, NegativeBinomial, Poisson
from ._gaussian import Gaussian
from ._positive import Beta, Gamma, InverseGaussian, LogNormal, Weibull
from ._student_t import StudentT

__all__ = [
    "BaseLikelihood",
    "Beta",
    "Binomial",
    "Categorical",
    "ExpertTerms",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "PredictorTerms",
    "RandomEffects",
    "StudentT",
    "Weibull",
]
__getattr__, __dir__ = served(
    __name__, RandomEffects=effects, ExpertTerms=error_terms, PredictorTerms=error_terms
)
