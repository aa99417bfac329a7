"""Laplace errors around the prediction of an expert."""

import numpy as np
from scipy import stats

from ..distributions import ScipyComponents
from ._scaled import RobustErrors


class _LaplaceOfSciPy(type(stats.laplace)):
    """SciPy's, with a logarithm that does not underflow."""

    def _logpdf(self, x):
        return -np.abs(x) - np.log(2)


laplace = _LaplaceOfSciPy(name="laplace")
NEAREST = 1e-6  # of the scale; smaller residuals would have boundless weights


class Laplace(RobustErrors):
    r"""Laplace errors with a scale for each expert: least absolute deviations.

    .. math:: f_k(y \mid x) = \frac{1}{2 b_k} \exp\left(-\frac{|y - \mu_k(x)|}{b_k}\right)

    A row counts with the working weight :math:`b_k / |y - \mu_k(x)|` when expert k is fitted by
    least squares. That raises the likelihood, since the parabola touches the absolute value from
    above; it is EM for a Gaussian whose variance is exponentially distributed [1]_. The
    predictions are conditional medians of each regime. One output only.

    Attributes
    ----------
    scale_ : ndarray of shape (n_experts,)
        Scales b, the mean absolute residuals, in the units of y. The standard deviation is
        :math:`\sqrt{2} b`.
    floor_ : float
        The smallest scale allowed; as for :class:`Gaussian`, from the bulk of y.

    References
    ----------
    .. [1] R. F. Phillips, "Least absolute deviations estimation via the EM algorithm", Statistics
       and Computing 12 (2002) 281-285.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe import MixtureOfExpertsRegressor
    >>> from skmoe.likelihoods import Laplace
    >>> X = np.linspace(0, 1, 50)[:, None]
    >>> y = X[:, 0] + 0.01 * np.sin(50 * X[:, 0])
    >>> y[::10] = 30.0
    >>> moe = MixtureOfExpertsRegressor(n_experts=1, likelihood=Laplace())
    >>> moe = moe.fit(X, y)
    >>> moe.predict([[0.0], [1.0]]).round(1) + 0.0
    array([0., 1.])
    """

    first_steps = 1  # the scale has a closed form

    def start(self, y, weight, n_experts):
        if y.ndim == 2:
            raise ValueError(
                f"Laplace takes one output; y has {y.shape[1]}. StudentT is robust for several."
            )
        return super().start(y, weight, n_experts)

    def _working_weights(self, squares):
        return self.scale_ / np.maximum(np.sqrt(squares), NEAREST * self.scale_)

    def _improve(self, squares, weights, penalty, pooled_rows):
        mass = weights.sum(axis=0)
        total = np.einsum("nk,nk->k", weights, np.sqrt(squares))
        # The maximum of -mass log b - total / b - penalty / (2 b^2).
        root = total + np.sqrt(total**2 + 4 * mass * penalty)
        scale = root / (2 * np.where(mass > 0, mass, 1.0))
        self._set_scale(mass, mass * scale**2, pooled_rows)

    def log_density(self, y, prediction, experts=None, row_scale=None):
        scale = self.scale_ if experts is None else self.scale_[experts]
        if row_scale is not None:
            scale = scale * row_scale
        return -np.abs(y[:, None] - prediction) / scale - np.log(2 * scale)

    def _around(self, prediction, scale, experts):
        return ScipyComponents(laplace(loc=prediction, scale=scale))
