r"""What a family of errors is: elementwise functions of a linear predictor and a scale.

With the size e of a row, an exposure or trials, and the scale s of an expert, the log-density of a
target y given its linear predictor :math:`\eta` is

.. math:: \log f(y \mid \eta, s) = e \, s \, u(y / e, \eta, s) + c(s) + d(y, e)

where u is about minus half a unit deviance [1]_, in most families the same for all scales. Experts
on arrays, sweeps over sums, pooled experts, standard errors and likelihoods are written over these
functions.

References
----------
.. [1] P. McCullagh and J. A. Nelder, "Generalized Linear Models", 2nd edition, Chapman and Hall
   (1989), chapter 2.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy import special

NODES, MASSES = np.polynomial.hermite_e.hermegauss(10)
MASSES = MASSES / MASSES.sum()
SMALLEST_VARIANCE = 1e-6  # added to that of each predictor, for a quotient
LARGEST_LOG_MEAN = 500.0
FIRST_RATES = 1e-3, 1 - 1e-3
DRAWN_IN = 0.5  # events, or successes and failures, that each row is given more for a start


class Family(ABC):
    """Errors around a linear predictor; two of one class are the same.

    Attributes
    ----------
    scale : str or None
        Name of the attribute of a likelihood that holds the scales; None where there are none.
    has_precision : bool
        Whether scales are precisions: factors of u.
    unit_has_scale : bool
        Whether u depends on the scale.
    has_density : bool
        Whether targets have a density in their units, and not a probability.
    at_bound_message : str or None
        Why there are no standard errors where a scale is as large as is allowed.
    is_rate : bool
        Whether means are rates, between 0 and 1.
    estimator : type or None
        Class of scikit-learn whose ``fit`` minimises the deviance and a penalty for each unit of
        weight, ``alpha``; None for rates, which a LogisticRegression learns.
    """

    scale = at_bound_message = estimator = None
    has_precision = unit_has_scale = has_density = False
    is_rate = False

    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return hash(type(self))

    @abstractmethod
    def link(self, mean):
        """Linear predictor of a mean."""

    @abstractmethod
    def mean(self, predictor):
        """Mean of a target of size one."""

    @abstractmethod
    def mean_slope(self, predictor):
        """Derivative of the mean by the predictor."""

    @abstractmethod
    def unit(self, y, predictor, scale=1.0):
        """The function u for a target of size one, its slope, and minus its second derivative."""

    def normaliser(self, scale):
        """The function c of the scale."""
        return 0.0

    def normaliser_slopes(self, scale):
        """Its first and second derivative."""
        return 0.0, 0.0

    @abstractmethod
    def constant(self, y, size=1.0):
        """The function d of the target."""

    def supports(self, y):
        """Whether the target is possible."""
        return np.ones(np.shape(y), dtype=bool)

    def statistic(self, value, y, mean, variance, scale):
        """What scales are learned from, for a normal predictor; by default ``value``, that of u."""
        return value

    def best_scale(self, mean, scale=1.0):
        """Scales of the highest likelihood, or of a higher one, from weighted means of these."""
        return None

    # By means, whoever predicts them -------------------------------------------------------------

    @abstractmethod
    def log_density(self, y, mean, scale=1.0, size=1.0):
        """Log-density of a target of any size, whose mean this is."""

    @abstractmethod
    def components(self, mean, scale=1.0, size=1.0):
        """Components around means."""

    # By linear predictors, for standard errors --------------------------------------------------

    def first(self, y, predictor, scale=1.0, size=1.0):
        """Derivatives of the log-density by the predictor and the logarithm of the scale."""
        value, slope, _ = self.unit(y / size, predictor, scale)
        if self.scale is None:
            return [size * slope]
        return [size * scale * slope, scale * (size * value + self.normaliser_slopes(scale)[0])]

    def second(self, y, predictor, scale=1.0, size=1.0):
        """Second derivatives, in the same order, a symmetric matrix."""
        _, slope, curvature = self.unit(y / size, predictor, scale)
        bend, mixed = -size * scale * curvature, size * scale * slope
        if self.scale is None:
            return [[bend]]
        by_log = self.first(y, predictor, scale, size)[1]
        return [[bend, mixed], [mixed, by_log + scale**2 * self.normaliser_slopes(scale)[1]]]

    # Where linear predictors are normal, for partial pooling ------------------------------------

    def expected_unit(self, y, mean, variance, scale=1.0):
        """Expectation of u under a normal predictor, its slope, and ``-2 d / d variance``."""
        std = np.sqrt(variance + SMALLEST_VARIANCE)
        predictors = mean[..., None] + std[..., None] * NODES
        value, slope, _ = self.unit(y[..., None], predictors, np.asarray(scale)[..., None])
        curvature = np.maximum(-(slope @ (MASSES * NODES)) / std, 0.0)
        return value @ MASSES, slope @ MASSES, curvature

    def first_predictor(self, y, size=1.0):
        """Linear predictor of a row whose mean is about its target."""
        return self.link((y + DRAWN_IN) / (size + DRAWN_IN))

    def first_curvature(self, curvature):
        """Curvature there, of which that of u may be too small for a start."""
        return curvature

    def unit_of(self, mean):
        """Mean relative to which predictors are, so that priors do not depend on units."""
        return 1.0

    def relative(self, y, size, unit):
        """Target and size in such units."""
        return y, size

    @abstractmethod
    def averaged(self, mean, variance, scale, size):
        """Components around means whose predictors have a variance."""


class LogLink(Family):
    """Positive means, whose logarithm is linear."""

    def link(self, mean):
        return np.log(mean)

    def mean(self, predictor):
        return np.exp(np.clip(predictor, -LARGEST_LOG_MEAN, LARGEST_LOG_MEAN))

    mean_slope = mean

    def unit_of(self, mean):
        return mean


class LogitLink(Family):
    """Rates, whose log-odds are linear."""

    is_rate = True

    def link(self, mean):
        return special.logit(np.clip(mean, *FIRST_RATES))

    def mean(self, predictor):
        return special.expit(predictor)

    def mean_slope(self, predictor):
        return special.expit(predictor) * special.expit(-predictor)

    def first_predictor(self, y, size=1.0):
        return special.logit((y + DRAWN_IN) / (size + 2 * DRAWN_IN))
