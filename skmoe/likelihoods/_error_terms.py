"""Derivatives of the log-density of lines with long tails, correlated outputs, and noise."""

import numpy as np
from scipy import linalg, special

from .._numerics.gamma_shapes import log_gamma_ratio
from ._gaussian_terms import GaussianTerms
from ._terms import ExpertTerms, PredictorTerms

SMALL_STEP = 1e-5  # of a parameter, for a difference of scores
LARGEST_DF = 150.0  # beyond, tails are those of Gaussian errors


class StudentTTerms(PredictorTerms):
    """Linear regressions with Student's t errors; one output.

    Attributes
    ----------
    df : float or None
        Degrees of freedom where they are given; None where they are parameters.
    """

    logs_of = ("scale_", "df_")
    standardises = True
    df = None
    at_bound_message = (
        "The scale of {names} is at its floor, or its tails are as light as those of Gaussian "
        "errors: there the likelihood is not at a maximum, and has no standard errors."
    )

    @classmethod
    def of_df(cls, df):
        """The terms for given degrees of freedom, whose only logarithm is that of the scale."""
        return type("StudentTTerms", (cls,), {"logs_of": ("scale_",), "df": df})

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.scale = np.exp(self.logs[0])
        self.nu = np.exp(self.logs[1]) if self.df is None else self.df
        self.z = (self.target - self.predictors) / self.scale
        self.square = self.z**2
        self.working = (self.nu + 1) / (self.nu + self.square)

    def log_density(self):
        nu = self.nu
        constant = log_gamma_ratio(0.5 * nu, 0.5) - 0.5 * np.log(np.pi * nu) - self.logs[0]
        return (constant - 0.5 * (nu + 1) * np.log1p(self.square / nu)).sum(axis=1)

    def first(self):
        slope = self.working * self.z
        by_df = [] if self.df is not None else [self.nu * self._by_df()]
        return [slope / self.scale, slope * self.z - 1, *by_df]

    def _by_df(self):
        nu, square = self.nu, self.square
        of_gamma = special.digamma(0.5 * (nu + 1)) - special.digamma(0.5 * nu)
        of_tails = (nu + 1) * square / (nu * (nu + square)) - np.log1p(square / nu)
        return 0.5 * (of_gamma - 1 / nu + of_tails)

    def second(self):
        nu, square, scale, total = self.nu, self.square, self.scale, self.nu + self.square
        of_location = -self.working * (nu - square) / total / scale**2
        mixed = -2 * self.working * self.z * nu / total / scale
        second = [[of_location, mixed], [mixed, mixed * self.z * scale]]
        if self.df is not None:
            return second
        with_df = nu * self.z * (square - 1) / total**2
        product = nu * total
        of_tails = square * (product - (nu + 1) * (nu + total)) / product**2
        of_gamma = special.polygamma(1, 0.5 * (nu + 1)) - special.polygamma(1, 0.5 * nu)
        bend = 0.25 * of_gamma + 0.5 * (1 / nu**2 + square / product + of_tails)
        of_df = nu * self._by_df() + nu**2 * bend
        return [
            [*second[0], with_df / scale],
            [*second[1], with_df * self.z],
            [with_df / scale, with_df * self.z, of_df],
        ]

    @classmethod
    def at_bound(cls, logs, likelihood):
        at_floor = (np.exp(logs[:, :, 0]) <= 1.001 * likelihood.floor_).any(axis=1)
        if cls.df is not None:
            return at_floor
        return at_floor | (np.exp(logs[:, :, 1]) > LARGEST_DF).any(axis=1)


class CorrelatedTerms(GaussianTerms):
    """Linear regressions of several outputs whose Gaussian errors are correlated.

    Beside its scale, each output has its correlations with all others: each of these is the same
    parameter twice, and has half the derivative in either place.
    """

    n_outputs = 2

    @classmethod
    def of_outputs(cls, n_outputs, *, shared):
        """The terms of so many outputs; ``shared`` where all experts have one covariance."""
        values = tuple(f"correlation_{i}" for i in range(1, n_outputs))
        attributes = {"n_outputs": n_outputs, "values_of": values}
        if shared:
            attributes["shared_logs"] = ("scale_", *values)
        return type("CorrelatedTerms", (cls,), attributes)

    @classmethod
    def other(cls, output, name):
        """The output that a correlation of this name is with."""
        return (output + int(name.removeprefix("correlation_"))) % cls.n_outputs

    @classmethod
    def place_of(cls, predictor, name):
        if name in cls.logs_of:
            return super().place_of(predictor, name)
        return tuple(sorted((predictor, cls.other(predictor, name)))), "correlation"

    @classmethod
    def names_beside(cls, predictor):
        others = [cls.other(predictor, name) for name in cls.values_of]
        return ["log_scale", *(f"correlation with output {j}" for j in others)]

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        covariance = likelihood.covariance_[k]
        scale = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(scale, scale)
        intercept = np.reshape(expert.intercept_, (-1, 1))
        outputs = np.arange(cls.n_outputs)
        others = [correlation[outputs, (outputs + i) % cls.n_outputs] for i in outputs[1:]]
        return np.column_stack([intercept, expert.coef_, np.log(scale), *others])

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.theta = theta
        outputs = np.arange(self.n_outputs)
        correlation = np.eye(self.n_outputs)
        for i, values in enumerate(self.values, 1):
            correlation[outputs, (outputs + i) % self.n_outputs] = values
        self.scale = np.exp(self.logs[0])
        self.covariance = 0.5 * (correlation + correlation.T) * np.outer(self.scale, self.scale)

    def log_density(self):
        sign, log_det = np.linalg.slogdet(self.covariance)
        if sign <= 0 or linalg.eigvalsh(self.covariance)[0] <= 0:  # too long a step
            return np.full(len(self.target), -np.inf)
        squares = (self.residuals @ np.linalg.inv(self.covariance) * self.residuals).sum(axis=1)
        return -0.5 * (squares + log_det + self.n_outputs * np.log(2 * np.pi))

    def score(self):
        precision = np.linalg.inv(self.covariance)
        slope = self.residuals @ precision
        parts = [slope[:, :, None] * self.design[:, None, :]]
        parts.append((slope * self.residuals - 1)[:, :, None])
        outputs = np.arange(self.n_outputs)
        for i in outputs[1:]:
            other = (outputs + i) % self.n_outputs
            by_covariance = slope * slope[:, other] - precision[outputs, other]
            parts.append((0.5 * by_covariance * self.scale * self.scale[other])[:, :, None])
        return np.concatenate(parts, axis=2).reshape(len(self.design), -1)

    def hessian(self, weights):
        steps = SMALL_STEP * np.eye(len(self.theta))
        up, down = (
            [
                weights @ type(self)(self.theta + sign * s, self.design, self.target).score()
                for s in steps
            ]
            for sign in (1, -1)
        )
        hessian = (np.array(up) - np.array(down)) / (2 * SMALL_STEP)
        return 0.5 * (hessian + hessian.T)

    @classmethod
    def at_bound(cls, logs, likelihood):
        return np.asarray(likelihood.at_floor_, dtype=bool)


class NoisyTerms(ExpertTerms):
    """Another likelihood of one output, and a share of uniform noise.

    The last column of the target is the log-density of the noise, in the units of the others.

    Attributes
    ----------
    inner : type
        Terms of the rows that are not noise.
    share : float or None
        Share of noise where it is given; None where it is a parameter.
    """

    at_bound_message = (
        "A scale of {names} is at its floor, or the share of noise at the end of what is allowed: "
        "there the likelihood is not at a maximum, and has no standard errors."
    )

    @classmethod
    def around(cls, inner, share):
        """The terms around those of rows that are not noise.

        The logarithm of the ``share`` is one more parameter, unless it is given.
        """
        logs = inner.logs_of + (() if share is not None else ("share_",))
        shared = (*inner.shared_logs, "share_")
        attributes = {"inner": inner, "share": share, "logs_of": logs, "shared_logs": shared}
        return type("NoisyTerms", (cls,), attributes | {"values_of": inner.values_of})

    def __init__(self, theta, design, target):
        super().__init__(theta, design, target)
        self.place = design.shape[1] + len(self.inner.logs_of)  # of the share
        if self.share is None:
            log_share, theta = min(theta[self.place], -1e-10), np.delete(theta, self.place)
            self.log_share = log_share
        else:
            self.log_share = np.log(self.share)
        self.own = self.inner(theta, design, target[:, :-1])
        self.of_own = np.log(-np.expm1(self.log_share)) + self.own.log_density()
        self.total = np.logaddexp(self.of_own, self.log_share + target[:, -1])
        self.is_own = np.exp(self.of_own - self.total)  # probability that a row is no noise

    @staticmethod
    def n_predictors(target):
        return 1

    @classmethod
    def target_of(cls, likelihood, y, exposure):
        target = cls.inner.target_of(likelihood.likelihood_, y, exposure)
        noise = likelihood.log_uniform(y) - cls.inner.log_jacobian(target)
        return np.column_stack([target, noise])

    @classmethod
    def log_jacobian(cls, target):
        return cls.inner.log_jacobian(target[:, :-1])

    @classmethod
    def of_fit(cls, expert, likelihood, k):
        own = cls.inner.of_fit(expert, likelihood.likelihood_, k)
        if cls.share is not None:
            return own
        place = own.shape[1] - len(cls.inner.values_of)
        return np.insert(own, place, np.log(likelihood.share_), axis=1)

    @classmethod
    def at_bound(cls, logs, likelihood):
        if cls.share is not None:
            return cls.inner.at_bound(logs, likelihood.likelihood_)
        place, (least, most) = len(cls.inner.logs_of), likelihood.share_bounds
        share = np.exp(logs[:, 0, place])
        at_bound = (share <= 1.001 * least) | (share >= 0.999 * most)
        return at_bound | cls.inner.at_bound(np.delete(logs, place, axis=2), likelihood.likelihood_)

    @classmethod
    def mean_of(cls, predictors, beside):
        return cls.inner.mean_of(predictors, cls._of_inner(beside))

    @classmethod
    def slopes_of_mean(cls, predictors, beside):
        slopes = cls.inner.slopes_of_mean(predictors, cls._of_inner(beside))
        if cls.share is None:
            slopes.insert(1 + len(cls.inner.logs_of), np.zeros_like(slopes[0]))
        return slopes

    @classmethod
    def _of_inner(cls, beside):
        return beside if cls.share is not None else np.delete(beside, len(cls.inner.logs_of), 0)

    def log_density(self):
        return self.total

    def score(self):
        score = self.is_own[:, None] * self.own.score()
        if self.share is not None:
            return score
        by_share = 1 - self.is_own - self.is_own * self._odds()
        return np.insert(score, self.place, by_share, axis=1)

    def _odds(self):
        return 1 / np.expm1(-self.log_share)

    def hessian(self, weights):
        own, doubt = self.is_own, self.is_own * (1 - self.is_own)
        score = self.own.score()
        hessian = self.own.hessian(weights * own) + score.T @ (score * (weights * doubt)[:, None])
        if self.share is not None:
            return hessian
        odds = self._odds()
        beside = -score.T @ (weights * doubt) * (1 + odds)
        of_share = weights @ (doubt * (1 + odds) ** 2 - own * odds * (1 + odds))
        hessian = np.insert(hessian, self.place, beside, axis=0)
        return np.insert(hessian, self.place, np.insert(beside, self.place, of_share), axis=1)
