"""What likelihoods are called."""

from sklearn.base import clone

from ._base import BaseLikelihood
from ._beta import Beta
from ._binomial import Binomial
from ._counts import NegativeBinomial, Poisson
from ._gamma import Gamma
from ._gaussian import Gaussian
from ._log_normal import LogNormal
from ._student_t import StudentT
from ._survival import Weibull

BY_NAME = {
    "beta": Beta,
    "binomial": Binomial,
    "gamma": Gamma,
    "gaussian": Gaussian,
    "log_normal": LogNormal,
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
    "student_t": StudentT,
    "weibull": Weibull,
}


def unfitted(likelihood):
    """A likelihood to ``start``, from a name or from one with the same parameters.

    Raises a ValueError if there is none of that name, or it does not derive from
    ``BaseLikelihood``.
    """
    if isinstance(likelihood, str) and likelihood in BY_NAME:
        return BY_NAME[likelihood]()
    if not isinstance(likelihood, BaseLikelihood):
        raise ValueError(
            f"A likelihood must be one of {sorted(BY_NAME)} or an object of a class that derives "
            f"from skmoe.likelihoods.BaseLikelihood; got {likelihood!r}."
        )
    return clone(likelihood)
