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


PROMISED = (
    "get_params",
    "start",
    "update",
    "log_density",
    "components",
    "log_prior",
    "reorder",
    "extended",
)


def unfitted(likelihood):
    """A likelihood to ``start``, from a name or from one with the same parameters.

    Parameters
    ----------
    likelihood : str or likelihood
        As the user gave it.

    Returns
    -------
    likelihood : likelihood
        A new one.

    Raises
    ------
    ValueError
        If there is none of that name, or if it lacks a method that likelihoods promise.
    """
    if isinstance(likelihood, str) and likelihood in BY_NAME:
        return BY_NAME[likelihood]()
    missing = [name for name in PROMISED if not hasattr(likelihood, name)]
    if isinstance(likelihood, (str, type)) or len(missing) == len(PROMISED):
        raise ValueError(
            f"A likelihood must be one of {sorted(BY_NAME)} or an object as skmoe.likelihoods has "
            f"them; got {likelihood!r}."
        )
    if missing:
        raise ValueError(
            f"{type(likelihood).__name__} is no likelihood: it lacks {', '.join(missing)}. "
            "skmoe.likelihoods lists what a likelihood promises."
        )
    return clone(likelihood)
