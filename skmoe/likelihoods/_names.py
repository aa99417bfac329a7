"""What likelihoods are called."""

from sklearn.base import clone

from ._counts import NegativeBinomial, Poisson
from ._gamma import Gamma
from ._gaussian import Gaussian
from ._laplace import Laplace
from ._log_normal import LogNormal
from ._student_t import StudentT

BY_NAME = {
    "gamma": Gamma,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "log_normal": LogNormal,
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
    "student_t": StudentT,
}


def unfitted(likelihood):
    """A likelihood to ``start``, from a name or from one with the same parameters."""
    return BY_NAME[likelihood]() if isinstance(likelihood, str) else clone(likelihood)
