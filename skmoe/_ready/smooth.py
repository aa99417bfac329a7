r"""Regression by a Gaussian process whose kernel has a length scale for each column.

The kernel is Matérn's with smoothness 5/2,

.. math:: k(x, x') = (1 + s + s^2/3) e^{-s}, \quad s^2 = 5 \sum_j (x_j - x'_j)^2 / l_j^2

and its length scales :math:`l` and the noise maximise the marginal likelihood of a sample of the
rows, in which the variance of the process has its best value [1]_. Columns of few values may be
numbers of kinds, or have steps: indicators of these values are added if the marginal
likelihood gains more than Schwarz's criterion asks of so many parameters. The mean is that of all
rows; of many, it is a combination of kernels around some rows (the subset of regressors of [2]_).

References
----------
.. [1] C. E. Rasmussen and C. K. I. Williams, "Gaussian processes for machine learning", 2006,
   section 5.4.
.. [2] J. Quiñonero-Candela and C. E. Rasmussen, "A unifying view of sparse approximate Gaussian
   process regression", Journal of Machine Learning Research 6, 2005.
"""

import copy

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._numerics.columns import squared_distances

FIRST_SAMPLE = 400  # rows that a kernel is learned on
LAST_SAMPLE = 1_000  # all rows, but no more than these
LAST_STEPS = 3  # on them, from where the first ended: with ten, some kernels are overfitted
EXACT_ROWS = 3_000  # with more, kernels stand around some rows
FEW_CENTRES = 1_000
MANY_CENTRES = 2_000  # that many where there is LITTLE_NOISE
MOST_ROWS = 20_000  # that coefficients of the centres are learned from
LITTLE_NOISE = 1e-3  # its variance, in those of the process: more centres predict better
ROWS_PER_SCALE = 10  # or more: the kernel of all rows is that of each fold, indicators are tried
MOST_VALUES = 20  # of a column, for each of which there may be an indicator
SAME = 1e-5  # a value of a standardised column is one of these if it is as close
BLOCK = 1_000  # rows whose kernels are in memory at once
SEEN_ROWS = 500  # rows of fit, for the distance of other rows from them
UNSURE = 0.9  # scales are wider where the process is less sure than at this share of the rows
NOISE = (-14.0, 8.0)  # logarithm of its variance, in those of the process and units of the weights
TINY = 1e-12
NO_INDICATORS = np.empty(0, dtype=int), np.empty(0)


class SmoothRegressor(RegressorMixin, BaseEstimator):
    """The mean of a Gaussian process, from any number of rows; columns are standardised.

    A weight divides the variance of the noise.

    Attributes
    ----------
    length_scales_ : ndarray of shape (n_features + n_indicators,)
        One for each column and indicator.
    indicators_ : tuple of ndarray of shape (n_indicators,)
        Numbers of columns, and the value of each.
    noise_ : float
        Variance of the noise, in those of the process.
    """

    _held_out = None  # predictions for the rows that it was fitted on

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Learn kernel and mean."""
        X = np.asarray(X, dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        if sample_weight is None:
            weight = np.ones(len(y))
        else:
            weight = np.asarray(sample_weight)
        X = X[weight > 0]
        y = y[weight > 0]
        weight = weight[weight > 0]
        self.level_ = np.average(y, axis=0, weights=weight)
        unit = y.std(axis=0)
        self.unit_ = np.where(unit > 0, unit, 1.0)
        order = check_random_state(self.random_state).permutation(len(y))
        target = ((y - self.level_) / self.unit_).reshape(len(y), -1)
        self._learn_kernel(X, target, weight, order)
        self.centres_ = Z = self._scaled(X)
        if len(y) <= EXACT_ROWS:
            self.coef_ = _solved(self._gram(weight), target)
        else:
            is_exact = self.noise_ < LITTLE_NOISE * weight.mean()
            self.centres_ = Z[order[: MANY_CENTRES if is_exact else FEW_CENTRES]]
            self.coef_ = self._solve(*self._sums(Z, target, weight, np.sort(order[:MOST_ROWS])))
        self.coef_ = self.coef_.reshape(-1, *y.shape[1:])
        self._learn_widening(Z, weight)
        return self

    def predict(self, X):
        """Means."""
        check_is_fitted(self)
        if self._held_out is not None:
            return self._held_out
        X = np.asarray(X, dtype=np.float64)
        blocks = (self._scaled(X[rows]) for rows in gen_batches(len(X), BLOCK))
        found = [matern(block, self.centres_)[0] @ self.coef_ for block in blocks]
        return self.level_ + self.unit_ * np.concatenate(found)

    def widening(self, X):
        """How many times the standard deviation is that at a row left out, (n, 1), at least 1.

        The latter is what nine tenths of the rows of ``fit``, without their copies, do not exceed.
        """
        X = np.asarray(X, dtype=np.float64)
        variance = np.empty((len(X), 1))
        for rows in gen_batches(len(X), BLOCK):
            known = matern(self._scaled(X[rows]), self.seen_)[0] @ self.whitening_.T
            variance[rows, 0] = self.prior_ - np.einsum("ij,ij->i", known, known)
        return np.sqrt(np.maximum(variance / self.left_out_, 1.0))

    def _gram(self, weight):
        """Kernels of all rows, with their noise."""
        gram = matern(self.centres_, self.centres_)[0]
        gram.flat[:: len(gram) + 1] += self.noise_ / weight
        return gram

    def _sums(self, Z, target, weight, rows):
        """Weighted squares of kernels around the centres, and products with the target, of rows."""
        gram = np.zeros((len(self.centres_), len(self.centres_)))
        moment = np.zeros((len(gram), target.shape[1]))
        for some in (rows[batch] for batch in gen_batches(len(rows), BLOCK)):
            k = matern(self.centres_, Z[some])[0] * np.sqrt(weight[some])
            gram += k @ k.T
            moment += k @ (target[some] * np.sqrt(weight[some])[:, None])
        return gram, moment

    def _solve(self, gram, moment):
        """Coefficients of the centres from ``_sums``."""
        gram = gram + self.noise_ * matern(self.centres_, self.centres_)[0]
        gram.flat[:: len(gram) + 1] *= 1 + 1e-9  # centres close by are the same to rounding
        return _solved(gram, moment)

    def _learn_widening(self, Z, weight):
        noise = self.noise_ / weight.mean()
        (Z, place) = np.unique(Z, axis=0, return_inverse=True)
        # At random: every so many rows of a grid may have but one value of a column.
        some = check_random_state(0).permutation(len(Z))[:SEEN_ROWS]
        self.seen_ = Z[some]
        self.prior_ = 1.0 + noise
        weight = np.bincount(place.ravel(), weight)[some]
        gram = matern(self.seen_, self.seen_)[0]
        gram.flat[:: len(gram) + 1] += self.noise_ / weight + 1e-9  # of many copies it is nothing
        factor = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
        self.whitening_ = solve_triangular(factor, np.eye(len(factor)), lower=True)
        left_out = 1.0 / np.einsum("ij,ij->j", self.whitening_, self.whitening_)  # [1]_, 5.12
        left_out -= self.noise_ / weight
        unsure = np.quantile(left_out, UNSURE, weights=weight, method="inverted_cdf")
        self.left_out_ = noise + unsure

    def _scaled(self, X):
        """Columns and indicators, in length scales."""
        return with_indicators(X, *self.indicators_) / self.length_scales_

    def _learn_kernel(self, X, target, weight, order):
        unit = weight.mean()
        rows = order[:LAST_SAMPLE]
        X = X[rows]
        target = target[rows]
        weight = weight[rows] / unit

        def learned(columns):
            theta = np.append(-2.0, np.full(columns.shape[1], middle_scale(columns)))
            bounds = [NOISE, *[(-4.0, 8.0)] * columns.shape[1]]
            for size, steps in ((FIRST_SAMPLE, 100), (LAST_SAMPLE, LAST_STEPS)):
                given = columns[:size], target[:size], weight[:size]
                found = minimize(
                    negative_evidence,
                    theta,
                    given,
                    jac=True,
                    method="L-BFGS-B",
                    bounds=bounds,
                    options={"maxiter": steps, "ftol": 1e-5},
                )
                theta = found.x
            return found

        found = learned(X)
        self.indicators_ = NO_INDICATORS
        n = len(X)
        indicators = few_values(X)
        more = with_indicators(X, *indicators)
        n_indicators = len(indicators[0])
        n_scales = more.shape[1]
        if n_indicators > 0 and n >= ROWS_PER_SCALE * n_scales:
            other = learned(more)
            if n * (found.fun - other.fun) > 0.5 * np.log(n) * n_indicators:
                found = other
                self.indicators_ = indicators
        self.noise_ = unit * np.exp(found.x[0])
        self.length_scales_ = np.exp(found.x[1:])


def held_out(process, X, y, weight, folds):
    """A copy of one fitted to X that predicts X alone, each row by other rows than its fold.

    The kernel is held; None where it has so many numbers that rows held out have a say in them.
    """
    if len(process.centres_) < ROWS_PER_SCALE * len(process.length_scales_):
        return None
    used = np.flatnonzero(weight > 0)
    X = np.asarray(X, dtype=np.float64)
    rows = check_random_state(process.random_state).permutation(used)[:MOST_ROWS]
    target = ((y - process.level_) / process.unit_).reshape(len(y), -1)
    given = process._scaled(X), np.column_stack([target, np.ones(len(y))]), weight
    outside = [np.setdiff1d(rows, train) for train, _ in folds]
    if len(used) <= EXACT_ROWS:
        gram = process._gram(weight[used])
        design = given[1][used]
        coefs = np.zeros((len(folds), *design.shape))
        for coef, out in zip(coefs, outside, strict=True):
            kept = ~np.isin(used, out)
            coef[kept] = _solved(gram[np.ix_(kept, kept)], design[kept])
    else:
        gram, moment = process._sums(*given, np.sort(rows))
        sums = (process._sums(*given, out) for out in outside)
        coefs = [process._solve(gram - of_out, moment - own) for of_out, own in sums]
    found = copy.copy(process)
    found._held_out = np.empty(y.shape)
    for coef, (train, test) in zip(coefs, folds, strict=True):
        level = np.average(target[train], 0, weight[train])
        in_fold = copy.copy(process)
        in_fold.coef_ = (coef[:, :-1] - coef[:, -1:] * level).reshape(process.coef_.shape)
        in_fold.level_ = process.level_ + process.unit_ * level.reshape(y.shape[1:])
        found._held_out[test] = in_fold.predict(X[test])
    return found


def _solved(gram, moment):
    factor = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    return cho_solve((factor, True), moment)


def few_values(X):
    """Columns that have three values to MOST_VALUES, and each of these: two arrays (m,)."""
    values = [np.unique(column) for column in X.T]
    sizes = [len(each) if 2 < len(each) <= MOST_VALUES else 0 for each in values]
    kept = [each[:size] for each, size in zip(values, sizes, strict=True)]
    return np.repeat(np.arange(len(sizes)), sizes), np.concatenate(kept)


def with_indicators(X, columns, values):
    """X, and for each of these columns whether it has the value."""
    return np.hstack([X, np.abs(X[:, columns] - values) < SAME])


def middle_scale(X):
    """Prior mean of the logarithms of length scales, whose prior variance is one."""
    return 0.5 * np.log(max(X.shape[1], 1))


def matern(A, B):
    """Kernels of rows, in length scales, and -2 times their derivatives by squared distances."""
    square = squared_distances(A, B)
    slope = np.sqrt(5.0 * square)
    decay = np.exp(-slope)
    # In place: these are large arrays.
    square *= 5 / 3
    square *= decay
    slope += 1.0
    slope *= decay
    square += slope
    slope *= 5 / 3
    return square, slope


def negative_evidence(theta, X, target, weight):
    """Negative log-posterior of a kernel per row, and its gradient, but for a constant.

    ``theta`` are the logarithms of the noise and of the length scales. The outputs of ``target``
    (n, n_outputs) have one kernel, and each its own variance.
    """
    n, n_outputs = target.shape
    noise = np.exp(theta[0])
    Z = X * np.exp(-theta[1:])
    gram, slope = matern(Z, Z)
    gram.flat[:: n + 1] += noise / weight
    factor, failed = lapack.dpotrf(gram.T, lower=1, overwrite_a=1)
    if failed:
        return 1e10, np.zeros_like(theta)
    dual = cho_solve((factor, True), target)
    square = np.maximum(np.einsum("ij,ij->j", target, dual), TINY)
    off = theta[1:] - middle_scale(X)
    value = 0.5 * n * np.log(square).sum() + n_outputs * np.log(factor.diagonal()).sum()
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    # Twice the derivative of the log-likelihood by the kernels of pairs of rows, from the diagonal
    # on: what is below it is not of the inverse.
    by_gram = (n / square * dual) @ dual.T
    by_gram -= n_outputs * inverse.T
    by_noise = 0.5 * noise * (by_gram.diagonal() / weight).sum()
    by_gram = np.triu(by_gram, 1)
    by_gram *= slope
    by_scale = (by_gram.sum(axis=1) + by_gram.sum(axis=0)) @ Z**2
    by_scale -= 2.0 * np.einsum("ij,ij->j", Z, by_gram @ Z)
    return (value + 0.5 * off @ off) / n, np.append(-by_noise, off - by_scale) / n
