r"""Gate, scales and tails, learned from experts that are each fitted on all rows.

.. math:: p(y \mid x) = \sum_k \pi_k(x) \, t_\nu(y; \mu_k(x), \sigma_k(x)), \qquad
    \log \sigma_k(x) = \log s_k + b \, u(x), \quad s_k^2 = e^{2 c_k} + \mathrm{floor}^2

with a softmax gate :math:`\pi`, out-of-fold predictions :math:`\mu_k`, and u the logarithm of the
expected size of the error, less its mean. All parameters maximise one penalised log-likelihood, by
L-BFGS. The target is in units of its standard deviation.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, logsumexp, stdtr
from sklearn.ensemble import HistGradientBoostingRegressor

from .._experts.fitting import inside_offering
from .._kernels._exp import log
from .._numerics.trees import Trees
from .gate import GATE_PENALTIES, choose_penalty, cross_fitted, gate_objective, log_gate_of

# Chosen by cross-validated log-score of unlike experts on small tables.
SLOPE_PENALTY = 4.0
SHARE_ROWS = 0.1  # of all components, that shares to start from are smoothed with
SCALE_ROWS = 0.5  # that the prior of each log scale counts as
LOG_EXCESS = np.log(4.0)  # prior mode of log(df - 2): six degrees of freedom
COARSE = {"maxiter": 200, "ftol": 1e-5, "gtol": 1e-4}  # tolerances of L-BFGS
PRECISE = {"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8}
MOST_COPIES = 10  # copies of a row, on average, in place of weights
SIZE_FLOOR = 1e-3  # least size of an error, in root mean squares of all
BOOSTING = {
    "loss": "gamma",
    "max_iter": 60,
    "learning_rate": 0.05,
    "max_leaf_nodes": 6,
    "l2_regularization": 5.0,
    "early_stopping": False,
    "random_state": 0,
}


@dataclass(frozen=True)
class TargetUnits:
    """The target in units of its standard deviation."""

    middle: float  # mean of the target
    unit: float  # its standard deviation, or a thousand times the smallest scale if that is more
    floor: float  # the smallest scale, in these units

    @classmethod
    def of(cls, y, weight, floor):
        """Units of y (n,), whose smallest scale is ``floor``."""
        middle = np.average(y, weights=weight)
        unit = max(np.sqrt(np.average((y - middle) ** 2, weights=weight)), 1e3 * floor)
        return cls(middle, unit, max(1e-3, floor / unit))

    def standardise(self, values):
        """From the units of y."""
        return (values - self.middle) / self.unit

    def restore(self, values):
        """Back to the units of y."""
        return self.middle + self.unit * values


@dataclass(frozen=True)
class StackedRows:
    """Rows that the parameters are fitted on, or looked at with."""

    y: np.ndarray  # (n_samples,): target
    means: np.ndarray  # (n_samples, n_components): predictions of the components
    Z: np.ndarray  # (n_samples, n_columns): standardised columns of the gate
    u: np.ndarray  # (n_samples,): log of the expected size of the error, centred
    weight: np.ndarray  # (n_samples,): weights
    # By the number of a component that has a density of its own: log-densities (n_samples,).
    own: dict = field(default_factory=dict)
    shares: np.ndarray | None = None  # (n_samples, n_components): to start from; None is equal ones

    @cached_property
    def squared_errors(self):
        """Squared errors of the components, (n_components, n_samples)."""
        return (self.y - self.means.T) ** 2

    def take(self, rows):
        """Some of the rows."""
        parts = (part[rows] for part in (self.y, self.means, self.Z, self.u, self.weight))
        own = {k: log_density[rows] for k, log_density in self.own.items()}
        return StackedRows(*parts, own, None if self.shares is None else self.shares[rows])

    def start(self, floor, centre):
        """Parameters to start from: with shares, the scales of the rows that components are for.

        From those of all rows, what errs little on its own rows alone is taken for a bad component.
        """
        n_components = self.means.shape[1]
        n_columns = self.Z.shape[1]
        intercepts = np.zeros(n_components)
        log_scales = centre
        if self.shares is not None:
            resp = self.shares.T * self.weight
            mass = resp.sum(axis=1)
            squares = np.einsum("kn,kn->k", resp, self.squared_errors)
            squares += SHARE_ROWS * np.exp(2 * centre)
            intercepts = np.log((mass + SHARE_ROWS) / (mass + SHARE_ROWS).sum())
            log_scales = 0.5 * np.log(squares / (mass + SHARE_ROWS) + floor**2)
        weights = np.zeros((n_columns, n_components))
        return StackedParameters(intercepts, weights, log_scales - 0.2, 0.0, LOG_EXCESS)


@dataclass(frozen=True)
class StackedParameters:
    """What is learned from out-of-fold predictions, with M components and d gate columns."""

    intercepts: np.ndarray  # (M,): of the gate
    weights: np.ndarray  # (d, M): of the gate, zero where proportions are constant
    log_scales: np.ndarray  # (M,): c
    slope: float  # b
    log_excess: float  # log of the degrees of freedom above two

    @property
    def df(self):
        """Degrees of freedom."""
        return 2.0 + np.exp(min(self.log_excess, 10.0))

    def scales(self, floor):
        """Scales s (M,)."""
        return np.sqrt(_raw_variance(self) + floor**2)

    def packed(self, gated):
        """One vector; without the weights of the gate where it is not ``gated``."""
        if gated:
            weights = self.weights.ravel()
        else:
            weights = ()
        ends = [self.slope, self.log_excess]
        return np.concatenate([self.intercepts, weights, self.log_scales, ends])

    def unpacked(self, theta, gated):
        """Parameters of the same shapes from what ``packed`` makes."""
        M = len(self.intercepts)
        size = self.weights.size if gated else 0
        parts = np.split(theta, np.cumsum([M, size, M]))
        intercepts, weights, log_scales, (slope, log_excess) = parts
        if gated:
            weights = weights.reshape(self.weights.shape)
        else:
            weights = np.zeros_like(self.weights)
        return StackedParameters(intercepts, weights, log_scales, float(slope), float(log_excess))


def _raw_variance(parameters):
    # Bounded, so that no step of a line search overflows.
    return np.exp(2.0 * np.clip(parameters.log_scales, -20.0, 20.0))


def _log_density(parameters, rows, floor):
    """Log-densities (M, n), and what these are made of.

    The latter are the squared errors over variances and degrees of freedom, plus one, and their
    logarithms.
    """
    df = parameters.df
    log_scales = np.log(parameters.scales(floor))
    by_row = np.clip(parameters.slope * rows.u, -20.0, 20.0)  # as below
    tails = rows.squared_errors * np.exp(-2.0 * by_row)
    tails *= np.exp(-2.0 * log_scales)[:, None] / df
    tails += 1.0
    log_tails = tails.copy()
    log(log_tails.reshape(-1))
    norm = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * np.log(df * np.pi)
    log_density = (-0.5 * (df + 1)) * log_tails
    log_density += (norm - log_scales)[:, None]
    log_density -= by_row
    for k, own in rows.own.items():
        log_density[k] = own
    return log_density, tails, log_tails


def posterior_of(parameters, rows, floor):
    """Responsibilities (n, M) and log-densities (n,) of rows."""
    log_density, *_ = _log_density(parameters, rows, floor)
    joint = log_gate_of(parameters.intercepts, parameters.weights, rows.Z) + log_density.T
    total = logsumexp(joint, axis=1)
    return np.exp(joint - total[:, None]), total


def cdf_of(parameters, rows, floor):
    """Distribution function (n,) of the mixture at y, where no component has its own density."""
    by_row = np.exp(np.clip(parameters.slope * rows.u, -20.0, 20.0))
    scale = parameters.scales(floor) * by_row[:, None]
    cdf = stdtr(parameters.df, (rows.y[:, None] - rows.means) / scale)
    log_gate = log_gate_of(parameters.intercepts, parameters.weights, rows.Z)
    return np.einsum("nk,nk->n", np.exp(log_gate), cdf)


def negative_objective(parameters, rows, floor, centre, penalty):
    """Penalised negative log-likelihood per unit of weight, and its gradient.

    ``rows`` have predictions that are out of fold; ``centre`` (M,) are the prior means of the log
    scales. ``penalty`` is that of the weights of the gate; None where these are not learned. The
    gradient is StackedParameters.
    """
    df = parameters.df
    log_density, tails, log_tails = _log_density(parameters, rows, floor)
    value, of_intercepts, of_weights, resp = gate_objective(
        parameters.intercepts, parameters.weights, rows.Z, log_density.T, rows.weight, penalty
    )
    resp[list(rows.own)] = 0.0  # scales and tails are those of the others
    off_centre = parameters.log_scales - centre
    off_mode = parameters.log_excess - LOG_EXCESS
    value += 0.5 * SLOPE_PENALTY * parameters.slope**2
    value += 0.5 * SCALE_ROWS * off_centre @ off_centre + 0.5 * off_mode**2
    mass = resp.sum(axis=1)
    by_df = (digamma((df + 1) / 2) - digamma(df / 2) - 1 / df) * mass.sum()
    by_df -= np.vdot(resp, log_tails)
    light = np.divide(resp, tails, out=tails)
    by_df += (df + 1) / df * (mass.sum() - light.sum())
    # (df + 1) times the share of a squared error in its tail, 1 - 1 / tail, less one
    by_log_scale = df * mass - (df + 1) * light.sum(axis=1)
    by_slope = df * (resp @ rows.u) - (df + 1) * (light @ rows.u)
    raw = _raw_variance(parameters)
    gradient = StackedParameters(
        intercepts=of_intercepts,
        weights=of_weights,
        log_scales=SCALE_ROWS * off_centre - by_log_scale * raw / (raw + floor**2),
        slope=SLOPE_PENALTY * parameters.slope - by_slope.sum(),
        log_excess=off_mode - 0.5 * by_df * (df - 2.0),
    )
    return value, gradient


def fit_parameters(rows, floor, penalty, start=None, precise=False):
    """Parameters that minimise ``negative_objective``, by L-BFGS.

    All rows are of positive weight. ``penalty`` None is constant proportions; ``start`` is where
    the rows have no shares to start from, and None equal ones, constant scales and six degrees of
    freedom. It goes on until order and copies of rows do
    not matter if it is to be ``precise``, as what predicts must, and not only until log-densities
    can be compared.

    Returns the parameters, the penalised log-likelihood per unit of weight, and whether L-BFGS met
    a tolerance.
    """
    weight = rows.weight.sum()
    centre = 0.5 * np.log(rows.squared_errors @ rows.weight / weight + floor**2)
    if start is None or rows.shares is not None:
        start = rows.start(floor, centre)
    gated = penalty is not None

    def value_and_gradient(theta):
        at = start.unpacked(theta, gated)
        value, gradient = negative_objective(at, rows, floor, centre, penalty)
        return value / weight, gradient.packed(gated) / weight

    first = start.packed(gated)
    options = {"maxcor": 20, **(PRECISE if precise else COARSE)}
    result = minimize(value_and_gradient, first, jac=True, method="L-BFGS-B", options=options)
    converged = result.success or np.abs(result.jac).max() <= COARSE["gtol"]
    return start.unpacked(result.x, gated), -float(result.fun), bool(converged)


def refit_parameters(rows, floor, penalty):
    """Parameters from all rows of positive weight, from shares or by constant proportions."""
    seen = rows.take(rows.weight > 0)
    if penalty is None or rows.shares is not None:
        return fit_parameters(seen, floor, penalty, precise=True)
    constant, *_ = fit_parameters(seen, floor, None)
    return fit_parameters(seen, floor, penalty, constant, precise=True)


def cross_fit_parameters(rows, floor, folds, penalties=GATE_PENALTIES):
    """The strength of the gate, and out-of-fold results; see ``choose_penalty``."""

    def fit(seen, penalty, start):
        return fit_parameters(rows.take(seen), floor, penalty, start)[0]

    def posterior(parameters, unseen):
        part = rows.take(unseen)
        return *posterior_of(parameters, part, floor), cdf_of(parameters, part, floor)

    return choose_penalty(rows.weight, folds, fit, posterior, penalties=penalties)


def cross_fit_densities(rows, floor, folds):
    """Log-densities (n, M) of the components under parameters that were fitted without the fold.

    Proportions are constant; what stands before another gate.
    """

    def fit(seen):
        return fit_parameters(rows.take(seen), floor, None)[0]

    def density(parameters, unseen):
        return _log_density(parameters, rows.take(unseen), floor)[0].T

    return cross_fitted(rows.weight, folds, fit, density)


# Sizes of errors -----------------------------------------------------------------------------


class ErrorSizes:
    """Boosted trees of the absolute error, one model for each fold, as factors of the scales.

    New rows are given the mean of the models' logarithms, within the range of those of training
    rows, times ``slope``. An ``encoder``, or None, stands before the models. Rows of training were
    among others; far from these, scales are widened by what a ``process``, an expert, is unsure of.
    """

    def __init__(self, models, encoder, log_size, weight, process):
        self.trees = Trees.of_boosting(models)
        self.encoder = encoder
        self.process = process
        used = log_size[weight > 0]
        self.centre = np.average(log_size, weights=weight)
        self.low = used.min()
        self.high = used.max()
        self.slope = 1.0

    def centred(self, log_size):
        """Logarithms within the range of the training rows, less their mean."""
        return np.clip(log_size, self.low, self.high) - self.centre

    def __call__(self, X):
        """Factors of the scales, (n, 1), for each row."""
        Z = np.asarray(X if self.encoder is None else self.encoder.transform(X), dtype=np.float64)
        factor = np.exp(self.slope * self.centred(self.trees.predict(Z)))
        process, Z = inside_offering("widening", self.process, X)
        if process is None:
            return factor
        return factor * process.widening(Z)


def copies_of_rows(weight):
    """How often rows are given to boosting, whose leaves count rows, and the weights of each copy.

    Whole numbers are rows given so often, unless these would be many. Equal weights are none: with
    weights, binning alone costs several fits.

    Copies are 0 for rows of weight zero; the weights are None where copies have equal ones.
    """
    if weight.sum() <= MOST_COPIES * len(weight) and (weight == np.floor(weight)).all():
        return weight.astype(int), None
    used = weight > 0
    return used.astype(int), None if np.ptp(weight[used]) == 0 else weight


def cross_fit_sizes(Z, residuals, weight, folds, floor):
    """Models of the size of errors, and their out-of-fold logarithms.

    The gamma deviance estimates the mean of a size whose standard deviation is proportional to it,
    as that of absolute errors is.

    ``residuals`` are out of fold. The floor is added to the sizes, or ``SIZE_FLOOR`` root mean
    squares if that is more. Returns a HistGradientBoostingRegressor for each fold, and
    (n_samples,).
    """
    root_mean_square = np.sqrt(np.average(residuals**2, weights=weight))
    size = np.abs(residuals) + max(SIZE_FLOOR * root_mean_square, floor)
    copies, weight = copies_of_rows(weight)
    least = max(8, copies.sum() // 40)
    models = []
    log_size = np.empty(len(size))
    for train, test in folds:
        seen = np.repeat(train, copies[train])
        model = HistGradientBoostingRegressor(min_samples_leaf=least, **BOOSTING)
        model.fit(Z[seen], size[seen], sample_weight=None if weight is None else weight[seen])
        log_size[test] = np.log(model.predict(Z[test]))
        models.append(model)
    return models, log_size
