"""What pooled experts leave of class probabilities: averages over uncertain linear functions."""

import numpy as np
from scipy import special
from scipy.stats import qmc

from ._categorical import Categorical
from ._uncertain import UncertainCoefficients

N_POINTS = 64  # a power of two


class PooledCategorical(UncertainCoefficients, Categorical):
    r"""Class probabilities of experts with partially pooled coefficients.

    The linear functions :math:`f_c` of an expert have a normal posterior, over which its
    probabilities are averaged. Those of two classes have one function, the log-odds, of mean m and
    variance :math:`v = x^T C_k x`, and the average is about [1]_

    .. math:: p_k(1 \mid x) = \Bigl(1 + \exp\frac{-m}{\sqrt{1 + \pi v / 8}}\Bigr)^{-1}.

    Those of more classes are averaged over 64 points of Sobol's sequence, the same for all rows.
    A fit with ``training="pooled"`` makes it.

    Attributes
    ----------
    coef_cov_ : ndarray of shape (n_experts, n_functions, q, q)
        Covariances of the coefficients of ``columns_``, the intercept last; one function for two
        classes, else one for each.
    own_var_, shared_var_ : ndarray of shape (n_functions, n_columns + 1)
        Prior variances of the coefficients of standardised columns, the intercept last: of the
        experts' deviations, and of what they have in common.
    columns_ : StandardColumns
        Makes a design of what the experts see.

    References
    ----------
    .. [1] D. J. C. MacKay, "The evidence framework applied to classification networks", Neural
       Computation 4 (1992) 720-736.
    """

    per_expert = (*Categorical.per_expert, "coef_cov_")

    def __init__(self, *, n_classes=0):
        super().__init__(calibration=None, epsilon=0.0, n_classes=n_classes)

    def take(self, experts, sums):
        self.start_from_sums(self._counts, experts.n_experts)
        self.take_mass(sums.mass)
        self.take_coefficients(experts, experts.posterior.coefficients)

    def for_batches(self):
        return self.into(Categorical(calibration=None, epsilon=0.0))

    def scale_model_(self, X):
        """Standard deviations of the linear functions, (n_samples, n_experts, n_functions)."""
        return np.sqrt(self.variances(X))

    def calibrate(self, prediction, experts=None, row_scale=None):
        """Class probabilities, averaged over what is not known of the experts.

        ``row_scale``, from ``scale_model_``, is (n, K, n_functions), and None is zero.
        """
        prediction = super().calibrate(prediction, experts)  # of experts that were added later
        if row_scale is None:
            return prediction
        if experts is not None:
            row_scale = np.take_along_axis(row_scale, experts[:, :, None], axis=1)
        log_proba = np.log(np.maximum(prediction, np.finfo(float).tiny))
        if row_scale.shape[2] == 1:
            log_odds = log_proba[..., 1:] - log_proba[..., :1]
            log_odds = log_odds / np.sqrt(1 + np.pi / 8 * row_scale**2)
            return special.expit(np.concatenate([-log_odds, log_odds], axis=2))
        points = normal_points(row_scale.shape[2])
        return sum(special.softmax(log_proba + row_scale * z, axis=2) for z in points) / N_POINTS


def normal_points(n_dimensions):
    """Points (N_POINTS, n_dimensions) that are spread as independent normal variables are."""
    uniform = qmc.Sobol(n_dimensions, scramble=False).random(N_POINTS)
    return special.ndtri(uniform + 0.5 / N_POINTS)
