r"""What a family of errors is: elementwise functions of a linear predictor and a scale.

With the size e of a row, an exposure or trials, and the scale s of an expert, the log-density of a
target y given its linear predictor :math:`\eta` is

.. math:: \log f(y \mid \eta, s) = e \, s \, u(y / e, \eta, s) + c(s) + d(y, e)

where u is minus half a unit deviance [1]_, up to a function of y, and in most families the same for
all scales. Families without scales have s = 1. Experts on
arrays, sweeps over sums, pooled experts, standard errors and likelihoods are written over these
functions. ``BetaFamily`` has all of a family that has no closed forms.

References
----------
.. [1] P. McCullagh and J. A. Nelder, "Generalized Linear Models", 2nd edition, Chapman and Hall
   (1989), chapter 2.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy import special

from .._numerics.statistics import LOGS_OF_MEANS

NODES, MASSES = np.polynomial.hermite_e.hermegauss(10)
MASSES = MASSES / MASSES.sum()
SMALLEST_VARIANCE = 1e-6  # added to that of each predictor, for a quotient
LARGEST_LOG_MEAN = 500.0
LEAST_RATE = 1e-3
LARGEST_RATE = 1 - 1e-3  # that a logit is taken of
PSEUDO_COUNT = 0.5  # of events, or successes and failures, added to each row for a start


class Family(ABC):
    """Errors around a linear predictor.

    Attributes
    ----------
    scale : str or None
        Name of the attribute of a likelihood that holds the scales; None where there are none.
    scale_has_unit : bool
        Whether scales have the unit of the target. They are learned in multiples of the mean
        target then, ``target_unit``, so that caps on scales and penalties mean the same in any
        unit; likelihoods show them in the target's.
    target_unit : float
        What scales are multiples of: 1, or what ``in_unit`` took.
    unit_has_scale : bool
        Whether u depends on the scale.
    scale_is_slope : bool
        Whether the log-density depends on the predictor times the scale.
    has_density : bool
        Whether targets have a density in their units, and not a probability.
    at_bound_message : str or None
        Why there are no standard errors where a scale is as large as is allowed.
    is_rate : bool
        Whether means are rates, between 0 and 1.
    kernel : int or None
        Kind of a compiled ``StepsRun``, if there is one.
    estimator : callable or None
        Makes the default experts, generalised linear models of scikit-learn's or of a subclass,
        whose ``fit`` minimises the deviance and a penalty for each unit of weight, ``alpha``; None
        for rates, which a LogisticRegression learns.
    """

    scale = at_bound_message = estimator = kernel = None
    unit_has_scale = has_density = scale_is_slope = False
    is_rate = scale_has_unit = False
    target_unit = 1.0

    def in_unit(self, mean):
        """This family with scales in multiples of a mean target, where they have its unit."""
        if not self.scale_has_unit:
            return self
        family = type(self)()
        family.target_unit = float(mean)
        return family

    @abstractmethod
    def link(self, mean):
        """Linear predictor of a mean."""

    @abstractmethod
    def mean(self, predictor):
        """Mean of a target of size one."""

    @abstractmethod
    def unit(self, y, predictor, scale=1.0):
        """The function u for a target of size one, its slope, and its curvature.

        The curvature, of Newton's steps, must not be negative: minus the second derivative, or
        what is expected of it.
        """

    def sloped(self, y, predictor, scale):
        """``unit`` without its curvature, where that takes time of its own."""
        return self.unit(y, predictor, scale)[:2]

    def normaliser(self, scale):
        """The function c of the scale."""
        return 0.0

    def normaliser_bend(self, scale):
        """Its second derivative."""
        return 0.0

    @abstractmethod
    def constant(self, y, size=1.0):
        """The function d of the target."""

    def statistic(self, value, y, mean, variance, scale):
        """What scales are learned from, by its mean over the rows; by default the value of u.

        ``value`` is u, or what is expected of it where the predictor is normal with this mean and
        variance.
        """
        return value

    def best_scale(self, mean, scale=1.0):
        """Scales of the highest likelihood, or of a higher one, from means of ``statistic``."""
        return None

    # By means, whoever predicts them -------------------------------------------------------------

    def log_density(self, y, mean, scale=1.0, size=1.0):
        """Log-density of a target of any size; the mean is that of the target, size included."""
        return self.components(mean, scale, size).logpdf(y)

    @abstractmethod
    def components(self, mean, scale=1.0, size=1.0):
        """Components around means."""

    # Where linear predictors are normal, for partial pooling ------------------------------------

    def expected_unit(self, y, mean, variance, scale=1.0):
        """Expectation of u under a normal predictor, with slope and curvature.

        The slope is that by the mean of the predictor; the curvature, minus twice that by its
        variance, must not be negative.
        """
        std = np.sqrt(variance + SMALLEST_VARIANCE)
        predictors = mean[..., None] + std[..., None] * NODES
        value, slope = self.sloped(y[..., None], predictors, np.asarray(scale)[..., None])
        return value @ MASSES, slope @ MASSES, np.maximum(-(slope @ (MASSES * NODES)) / std, 0.0)

    def first_predictor(self, y, size=1.0):
        """Linear predictor of a row whose mean is about its target."""
        return self.link((y + PSEUDO_COUNT) / (size + PSEUDO_COUNT))

    def first_curvature(self, curvature):
        """Curvature at ``first_predictor``, from that of u, which may be too small for a start."""
        return curvature

    def unit_of(self, mean):
        """Mean relative to which predictors are, so that priors do not depend on units."""
        return 1.0

    def averaged(self, mean, variance, scale, size):
        """Components around means whose predictors have a variance.

        The mean is that at the mean of the predictor, and of the target, size included.
        """
        raise TypeError(f"{type(self).__name__} does not implement averaged.")


class LogLink(Family):
    """Positive means, whose logarithm is linear."""

    def link(self, mean):
        return np.log(mean)

    def mean(self, predictor):
        return np.exp(np.clip(predictor, *LOGS_OF_MEANS))

    def unit_of(self, mean):
        return mean


class LogitLink(Family):
    """Rates, whose log-odds are linear."""

    is_rate = True

    def link(self, mean):
        return special.logit(np.clip(mean, LEAST_RATE, LARGEST_RATE))

    def mean(self, predictor):
        return special.expit(predictor)

    def first_predictor(self, y, size=1.0):
        return special.logit((y + PSEUDO_COUNT) / (size + 2 * PSEUDO_COUNT))
