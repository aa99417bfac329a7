"""A likelihood for each output."""

import numpy as np

from ..distributions import PerOutputComponents
from ._composed import Composed, copied_parts


class PerOutput(Composed):
    r"""A likelihood of its own for each output.

    .. math:: p(y \mid x) = \sum_k \pi_k(x) \prod_j f_{kj}(y_j \mid \mu_{kj}(x))

    For outputs of different kinds, such as a size and a count. They are independent within a
    regime, and dependent because they share the regimes. A dict given as ``likelihood`` to the
    mixture is the same. The default experts are regressors of each output, as its likelihood has
    them (:class:`~skmoe.OutputsRegressor`); other experts predict all outputs, of counts their
    means.

    Parameters
    ----------
    likelihoods : dict or list of str or likelihood
        One for each output, in their order: {"size": "gaussian", "count": "poisson"}, by the
        names of the columns of y, or a list. Each takes one output and neither trials nor an
        exposure. Under experts that are not the default ones none may have working weights, as
        "student_t" has.

    Attributes
    ----------
    likelihoods_ : list of likelihoods
        Fitted.
    scale_ : ndarray of shape (n_experts, n_outputs)
        Their scales; NaN where a likelihood has none.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import PerOutput
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(500, 1))
    >>> right = X[:, 0] > 0
    >>> size = np.where(right, X[:, 0], -3.0) + 0.2 * rng.normal(size=500)
    >>> count = rng.poisson(np.where(right, 10.0, 2.0))
    >>> moe = MixtureOfExpertsRegressor(
    ...     n_experts=2,
    ...     likelihood=PerOutput(["gaussian", "poisson"]),
    ...     random_state=0,
    ... ).fit(X, np.column_stack([size, count]))
    >>> moe.predict([[-0.5], [0.5]]).round()
    array([[-3.,  2.],
           [ 0., 10.]])
    """

    stands_alone = True  # others know of no outputs of different kinds
    expert_family, takes_exposure, _linear = None, False, True

    def __init__(self, likelihoods):
        self.likelihoods = likelihoods

    @property
    def of_outputs(self):
        """Likelihoods of the outputs, new ones, as they are to be trained."""
        return self._new

    def _given(self):
        given = self.likelihoods
        return given.values() if isinstance(given, dict) else given

    def start(self, y, weight, n_experts):
        likelihoods = self.of_outputs
        n_outputs = y.shape[1] if y.ndim == 2 else 1
        if n_outputs < 2 or n_outputs != len(likelihoods):
            raise ValueError(
                f"PerOutput has {len(likelihoods)} likelihoods, one for each output; y has "
                f"{n_outputs}, and must have two at least."
            )
        for each in likelihoods:
            if each.stands_alone:
                raise ValueError(f"{each} cannot be the likelihood of one of several outputs.")
            if each.scale_estimator() is not None:
                raise ValueError(f'{each}: scales cannot depend on the row; give scale="expert".')
            if each.is_reweighted and not self._linear:
                raise ValueError(
                    f"{each} weighs rows for its output alone, which only the default experts can "
                    "take: leave experts at None."
                )
        columns = zip(likelihoods, y.T, strict=True)
        self.likelihoods_ = [each.start(column, weight, n_experts) for each, column in columns]
        return self

    def _stacked(self, method, y, prediction, otherwise=1.0):
        """A method's answers for all outputs, (n, K, n_outputs), or None where all are None."""
        answers = [
            getattr(each, method)(y[:, j], prediction[:, :, j])
            for j, each in enumerate(self.likelihoods_)
        ]
        if all(answer is None for answer in answers):
            return None
        others = np.broadcast_to(otherwise, prediction.shape)
        answers = [others[:, :, j] if a is None else a for j, a in enumerate(answers)]
        return np.stack(answers, axis=2)

    def start_target(self, y, weight):
        columns = zip(self.of_outputs, y.T, strict=True)
        return np.column_stack([each.start_target(column, weight) for each, column in columns])

    def expert_target(self, y):
        columns = [each.expert_target(y[..., j]) for j, each in enumerate(self.of_outputs)]
        return np.stack(columns, axis=-1)

    @property
    def reweights_outputs(self):
        """Whether some likelihood has working weights, exposures or targets."""
        return self.is_reweighted

    def working_weights(self, y, prediction):
        return self._stacked("working_weights", y, prediction)

    def working_exposure(self, y, prediction):
        return self._stacked("working_exposure", y, prediction)

    def working_target(self, y, prediction):
        return self._stacked("working_target", y, prediction, self.expert_target(y)[:, None])

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        for j, each in enumerate(copied_parts(self)):
            own = _of_output(penalty, j)
            each.update(y[:, j], prediction[:, :, j], weights, own, pooled_rows=pooled_rows)

    def log_density(self, y, prediction, experts=None):
        return sum(
            each.log_density(y[:, j], prediction[:, :, j], experts)
            for j, each in enumerate(self.likelihoods_)
        )

    def components(self, prediction, experts=None):
        outputs = enumerate(self.likelihoods_)
        return PerOutputComponents(
            [each.components(prediction[:, :, j], experts) for j, each in outputs]
        )

    def log_prior(self, penalty):
        outputs = enumerate(self.likelihoods_)
        return sum(each.log_prior(_of_output(penalty, j)) for j, each in outputs)

    @property
    def scale_(self):
        """Scales of the experts; NaN where a likelihood has none."""
        nothing = np.array(np.nan)
        scales = [nothing if each.scale_ is None else each.scale_ for each in self.likelihoods_]
        return np.stack(np.broadcast_arrays(*scales), axis=-1) if _some(scales) else None

    @property
    def at_floor_(self):
        """Whether the scale of each expert is the smallest allowed, for any output."""
        flags = [np.asarray(each.at_floor_, dtype=bool) for each in self.likelihoods_]
        flags = [each for each in flags if each.size]
        return np.any(flags, axis=0) if flags else ()

    @property
    def precision_(self):
        """Weights of squared errors, or half deviances, (..., n_outputs)."""
        precisions = [np.asarray(each.precision_) for each in self.likelihoods_]
        return np.stack(np.broadcast_arrays(*precisions), axis=-1)


def _of_output(penalty, j):
    return penalty if np.ndim(penalty) == 0 else penalty[:, j]


def _some(scales):
    return any(scale.ndim for scale in scales)
