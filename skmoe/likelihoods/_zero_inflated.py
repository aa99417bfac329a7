"""Counts and amounts with more zeros than the experts account for."""

import copy

import numpy as np
from sklearn.base import clone

from ..distributions import ZeroInflatedComponents
from ._base import BaseLikelihood
from ._means import PositiveMeans
from ._names import unfitted
from ._terms import ExpertTerms

FIRST_SHARE = 0.5  # of the zeros, that the point mass starts with where experts may make them too


class ZeroInflated(BaseLikelihood):
    r"""Another likelihood, and a component that is always zero.

    .. math:: p(y \mid x) = \pi_0(x) \, [y = 0] + \sum_k \pi_k(x) \, f_k(y \mid x)

    The component is one more expert behind the gate, called "zero" and the last of
    ``named_experts_``, so that its share :math:`\pi_0` depends on the row. With one expert this is
    the zero-inflated regression of [1]_, whose logistic part is the default gate. Amounts under
    "gamma" are positive, so that all zeros are of that component, as in two-part and hurdle
    models.

    Parameters
    ----------
    likelihood : str or likelihood, default="poisson"
        Of the experts: "poisson", "negative_binomial", "gamma" or an object.

    Attributes
    ----------
    likelihood_ : likelihood
        Of the experts, fitted.

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
    _fitting = {"in_sample": True, "linear": False}

    def __init__(self, likelihood="poisson"):
        self.likelihood = likelihood

    def _unfitted(self):
        return unfitted(self.likelihood)

    def fitting(self, *, in_sample, linear):
        """This likelihood as it is to be trained.

        Parameters
        ----------
        in_sample : bool
            Whether predictions are made for rows that the experts saw.
        linear : bool
            Whether experts are solved by a linear family.

        Returns
        -------
        likelihood : ZeroInflated
            Around the other likelihood as it is to be trained.
        """
        twin = clone(self)
        twin._fitting = {"in_sample": in_sample, "linear": linear}
        return twin

    def start(self, y, weight, n_experts):
        """Look at the target once before EM.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.
        n_experts : int
            Number of experts, the zero component included.

        Returns
        -------
        self : ZeroInflated
            With a likelihood that has looked at what is not zero.

        Raises
        ------
        ValueError
            If the target or the likelihood is not of this kind.
        """
        inner = self._unfitted()
        if not isinstance(inner, PositiveMeans):
            raise ValueError(
                "ZeroInflated takes a likelihood of counts or positive targets: 'poisson', "
                f"'negative_binomial' or 'gamma'; got {self.likelihood!r}."
            )
        inner = inner.fitting(**self._fitting)
        safe, weight = self._without_zeros(y, weight)
        self.likelihood_ = inner.start(safe, weight, n_experts - 1)
        self._inner = np.append(np.arange(n_experts - 1), -1)
        return self

    @property
    def _has_zeros(self):
        """Whether the other likelihood has zeros, too."""
        return self.glm != "gamma"

    def _without_zeros(self, y, weight):
        """Targets and weights for the other likelihood: zeros that it cannot have count nothing."""
        if self._has_zeros or y.ndim > 1:
            return y, weight
        is_zero = y == 0
        return np.where(is_zero, 1.0, y), np.where(is_zero, 0.0, weight)

    @property
    def transform(self):
        """What gives experts that cannot make a zero another value for it; None for others."""
        return _mean_for_zero if self.glm == "gamma" else None

    def start_target(self, y, weight):
        """The target as starts of EM see it.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target, divided by the exposure.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.

        Returns
        -------
        target : ndarray of shape (n_samples,)
            As the other likelihood has it. If that has no zeros, they are replaced by the smallest
            positive value.
        """
        if not self._has_zeros:
            y = np.where(y == 0, np.min(y, where=y > 0, initial=np.inf), y)
        return self._unfitted().start_target(y, weight)

    def start_beside(self, resp, y):
        """Responsibilities to start from, the zero component's in the last column.

        Parameters
        ----------
        resp : ndarray of shape (n_samples, n_experts - 1)
            Of the others.
        y : ndarray of shape (n_samples,)
            Target.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_experts)
            Half of each zero belongs to the zero component; all of it, if the other likelihood has
            no zeros.
        """
        share = np.where(y == 0, FIRST_SHARE if self._has_zeros else 1.0, 0.0)[:, None]
        return np.hstack([resp * (1 - share), share])

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        """Re-estimate what the other likelihood has.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        prediction : ndarray of shape (n_samples, n_experts)
            Mean of each expert, 0 of the zero component.
        weights : ndarray of shape (n_samples, n_experts)
            Responsibilities times weights of the rows.
        penalty : float or ndarray of shape (n_experts - 1,), default=0.0
            Penalty of the coefficients of each expert.
        pooled_rows : float, default=0.0
            Rows that each expert borrows from all.
        """
        y, _ = self._without_zeros(y, 0.0)
        self.likelihood_ = copy.copy(self.likelihood_)
        self.likelihood_.update(y, prediction[:, :-1], weights[:, :-1], penalty, pooled_rows)

    def log_density(self, y, prediction, experts=None):
        """Log-density of each row under each expert.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        prediction : ndarray of shape (n_samples, n_experts)
            Mean of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose means they are; None is all experts in order.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Of the zero component 0 where y is zero, and minus infinity elsewhere.
        """
        inner, is_zero, prediction = self._places(prediction, experts)
        own = self.likelihood_.log_density(y, prediction, inner)
        return np.where(is_zero, np.where(y == 0, 0.0, -np.inf)[:, None], own)

    def components(self, prediction, experts=None):
        """Distributions around the predictions.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts)
            Mean of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose means they are; None is all experts in order.

        Returns
        -------
        components : ZeroInflatedComponents
            One for each row and expert.
        """
        inner, is_zero, prediction = self._places(prediction, experts)
        return ZeroInflatedComponents(self.likelihood_.components(prediction, inner), is_zero)

    def _places(self, prediction, experts):
        """Numbers in the other likelihood, who is the zero component, and positive means for it."""
        experts = np.arange(len(self._inner)) if experts is None else experts
        inner = np.broadcast_to(self._inner[experts], prediction.shape)
        is_zero = inner < 0
        return np.maximum(inner, 0), is_zero, np.where(is_zero, 1.0, prediction)

    def working_exposure(self, y, prediction):
        """Factors of the exposure with which experts are fitted.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Target.
        prediction : ndarray of shape (n_samples, n_experts)
            Mean of each expert.

        Returns
        -------
        working : ndarray of shape (n_samples, n_experts) or None
            As the other likelihood has them.
        """
        working = self.likelihood_.working_exposure(y, prediction[:, :-1])
        return None if working is None else np.hstack([working, np.ones((len(y), 1))])

    @property
    def is_reweighted(self):
        """True: zeros move between a single expert and the zero component."""
        return True

    def point(self):
        """What has been learned, as numbers of any sign, for EM to extrapolate.

        Returns
        -------
        point : ndarray of shape (n_numbers,) or None
            None where that is not known.
        """
        return self.likelihood_.point()

    def at(self, point):
        """A likelihood that has learned something else.

        Parameters
        ----------
        point : ndarray of shape (n_numbers,)
            As ``point`` returns it.

        Returns
        -------
        likelihood : ZeroInflated
            A new one.
        """
        twin = copy.copy(self)
        twin.likelihood_ = self.likelihood_.at(point)
        return twin

    def log_prior(self, penalty):
        """What the penalty of the experts takes from the log-likelihood.

        Parameters
        ----------
        penalty : float or ndarray of shape (n_experts - 1,)
            Penalty of the coefficients of each expert.

        Returns
        -------
        log_prior : float
            As the other likelihood has it.
        """
        return self.likelihood_.log_prior(penalty)

    def reorder(self, order):
        """Renumber the experts in place: new expert ``j`` is old expert ``order[j]``.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            A permutation that leaves the zero component the last.
        """
        self.likelihood_ = copy.copy(self.likelihood_)
        self.likelihood_.reorder(np.asarray(order)[:-1])

    def of_expert(self, k):
        """Whose parameters those of an expert are.

        Parameters
        ----------
        k : int
            Number of the expert.

        Returns
        -------
        likelihood : BaseLikelihood
            The other one, but for the zero component, which has no parameters.
        k : int
            Number of the expert there.
        """
        return (self, k) if self._inner[k] < 0 else self.likelihood_.of_expert(self._inner[k])

    def terms(self):
        """Class of the derivatives of the log-density of the zero component.

        Returns
        -------
        terms : type
            Without parameters.
        """
        return ZeroTerms

    @property
    def glm(self):
        """Family of the default experts."""
        return self._unfitted().glm

    @property
    def takes_exposure(self):
        """Whether means may be multiplied by an exposure."""
        return self._unfitted().takes_exposure

    @property
    def precision_(self):
        """Weights of half deviances, as the other likelihood has them."""
        return self.likelihood_.precision_

    @property
    def n_parameters_(self):
        """Number of free parameters, those of the other likelihood."""
        return self.likelihood_.n_parameters_


def _mean_for_zero(y):
    """The target with the mean of the others in place of zeros, which hardly count."""
    positive = y > 0
    return np.where(positive, y, y[positive].mean() if positive.any() else 1.0)


class ZeroTerms(ExpertTerms):
    """A target that is always zero; there are no parameters."""

    @staticmethod
    def n_predictors(target):
        return 0

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        return np.empty((0, 0))

    @classmethod
    def mean_of(cls, predictors, beside):
        return np.zeros((len(predictors), 1))

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        return [np.empty((len(predictors), 1, 0))]

    def log_density(self):
        return np.where(self.target[:, 0] == 0, 0.0, -np.inf)

    def score(self):
        return np.empty((len(self.target), 0))

    def hessian(self, weights):
        return np.empty((0, 0))
