"""Log-logistic durations."""

import numpy as np
from scipy import special

from ..distributions._survival import LogLogisticComponents
from .durations import DurationFamily


class LogLogisticFamily(DurationFamily):
    """Durations whose logarithm has logistic errors; means are those of medians, here."""

    def unit(self, y, predictor, scale=1.0):
        log_odds = scale * (np.log(y) - predictor)
        rate, value = special.expit(log_odds), special.log_expit(log_odds)
        value = (value + special.log_expit(-log_odds)) / scale
        return value, 2 * rate - 1, 2 * scale * rate * (1 - rate)

    def mean_factor(self, scale=1.0):
        angle = np.pi / np.maximum(scale, 1 + 1e-12)
        factor = np.where(scale > 1, angle / np.sin(angle), np.inf)
        return factor, angle / np.tan(angle) - 1

    def first(self, y, predictor, scale=1.0, size=1.0):
        log_odds = scale * (np.log(y) - predictor)
        tilt = np.tanh(0.5 * log_odds)
        return [scale * tilt, 1 - log_odds * tilt]

    def second(self, y, predictor, scale=1.0, size=1.0):
        log_odds = scale * (np.log(y) - predictor)
        tilt, bend = np.tanh(0.5 * log_odds), 0.5 / np.cosh(0.5 * np.clip(log_odds, -700, 700)) ** 2
        mixed = scale * (tilt + bend * log_odds)
        of_shape = -log_odds * tilt - bend * log_odds**2
        return [[-bend * scale**2, mixed], [mixed, of_shape]]

    def components(self, mean, scale=1.0, size=1.0):
        return LogLogisticComponents(mean, np.broadcast_to(scale, mean.shape))
