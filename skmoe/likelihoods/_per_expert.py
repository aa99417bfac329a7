"""A likelihood for each expert."""

import numpy as np

from ..distributions import GaussianComponents, MixtureDistribution, NestedComponents
from ._composed import Composed, copied_parts, with_parts


class PerExpert(Composed):
    r"""A likelihood of its own for each expert.

    .. math:: p(y \mid x) = \sum_k \pi_k(x) \, f_k(y \mid \mu_k(x))

    Such as regimes of which one has outliers, or counts of which some are Poisson's and some
    are more spread. A list given as ``likelihood`` to the mixture is the same.

    Densities and probabilities cannot be weighed against each other: all likelihoods are of
    counts, all of positive targets, or neither. There is no ``partial_fit``, and ``add_expert``
    is refused, since the new expert would have no likelihood.

    Parameters
    ----------
    likelihoods : list of str or likelihood
        One for each expert, in the order of ``experts``. Clones keep this order, and are not put
        in that of their loads.

    Attributes
    ----------
    likelihoods_ : list of likelihoods
        Fitted.
    scale_ : ndarray of shape (n_experts,) or (n_experts, n_outputs)
        Their scales; NaN where a likelihood has none.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(400, 1))
    >>> tails = np.where(
    ...     X[:, 0] > 0, rng.standard_t(2, size=400), rng.normal(size=400)
    ... )
    >>> y = np.where(X[:, 0] > 0, 3 + X[:, 0], -3.0) + 0.1 * tails
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=2, likelihood=["gaussian", "student_t"], random_state=0
    ... ).fit(X, y)
    >>> [type(each).__name__ for each in moe.likelihood_.likelihoods_]
    ['Gaussian', 'StudentT']
    """

    keeps_order = True

    def __init__(self, likelihoods):
        self.likelihoods = likelihoods

    @property
    def n_experts(self):
        """Number of experts that it is for."""
        return len(self.likelihoods) if isinstance(self.likelihoods, list) else None

    def _given(self):
        return self.likelihoods if isinstance(self.likelihoods, list) else []

    def start(self, y, weight, n_experts):
        if not isinstance(self.likelihoods, list) or len(self.likelihoods) != n_experts:
            raise ValueError(
                f"likelihoods must be a list of {n_experts}, one for each expert; got "
                f"{self.likelihoods!r}."
            )
        likelihoods = self._new
        if len({each.expert_family for each in likelihoods}) > 1:
            raise ValueError(
                "likelihoods must be all of counts, all of positive targets, or neither; got "
                f"{self.likelihoods!r}."
            )
        for each in likelihoods:
            if each.stands_alone:
                raise ValueError(f"{each} stands for all experts alike; a list cannot hold it.")
            if each.changes_target:
                raise ValueError(
                    f"{each} has experts learn something else than y, and cannot stand beside "
                    "likelihoods that do not."
                )
            if each.scale_estimator() is not None:
                raise ValueError(f'{each}: scales cannot depend on the row; give scale="expert".')
        self.likelihoods_ = [each.start(y, weight, 1) for each in likelihoods]
        return self

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        # Unlike likelihoods lend each other no rows.
        for k, each in enumerate(copied_parts(self)):
            each.update(y, prediction[:, [k]], weights[:, [k]], self._of_one(penalty, k))

    @staticmethod
    def _of_one(penalty, k):
        return penalty if np.ndim(penalty) == 0 else penalty[[k]]

    def log_density(self, y, prediction, experts=None):
        log_density = np.empty(prediction.shape[:2])
        for each, (rows, places) in self._in_turn(prediction, experts):
            one = each.log_density(y[rows], prediction[rows, places][:, None])
            log_density[rows, places] = one[:, 0]
        return log_density

    def _in_turn(self, prediction, experts):
        """Each likelihood, with rows and places of the predictions that are its expert's."""
        if experts is None:
            experts = np.broadcast_to(np.arange(len(self.likelihoods_)), prediction.shape[:2])
        for k, each in enumerate(self.likelihoods_):
            where = np.nonzero(experts == k)
            if len(where[0]):
                yield each, where

    def components(self, prediction, experts=None):
        parts = []
        for each, (rows, places) in self._in_turn(prediction, experts):
            own = each.components(prediction[rows, places][:, None])
            parts.append((rows, places, MixtureDistribution(np.ones((len(rows), 1)), own)))
        everywhere = np.ones((1, *prediction.shape[1:]))  # a scale that nothing is left of
        return NestedComponents(GaussianComponents(prediction, everywhere), parts)

    def start_target(self, y, weight):
        # As the first likelihood has it; with outliers drawn in where one is robust.
        each = self._new
        first = next((one for one in each if one.is_robust), each[0])
        return first.start_target(y, weight)

    def working_weights(self, y, prediction):
        return self._working("working_weights", y, prediction)

    def working_exposure(self, y, prediction):
        return self._working("working_exposure", y, prediction)

    def working_target(self, y, prediction):
        return self._working("working_target", y, prediction, y[:, None])

    def _working(self, method, y, prediction, otherwise=1.0):
        columns = [
            getattr(each, method)(y, prediction[:, [k]]) for k, each in enumerate(self.likelihoods_)
        ]
        if all(column is None for column in columns):
            return None
        others = np.full((len(y), 1), otherwise)
        return np.concatenate([others if c is None else c for c in columns], axis=1)

    def log_prior(self, penalty):
        parts = enumerate(self.likelihoods_)
        return sum(each.log_prior(self._of_one(penalty, k)) for k, each in parts)

    def reorder(self, order):
        self.likelihoods_ = [self.likelihoods_[k] for k in order]

    def of_expert(self, k):
        return self.likelihoods_[k].of_expert(0)

    def extended(self, other, k):
        return with_parts(self, [*self.likelihoods_, other.likelihoods_[k]])

    @property
    def floor_(self):
        """Smallest means, or standard deviations, of all experts."""
        return min(each.floor_ for each in self.likelihoods_)

    @floor_.setter
    def floor_(self, floor):
        for each in self.likelihoods_:
            each.floor_ = floor

    @property
    def scale_(self):
        """Scales of the experts; NaN where a likelihood has none."""
        scales = [
            np.full(1, np.nan) if each.scale_ is None else each.scale_ for each in self.likelihoods_
        ]
        return np.concatenate(np.broadcast_arrays(*scales))

    @property
    def at_floor_(self):
        """Whether the scale of each expert is the smallest allowed; (n_experts,)."""
        at_floor = [np.ravel(each.at_floor_) for each in self.likelihoods_]
        return np.concatenate([at if len(at) else np.zeros(1, bool) for at in at_floor])

    @property
    def precision_(self):
        precisions = [np.atleast_1d(each.precision_) for each in self.likelihoods_]
        return np.concatenate(np.broadcast_arrays(*precisions))
