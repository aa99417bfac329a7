"""Class probabilities of an expert, calibrated."""

import copy

import numpy as np
from scipy import optimize
from sklearn.base import clone

from .._doors import error_terms
from ._base import BaseLikelihood

SMOOTHING_STEPS = 20


class Categorical(BaseLikelihood):
    r"""Class probabilities of the experts, calibrated out of fold.

    .. math:: p_k(c \mid x) = (1 - \epsilon_k) \, s_{kc}(x)^{1/T_k} / Z + \epsilon_k \, q_c

    with the probabilities s of the experts and the class frequencies q. Temperatures and mixing
    weights are learned from out-of-fold predictions only: for in-sample predictions T is 1 and
    :math:`\epsilon` is fixed.

    Parameters
    ----------
    calibration : {"auto", "temperature", "smoothing"} or None, default="auto"
        What is learned out of fold: :math:`T_k`, with a Gaussian prior on log T of variance 0.1,
        :math:`\epsilon_k`, in [0.001, 0.9], or both ("auto"). None is neither.
    epsilon : float, default=0.001
        Initial value of :math:`\epsilon_k`, or its value if it is not learned.
    n_classes : int, default=0
        Smallest number of classes, for targets that may lack the last ones.

    Attributes
    ----------
    temperature_ : ndarray of shape (n_experts,)
        Temperatures; above 1 for overconfident experts.
    epsilon_ : ndarray of shape (n_experts,)
        Mixing weights of the class frequencies.
    class_share_ : ndarray of shape (n_classes,)
        Weighted shares of the classes in the training rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skmoe.likelihoods import Categorical
    >>> likelihood = Categorical().start(np.array([0, 1, 1, 1]), np.ones(4), 1)
    >>> likelihood.calibrate(np.array([[[1.0, 0.0]]])).round(5)
    array([[[9.9925e-01, 7.5000e-04]]])
    """

    name = "categorical"

    per_expert = ("temperature_", "epsilon_", "_mass")

    can_be_stacked = has_sums = learns_batches = True
    target_dtype = np.dtype(np.intp)

    def __init__(self, *, calibration="auto", epsilon=1e-3, n_classes=0):
        self.calibration = calibration
        self.epsilon = epsilon
        self.n_classes = n_classes

    @property
    def can_be_pooled(self):
        """Whether partial pooling can learn it: where no other calibration was asked for."""
        return self.calibration == "auto"

    @property
    def _learns_temperature(self):
        return self.calibration in ("auto", "temperature")

    @property
    def _learns_smoothing(self):
        return self.calibration in ("auto", "smoothing")

    def fitting(self, *, in_sample, linear):
        # Without calibration in-sample, and without smoothing of linear experts.
        return clone(self).set_params(
            calibration=None if in_sample else self.calibration,
            epsilon=0.0 if linear else self.epsilon,
        )

    def start_target(self, y, weight):
        return None

    def start(self, y, weight, n_experts):
        return self.start_from_sums(np.bincount(y, weight, minlength=self.n_classes), n_experts)

    def start_from_sums(self, counts, n_experts):
        """Like ``start``, for a target whose rows are not in memory.

        Parameters
        ----------
        counts : ndarray of shape (n_classes,)
            Weight of each class.
        n_experts : int
            Number of experts.

        Returns
        -------
        self : Categorical
            With the class shares and uncalibrated experts.
        """
        self._counts = counts
        self.class_share_ = self._counts / self._counts.sum()
        self._mass = np.zeros(n_experts)
        self.temperature_ = np.ones(n_experts)
        self.epsilon_ = np.full(n_experts, float(self.epsilon))
        return self

    def components(self, prediction, experts=None):
        raise TypeError("Classes have no density: use calibrate.")

    def update(self, y, prediction, weights, penalty=0.0, pooled_rows=0.0):
        self.take_mass(weights.sum(axis=0))
        if self._learns_temperature:
            nothing = np.zeros(len(self._mass))
            self.temperature_ = self._temperatures(y, prediction, weights, 1 + nothing, nothing)
        if self._learns_smoothing:
            own = self._own(y, prediction)  # with many classes the powers are what costs
            for _ in range(SMOOTHING_STEPS):
                self._set_epsilon(self._mass_from_prior(y, own, weights))

    def take_mass(self, mass):
        """Set the weights of the experts' rows, without calibration.

        Parameters
        ----------
        mass : ndarray of shape (n_experts,)
            Sums of the weights.
        """
        self._mass = mass

    def point(self):
        # Nothing is learned for experts without calibration.
        if self.calibration is None and self.epsilon == 0:
            return np.empty(0)
        return None

    def at(self, point):
        return copy.copy(self)

    def learn_batch(self, y, prediction, weights, penalty=0.0, *, keep, gain):
        counts = np.bincount(y, weights.sum(axis=1), minlength=len(self._counts))
        from_prior = keep * self.epsilon_ * self._mass
        self._mass = keep * self._mass
        if self._learns_temperature:
            self.temperature_ = self._temperatures(
                y, prediction, gain * weights, self.temperature_, self._mass
            )
        if self._learns_smoothing:
            from_prior += gain * self._mass_from_prior(y, self._own(y, prediction), weights)
        self._mass = self._mass + gain * weights.sum(axis=0)
        if self._learns_smoothing:
            self._set_epsilon(from_prior)
        self._counts = keep * self._counts + gain * counts
        self.class_share_ = self._counts / self._counts.sum()

    def _own(self, y, prediction):
        """Probability of each row's class under each expert, sharpened, not smoothed; (n, K)."""
        return _of_class(_sharpen(prediction, self.temperature_), y)

    def _mass_from_prior(self, y, own, weights):
        """E-step on whether a row is the expert's own: the mass (n_experts,) that is not."""
        other = self.epsilon_ * self.class_share_[y][:, None]
        both = other + (1 - self.epsilon_) * own
        from_prior = np.where(both > 0, other / np.where(both > 0, both, 1.0), 1.0)
        return (weights * from_prior).sum(axis=0)

    def _set_epsilon(self, from_prior):
        share = from_prior / np.where(self._mass > 0, self._mass, 1.0)
        self.epsilon_ = np.where(self._mass > 0, np.clip(share, 1e-3, 0.9), self.epsilon_)

    def _temperatures(self, y, prediction, weights, before, seen):
        """Temperatures (n_experts,), from those ``before`` of rows of the weights ``seen``."""
        each = zip(prediction.swapaxes(0, 1), weights.T, self.epsilon_, before, seen, strict=True)
        return np.array([self._temperature(y, *of_expert) for of_expert in each])

    def _temperature(self, y, prediction, weights, epsilon, before, seen):
        """That of one expert; (n, n_classes) probabilities, (n,) weights."""
        if not (weights > 1e-6).any():
            return before
        loss = self._temperature_loss(y, prediction, weights, epsilon)
        centre = np.log(before)
        curvature = 10.0
        if seen > 0:  # a parabola, which each of the rows seen bends as those given do
            bend = loss(centre + 0.1) - 2 * loss(centre) + loss(centre - 0.1)
            curvature += seen * max(bend / 0.1**2 / weights.sum(), 1e-3)
        return _minimise(lambda log_t: 0.5 * curvature * (log_t - centre) ** 2 + loss(log_t))

    def _temperature_loss(self, y, prediction, weights, epsilon):
        """Minus the log-likelihood as a function of the log of the temperature."""
        used = weights > 1e-6
        y = y[used]
        weights = weights[used]
        with np.errstate(divide="ignore"):
            log_proba = np.log(prediction[used])
        prior = epsilon * self.class_share_[y]

        def loss(log_temperature):
            powered = np.exp(log_proba * np.exp(-log_temperature))
            own = powered[np.arange(len(y)), y] / powered.sum(axis=1)
            return -(weights @ np.log(np.maximum((1 - epsilon) * own + prior, 1e-300)))

        return loss

    @property
    def scale_(self):
        """Temperatures, for ``expert_report``; None before there are any."""
        return vars(self).get("temperature_")

    def calibrate(self, prediction, experts=None):
        """Calibrated class probabilities.

        Parameters
        ----------
        prediction : ndarray of shape (n_samples, n_experts, n_classes)
            Class probabilities of each expert.
        experts : ndarray of shape (n_samples, k), default=None
            Whose predictions they are, where each row has k of the experts; None is all of
            them in order.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_experts, n_classes)
            Sum to one over the classes.
        """
        temperature, epsilon = self._of_experts(experts)
        epsilon = epsilon[..., None]
        return (1 - epsilon) * _sharpen(prediction, temperature) + epsilon * self.class_share_

    def _of_experts(self, experts):
        """Temperatures and smoothing, (K,) or, of the experts of each row, (n, k)."""
        if experts is None:
            everyone = slice(None)
        else:
            everyone = experts
        return self.temperature_[everyone], self.epsilon_[everyone]

    def log_density(self, y, prediction, experts=None):
        temperature, epsilon = self._of_experts(experts)
        own = _of_class(_sharpen(prediction, temperature), y)
        proba = (1 - epsilon) * own + epsilon * self.class_share_[y][:, None]
        return np.log(np.maximum(proba, np.finfo(float).tiny))

    @property
    def n_parameters_(self):
        return len(self.epsilon_) * (self._learns_temperature + self._learns_smoothing)

    def terms(self):
        return error_terms().SoftmaxTerms


def _minimise(loss):
    """Temperature whose logarithm minimises a loss."""
    best = optimize.minimize_scalar(
        loss, bounds=(-2.0, 2.0), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(np.round(best.x, 3)))  # what rounding errors move is not kept


def _sharpen(prediction, temperature):
    """Probabilities to the power 1 / temperature, renormalised; (n, k, C), (k,) or (n, k)."""
    if (temperature == 1).all():
        return prediction
    powered = prediction ** (1 / temperature[..., None])
    return powered / powered.sum(axis=2, keepdims=True)


def _of_class(prediction, y):
    """Probability of each row's own class, (n, K)."""
    return np.take_along_axis(prediction, y[:, None, None], axis=2)[:, :, 0]
