"""Base class of the components of a mixture."""

from abc import ABCMeta, abstractmethod

import numpy as np

from ._arrays import diagonal

NARROW = 1e-5  # difference of two log-probabilities, below which the density is more exact


class BaseComponents(metaclass=ABCMeta):
    """Base class of components: one distribution for each row and expert.

    Components of your own derive from this class, have ``mean`` and ``var``, and implement
    ``logpdf``, ``cdf``, ``sf``, ``ppf`` and ``rvs``. Everything else has a default.

    Attributes
    ----------
    mean, var : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Means and variances.
    discrete : bool
        Whether the distribution is discrete, on whole numbers.
    """

    discrete = False
    nested = None  # mixtures that replace some of the components

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return diagonal(self.var)

    @abstractmethod
    def logpdf(self, y):
        """Log-density of each component; if discrete, the log-probability of the value.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Values to evaluate at.

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_experts)
            Joint over the outputs; minus infinity where y is impossible.
        """

    @abstractmethod
    def cdf(self, y):
        """Distribution function of each component.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Values to evaluate at.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Probability of a value of at most y, for each output separately.
        """

    @abstractmethod
    def sf(self, y):
        """Survival function of each component, exact in the upper tail unless it is skewed.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Values to evaluate at.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Probability of a value above y, for each output separately.
        """

    @abstractmethod
    def ppf(self, q):
        """Quantile function of each component.

        Parameters
        ----------
        q : float
            A probability.

        Returns
        -------
        quantiles : ndarray, shaped like ``mean``
            For each output separately; for discrete components, the smallest whole number whose
            distribution function is at least q, and -1 for q = 0.
        """

    @abstractmethod
    def rvs(self, places, random_state):
        """Draw from some of the components.

        Parameters
        ----------
        places : ndarray of shape (n_samples, size)
            Number of the component for each draw.
        random_state : RandomState
            Random number generator.

        Returns
        -------
        draws : ndarray of shape (n_samples, size) or (n_samples, size, n_outputs)
            In the units of the target; counts are whole numbers, as floats.
        """

    def output(self, j):
        """The components of one output.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : BaseComponents
            For one output.
        """
        raise TypeError(f"{type(self).__name__} has one output.")

    def logcdf(self, y):
        """Logarithm of the distribution function of each component.

        It is exact in the lower tail for Gaussian, Student-t and Gamma components.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Values to evaluate at.

        Returns
        -------
        logcdf : ndarray, shaped like ``mean``
            For each output separately.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(y))

    def logsf(self, y):
        """Logarithm of the survival function of each component.

        It is exact in the upper tail for Gaussian, Student-t and Gamma components.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Values to evaluate at.

        Returns
        -------
        logsf : ndarray, shaped like ``mean``
            For each output separately.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.sf(y))

    def log_between(self, low, high):
        """Log-probability of an interval, or log-density where its ends are equal.

        Computed as the difference of two values of the distribution function or, above the median,
        of the survival function, in logarithms, so that it is exact in both tails.

        Parameters
        ----------
        low, high : ndarray of shape (n_samples, 1)
            Ends of the interval of each row, which may be infinite. Components have to be
            continuous, with one output.

        Returns
        -------
        log_between : ndarray of shape (n_samples, n_experts)
            Natural logarithm.
        """
        is_point = low == high
        start = np.where(is_point, -np.inf, low)
        end = np.where(is_point, np.inf, high)  # quick
        log_low = self.logcdf(start)
        log_high = self.logcdf(end)
        beyond_low = self.logsf(start)
        beyond_high = self.logsf(end)
        is_below = log_high < beyond_low
        larger = np.where(is_below, log_high, beyond_low)
        smaller = np.where(is_below, log_low, beyond_high)
        with np.errstate(divide="ignore", invalid="ignore"):
            less = np.where(larger > -np.inf, smaller - larger, -np.inf)
            difference = larger + np.log(-np.expm1(less))
            inside = self.logpdf(np.where(np.isfinite(high - low), low + 0.5 * (high - low), low))
            narrow = inside + np.log(high - low)
        return np.where(is_point, inside, np.where(less > -NARROW, narrow, difference))

    def crps(self, weights, y):
        """CRPS of the mixture in closed form, or None if there is no closed form.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Weights of the components.
        y : ndarray of shape (n_samples, n_values) or (n_samples, n_values, n_outputs)
            Targets.

        Returns
        -------
        crps : ndarray or None
            In the units of the target.
        """
        return None
