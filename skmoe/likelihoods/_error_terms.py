"""Log-densities of lines with long tails and correlated outputs."""

import numpy as np
from scipy import linalg

from .._numerics.gamma_shapes import log_gamma_ratio
from ._gaussian_terms import GaussianTerms
from ._terms import PredictorTerms

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

    def log_densities(self):
        scale = np.exp(self.logs[0])
        nu = np.exp(self.logs[1]) if self.df is None else self.df
        constant = log_gamma_ratio(0.5 * nu, 0.5) - 0.5 * np.log(np.pi * nu) - self.logs[0]
        squares = ((self.target - self.predictors) / scale) ** 2
        return constant - 0.5 * (nu + 1) * np.log1p(squares / nu)

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
        self.theta, self.residuals = theta, self.target - self.predictors
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
