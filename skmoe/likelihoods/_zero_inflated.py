"""Counts and amounts with more zeros than the experts account for."""

import copy
from operator import attrgetter

import numpy as np

from .._doors import error_terms
from ..distributions import ZeroInflatedComponents
from ._base import BaseLikelihood, unfitted
from ._means import FamilyLikelihood

FIRST_SHARE = 0.5  # of the zeros, that the point mass starts with where experts may make them too


class ZeroInflated(BaseLikelihood):
    r"""A likelihood with an additional component that is always zero.

    .. math:: p(y \mid x) = \pi_0(x) \, [y = 0] + \sum_k \pi_k(x) \, f_k(y \mid x)

    The component is one more expert, called "zero" and the last of ``named_experts_``, whose share
    :math:`\pi_0` depends on the row through the gate. With one expert this is the zero-inflated
    regression of [1]_, whose logistic part is the default gate. With "gamma", amounts are positive,
    so that all zeros belong to that component, as in two-part and hurdle models.

    Parameters
    ----------
    likelihood : str or likelihood, default="poisson"
        Likelihood of the experts: "poisson", "negative_binomial", "gamma" or an object.

    Attributes
    ----------
    likelihood_ : likelihood
        The fitted likelihood of the experts.

    References
    ----------
    .. [1] D. Lambert, "Zero-inflated Poisson regression, with an application to defects in
       manufacturing", Technometrics 34 (1992) 1-14.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import ZeroInflated
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(2000, 1))
    >>> never = rng.uniform(size=2000) < np.where(X[:, 0] > 0, 0.6, 0.2)
    >>> y = np.where(never, 0, rng.poisson(np.exp(1 + X[:, 0])))
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=1, likelihood=ZeroInflated("poisson")
    ... )
    >>> moe = moe.fit(X, y)
    >>> list(moe.named_experts_)
    ['expert0', 'zero']
    >>> moe.gate_proba([[-0.5], [0.5]])[:, -1].round(1)
    array([0.3, 0.6])
    """

    zero_expert = "zero"
    is_reweighted = True  # zeros move between a single expert and the zero component
    looks_at_target = True
    # Those of the other likelihood.
    n_parameters_, precision_, scale_, at_floor_ = (
        property(attrgetter(f"likelihood_.{name}"))
        for name in ("n_parameters_", "precision_", "scale_", "at_floor_")
    )

    def __init__(self, likelihood="poisson"):
        self.likelihood = likelihood

    @property
    def _new(self):
        """The other likelihood, unfitted, as it is to be trained."""
        return unfitted(self.likelihood).fitting(in_sample=True, linear=self._linear)

    @property
    def expert_family(self):
        """Family of the default experts."""
        return self._new.expert_family

    @property
    def takes_exposure(self):
        """Whether means may be multiplied by an exposure."""
        return self._new.takes_exposure

    def start(self, y, weight, n_experts):
        inner = self._new
        if not isinstance(inner, FamilyLikelihood) or inner.family.is_rate:
            raise ValueError(
                "ZeroInflated takes a likelihood of counts or positive targets: 'poisson', "
                f"'negative_binomial' or 'gamma'; got {self.likelihood!r}."
            )
        safe, weight = self._without_zeros(y, weight)
        self.likelihood_ = inner.start(safe, weight, n_experts - 1)
        self._inner = np.append(np.arange(n_experts - 1), -1)
        return self

    @property
    def _has_zeros(self):
        """Whether the other likelihood has zeros, too."""
        return bool(self.expert_family.supports(0.0))

    def _without_zeros(self, y, weight):
        """Targets and weights for the other likelihood: zeros that it cannot have count nothing."""
        if self._has_zeros or y.ndim > 1:
            return y, weight
        is_zero = y == 0
        return np.where(is_zero, 1.0, y), np.where(is_zero, 0.0, weight)

    @property
    def transform(self):
        """What gives experts that cannot make a zero another value for it; None for others."""
        return None if self._has_zeros else _mean_for_zero

    def start_target(self, y, weight):
        # If the other likelihood has no zeros, they are replaced by the smallest positive value.
        if not self._has_zeros:
            y = np.where(y == 0, np.min(y, where=y > 0, initial=np.inf), y)
        return self._new.start_target(y, weight)

    def start_beside(self, resp, y):
        # Half of each zero is the zero component's; all of it, if the other likelihood has no
        # zeros.
        share = np.where(y == 0, FIRST_SHARE if self._has_zeros else 1.0, 0.0)[:, None]
        return np.hstack([resp * (1 - share), share])

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        y, _ = self._without_zeros(y, 0.0)
        self.likelihood_ = copy.copy(self.likelihood_)  # EM keeps the one before
        self.likelihood_.update(y, prediction[:, :-1], weights[:, :-1], penalty, pooled_rows)

    def log_density(self, y, prediction, experts=None):
        inner, is_zero, prediction = self._places(prediction, experts)
        own = self.likelihood_.log_density(y, prediction, inner)
        return np.where(is_zero, np.where(y == 0, 0.0, -np.inf)[:, None], own)

    def components(self, prediction, experts=None):
        inner, is_zero, prediction = self._places(prediction, experts)
        return ZeroInflatedComponents(self.likelihood_.components(prediction, inner), is_zero)

    def _places(self, prediction, experts):
        """Numbers in the other likelihood, who is the zero component, and positive means for it."""
        experts = np.arange(len(self._inner)) if experts is None else experts
        inner = np.broadcast_to(self._inner[experts], prediction.shape)
        is_zero = inner < 0
        return np.maximum(inner, 0), is_zero, np.where(is_zero, 1.0, prediction)

    def working_exposure(self, y, prediction):
        working = self.likelihood_.working_exposure(y, prediction[:, :-1])
        return None if working is None else np.hstack([working, np.ones((len(y), 1))])

    def log_prior(self, penalty):
        return self.likelihood_.log_prior(penalty)

    def point(self):
        return self.likelihood_.point()

    def at(self, point):
        twin = copy.copy(self)
        twin.likelihood_ = self.likelihood_.at(point)
        return twin

    def reorder(self, order):
        self.likelihood_ = copy.copy(self.likelihood_)
        self.likelihood_.reorder(np.asarray(order)[:-1])

    def of_expert(self, k):
        return (self, k) if self._inner[k] < 0 else self.likelihood_.of_expert(self._inner[k])

    def terms(self):
        # The zero component has no parameters.
        return error_terms().ZeroTerms


def _mean_for_zero(y):
    """The target with the mean of the others in place of zeros, which hardly count."""
    positive = y > 0
    return np.where(positive, y, y[positive].mean() if positive.any() else 1.0)
