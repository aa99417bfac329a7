"""Components of Student's t distribution."""

import numpy as np
from scipy import special

from .._numerics.gamma_shapes import log_gamma_ratio
from ._arrays import take
from ._components import BaseComponents
from ._student_t_crps import log_t, student_t_crps

TINY = 1e-290  # a probability below it loses digits


class StudentTComponents(BaseComponents):
    """Components of Student's t distribution, one for each row and expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Centres, which are the means.
    scale : ndarray that broadcasts against ``mean``
        Scales, such as one for each expert, (n_experts,) or (n_experts, n_outputs). Several
        outputs are one multivariate t variable within an expert: uncorrelated, not independent.
    df : float or ndarray that broadcasts to (n_samples, n_experts)
        Degrees of freedom, above 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.distributions import StudentTComponents
    >>> mean, scale = np.array([[-1.0, 1.0]]), np.array([0.5, 2.0])
    >>> StudentTComponents(mean, scale, 4.0).cdf(-1.0).round(3)
    array([[0.5  , 0.187]])
    """

    def __init__(self, mean, scale, df):
        self.mean = mean
        self.scale = np.broadcast_to(scale, mean.shape)
        self.df = np.broadcast_to(df, mean.shape[:2])

    def _df(self):
        """Degrees of freedom, shaped to broadcast against ``mean``."""
        return self.df[:, :, None] if self.mean.ndim == 3 else self.df

    @property
    def var(self):
        """Variances, shaped like ``mean``; infinite for two degrees of freedom and fewer."""
        df = self._df()
        finite = df > 2
        return np.where(finite, self.scale**2 * df / np.where(finite, df - 2, 1.0), np.inf)

    def logpdf(self, y):
        distance, log_scale, n_outputs = ((y - self.mean) / self.scale) ** 2, np.log(self.scale), 1
        if self.mean.ndim == 3:
            n_outputs = self.mean.shape[2]
            distance, log_scale = distance.sum(axis=2), log_scale.sum(axis=2)
        half = 0.5 * (self.df + n_outputs)
        constant = log_gamma_ratio(0.5 * self.df, 0.5 * n_outputs)
        constant = constant - 0.5 * n_outputs * np.log(np.pi * self.df)
        return constant - log_scale - half * np.log1p(distance / self.df)

    def cdf(self, y):
        return special.stdtr(self._df(), (y - self.mean) / self.scale)

    def sf(self, y):
        return special.stdtr(self._df(), (self.mean - y) / self.scale)

    def logcdf(self, y):
        return log_tail(self._df(), (y - self.mean) / self.scale)

    def logsf(self, y):
        return log_tail(self._df(), (self.mean - y) / self.scale)

    def ppf(self, q):
        if q in (0.0, 1.0):
            return np.full(self.mean.shape, -np.inf if q == 0.0 else np.inf)
        return self.mean + self.scale * special.stdtrit(self._df(), q)

    def crps(self, weights, y):
        """Continuous ranked probability score of their mixture, to some 1e-6 of the scales.

        It is the mean distance from the target less half that of two independent draws [1]_. The
        former is in closed form; the latter, for two components, is an integral by the trapezoidal
        rule, or of many pairs interpolated between such, good to 1e-4 of the score.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Of the mixture.
        y : float or ndarray that broadcasts against ``mean``
            Targets.

        Returns
        -------
        crps : ndarray of shape (n_samples,) or None
            None for several outputs, and for less than two degrees of freedom.

        References
        ----------
        .. [1] A. Jordan, F. Krueger and S. Lerch, "Evaluating probabilistic forecasts with
           scoringRules", Journal of Statistical Software 90 (2019).
        """
        if self.mean.ndim == 3 or self.df.min() < 2:
            return None
        return student_t_crps(self, weights, y)

    def output(self, j):
        return StudentTComponents(self.mean[..., j], self.scale[..., j], self.df)

    def rvs(self, places, random_state):
        mean, scale, df = (take(values, places) for values in (self.mean, self.scale, self.df))
        normal = random_state.standard_normal(mean.shape)
        stretch = np.sqrt(df / random_state.chisquare(df))
        return mean + scale * normal * (stretch[..., None] if mean.ndim == 3 else stretch)


def log_tail(df, z):
    """Logarithm of Student's t distribution function; where it underflows, its asymptote."""
    z = np.asarray(z)
    tail = special.stdtr(df, z)
    with np.errstate(divide="ignore"):
        log_tail = np.array(np.log(tail))
    far = (tail < TINY) & np.isfinite(z)
    if far.any():
        df, z = np.broadcast_to(df, z.shape)[far], z[far]
        log_tail[far] = log_t(z, df) + np.log(-z / df - 1 / z)
    return log_tail


class IndependentStudentT(StudentTComponents):
    """Student's t components whose several outputs are independent within an expert.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_experts, n_outputs)
        Centres.
    scale : ndarray that broadcasts against ``mean``
        Scales.
    df : ndarray that broadcasts against ``mean``
        Degrees of freedom.
    """

    def __init__(self, mean, scale, df):
        self.mean = mean
        self.scale, self.df = np.broadcast_to(scale, mean.shape), np.broadcast_to(df, mean.shape)

    def _df(self):
        return self.df

    def logpdf(self, y):
        y = np.broadcast_to(y, np.broadcast_shapes(np.shape(y), self.mean.shape))
        outputs = range(self.mean.shape[2])
        return sum(self.output(j).logpdf(y[..., j]) for j in outputs)

    def output(self, j):
        return StudentTComponents(self.mean[..., j], self.scale[..., j], self.df[..., j])

    def rvs(self, places, random_state):
        draws = [self.output(j).rvs(places, random_state) for j in range(self.mean.shape[2])]
        return np.stack(draws, axis=2)
