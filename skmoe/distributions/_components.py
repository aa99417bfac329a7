"""What components of a mixture have."""

from abc import ABCMeta, abstractmethod

import numpy as np

from ._arrays import diagonal

NARROW = 1e-5  # difference of two logarithms of probabilities, below which a density is more exact


class BaseComponents(metaclass=ABCMeta):
    """Base class of components: one distribution for each row and expert.

    Components of your own derive from this class, keep ``mean`` and ``var``, and implement
    ``logpdf``, ``cdf``, ``sf``, ``ppf`` and ``rvs``; all else has a default.

    Attributes
    ----------
    mean, var : ndarray of shape (n_samples, n_experts) or (n_samples, n_experts, n_outputs)
        Means and variances.
    discrete : bool
        Whether all the probability is on whole numbers.
    has_atoms : bool
        Whether single values have a probability beside values that have a density.
    edges : sequence of ndarray
        Where panels of a quadrature should end, beside quantiles.
    """

    discrete = has_atoms = False
    edges = ()
    nested = None  # mixtures in place of some of them

    @property
    def cov(self):
        """Covariances of the outputs, (n_samples, n_experts, n_outputs, n_outputs)."""
        return diagonal(self.var)

    @abstractmethod
    def logpdf(self, y):
        """Log-density of each component; of what is discrete, the log-probability of the value.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

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
            Where to look.

        Returns
        -------
        cdf : ndarray, shaped like ``mean``
            Probability of a value of at most y, of each output alone.
        """

    @abstractmethod
    def sf(self, y):
        """Survival function of each component, exact in the upper tail but where there is skew.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        sf : ndarray, shaped like ``mean``
            Probability of a value above y, of each output alone.
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
            Of each output alone; of discrete components, the smallest whole number whose
            distribution function is at least q, and -1 for 0.
        """

    @abstractmethod
    def rvs(self, places, random_state):
        """Draw from some of the components.

        Parameters
        ----------
        places : ndarray of shape (n_samples, size)
            For each draw of a row, the number of the component.
        random_state : RandomState
            Draws them.

        Returns
        -------
        draws : ndarray of shape (n_samples, size) or (n_samples, size, n_outputs)
            In the units of the target; of counts whole numbers, as floats.
        """

    def output(self, j):
        """The components of one output alone.

        Parameters
        ----------
        j : int
            Number of the output.

        Returns
        -------
        components : BaseComponents
            Of one output.
        """
        raise TypeError(f"{type(self).__name__} has one output.")

    def logcdf(self, y):
        """Logarithm of the distribution function of each component.

        Of Gaussian, Student-t and Gamma components it is exact in the lower tail.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        logcdf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(y))

    def logsf(self, y):
        """Logarithm of the survival function of each component.

        Of Gaussian, Student-t and Gamma components it is exact in the upper tail.

        Parameters
        ----------
        y : float or ndarray that broadcasts against ``mean``
            Where to look.

        Returns
        -------
        logsf : ndarray, shaped like ``mean``
            Of each output alone.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.sf(y))

    def log_between(self, low, high):
        """Log-probability of an interval, or log-density where its ends are equal.

        It is the difference of two values of the distribution function or, above the median, of
        the survival function, taken in logarithms, so that it is exact in both tails.

        Parameters
        ----------
        low, high : ndarray of shape (n_samples, 1)
            Ends of the interval of each row, which may be infinite. Components are continuous, of
            one output.

        Returns
        -------
        log_between : ndarray of shape (n_samples, n_experts)
            Natural logarithm.
        """
        is_point = low == high
        start, end = np.where(is_point, -np.inf, low), np.where(is_point, np.inf, high)  # quick
        log_low, log_high = self.logcdf(start), self.logcdf(end)
        beyond_low, beyond_high = self.logsf(start), self.logsf(end)
        is_below = log_high < beyond_low
        larger = np.where(is_below, log_high, beyond_low)
        smaller = np.where(is_below, log_low, beyond_high)
        with np.errstate(divide="ignore", invalid="ignore"):
            less = np.where(larger > -np.inf, smaller - larger, -np.inf)
            difference = larger + np.log(-np.expm1(less))
            inside = self.logpdf(np.where(np.isfinite(high - low), low + 0.5 * (high - low), low))
            narrow = inside + np.log(high - low)
        between = np.where(less > -NARROW, narrow, difference)
        return np.where(is_point, inside, between)

    def crps(self, weights, y):
        """CRPS of their mixture in closed form, or None where there is none.

        Parameters
        ----------
        weights : ndarray of shape (n_samples, n_experts)
            Of the components.
        y : ndarray of shape (n_samples, n_values) or (n_samples, n_values, n_outputs)
            Targets.

        Returns
        -------
        crps : ndarray or None
            In the units of the target.
        """
        return None
