"""Sums over rows: all that an M-step of linear experts sees; and the pass that makes them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .._experts.generalized_linear import LARGEST_PREDICTOR
from .._kernels._linear_pass import linear_pass, of_classes, sizes
from .._numerics.multinomial import NEWTON_LIMIT
from .._numerics.statistics import GramSums, add_fields, unpack, weighted_grams
from .._parallel import kernel_threads

BLOCK_ROWS = 512  # rows that the kernel takes at once
MOST_CHUNKS = 32  # chunks of rows, each with its own sums: enough for as many threads
LOG_ROOT_2_PI = 0.5 * np.log(2 * np.pi)
CHUNK_NUMBERS = 2**22  # at most, in the sums of all chunks
SUMS_OF_AN_EXPONENTIAL = 16  # to which the pass adds in the time that one exponential takes


@dataclass
class PassParameters:
    """Arguments of a pass over the rows."""

    # ``mean``, ``scale``: (n_features,): units of the columns.
    mean: np.ndarray
    scale: np.ndarray
    # (p, n_experts): coefficients of the gate's logits in standardised columns, the intercept last.
    gate_coef: np.ndarray
    # (n_experts, p): linear functions of the experts in standardised columns; by blocks
    # (n_experts, p, n_functions).
    expert_coef: np.ndarray
    # (n_experts,): scales of Gaussian errors, ones for logistic experts; by blocks GaussianErrors,
    # ClassErrors or FamilyErrors, errors of the target around these functions.
    errors: object
    # ``y_mean``, ``y_scale``: units of the target.
    y_mean: float = 0.0
    y_scale: float = 1.0
    # (n_samples, n_experts): responsibilities in place of those of an E-step.
    resp: np.ndarray | None = None
    logistic: bool = False  # whether experts are logistic, of two classes
    with_grams: bool = True  # whether to sum Gram matrices of the experts, or their curvature
    with_curvature: bool = False  # whether to sum the curvature of the gate
    top_k: int | None = None  # experts that share a row, if not all


@dataclass
class Sums:
    """Sums over rows at one point of the parameters, in standardised columns."""

    # Log-likelihood. With given responsibilities, the bound on it but for the part of least squares
    # experts.
    value: float
    # (n_experts, p, p): weighted Gram matrices of the columns, the intercept last; of other experts
    # than least squares their curvature, and (n_experts, n_classes * (n_classes - 1) / 2, p, p) of
    # three classes and more. None where it was not asked for.
    gram: np.ndarray | None
    # (n_experts, p, n_functions): weighted products of columns and residuals, of each linear
    # function.
    cross: np.ndarray
    # (n_experts, n_outputs): weighted squares of residuals; half deviances (n_experts,) of Gamma
    # experts.
    squares: np.ndarray | None
    # (p, n_experts): columns times what responsibilities exceed the gate by: the slope of the gate.
    excess: np.ndarray
    # (n_experts * (n_experts - 1) / 2, p, p): Gram matrices weighted by products of two gate
    # probabilities; or (n_experts, p, p), bounds on the gate's curvature that ``is_separate``.
    pairs: np.ndarray | None
    mass: np.ndarray  # (n_experts,): weights of the experts' rows
    rows_gram: np.ndarray | None = None  # (p, p): Gram matrix of all rows, where it is known
    flat: np.ndarray | None = None  # (n_sums,): the same as the compiled pass has them
    has_grams: bool = True
    is_separate: bool = False

    __add__ = add_fields

    @classmethod
    def from_kernel(cls, flat, n_experts, p, with_curvature, n_classes=2, kind=0):
        """Take the kernel's numbers apart; arguments are those of ``sizes``."""
        n_functions, n_grams = of_classes(n_classes)
        n_pairs = p * (p + 1) // 2
        n_slopes = n_experts * n_functions
        at_slopes = 1 + n_experts * (2 if kind == 2 else 1)
        at_grams = at_slopes + (n_experts + n_slopes) * p
        at_pairs = at_grams + n_pairs * n_experts * n_grams
        slopes = flat[at_slopes:at_grams].reshape(p, -1)
        if with_curvature:
            pairs = flat[at_pairs:].reshape(n_pairs, -1)
        else:
            pairs = None
        gram = unpack(flat[at_grams:at_pairs].reshape(n_pairs, -1), p)
        if n_classes > 2:
            gram = gram.reshape(n_experts, n_grams, p, p)
        if pairs is not None:
            pairs = unpack(pairs, p)
        cross = slopes[:, :n_slopes].reshape(p, n_experts, n_functions).swapaxes(0, 1)
        return cls(
            float(flat[0]),
            gram,
            cross,
            flat[1:at_slopes, None],
            slopes[:, n_slopes:],
            pairs,
            gram[..., -1, -1],
            gram.sum(axis=0),
            flat,
            is_separate=n_experts * p > NEWTON_LIMIT,
        )


def run_pass(rows, parameters):
    """One pass over rows in arrays: E-step, and flat sums; a kernel for ``ArrayRows.reduce``.

    The sums (n_sums,) are for ``Sums.from_kernel``.
    """
    n_experts, p = parameters.expert_coef.shape
    chunk_rows, workspace, partial = pass_memory(rows, n_experts, p, parameters.with_curvature)
    dtype = rows.X.dtype
    error_scale = parameters.errors
    flat = np.empty(partial.shape[1])
    coef = np.concatenate([parameters.gate_coef.T, parameters.expert_coef], dtype=dtype)
    precision = (parameters.y_scale / error_scale).astype(dtype)
    log_scale = (np.log(error_scale) + LOG_ROOT_2_PI).astype(dtype)
    linear_pass(
        rows.X,
        rows.y,
        rows.weight,
        parameters.mean,
        parameters.scale,
        parameters.y_mean,
        parameters.y_scale,
        coef,
        precision,
        log_scale,
        parameters.resp,
        parameters.logistic,
        parameters.with_grams,
        parameters.with_curvature,
        parameters.top_k or n_experts,
        chunk_rows,
        workspace,
        partial,
        flat,
    )
    return flat


def pass_memory(rows, n_experts, p, *asked):
    """Rows that are summed at a time, and memory for the compiled pass: workspace, and sums."""
    n_sums, n_workspace = sizes(n_experts, p, *asked)
    n_chunks = max(1, min(MOST_CHUNKS, CHUNK_NUMBERS // n_sums))
    blocks = -(-rows.n_rows // BLOCK_ROWS)
    chunk_rows = BLOCK_ROWS * -(-blocks // n_chunks)
    work = rows.n_rows * (2 * n_experts + n_sums // SUMS_OF_AN_EXPONENTIAL)
    workspace = rows.memory("workspace", (kernel_threads(work), n_workspace), rows.X.dtype)
    shape = -(-rows.n_rows // chunk_rows), n_sums
    return chunk_rows, workspace, rows.memory("partial", shape, np.float64)


# A pass over the rows by blocks, for experts of several linear functions, or with a log link -----

# It makes the same sums as the compiled pass of ``sums.py``, which add up over blocks. Arrays are
# (number, rows), so that all runs down rows.


PASS_ROWS = 2048
LEAST_LOG_SHARE = -200.0  # in a softmax: products of two still have full precision


def block_pass(rows, parameters):
    """One pass over rows in arrays: E-step, and Sums; a kernel for ``ArrayRows.reduce``.

    The sums are without ``rows_gram``; Gram matrices are (n_experts, n_grams, p, p), and None where
    they were not asked for.
    """
    n_experts, p, _ = parameters.expert_coef.shape
    total = None
    grams = {}
    for start in range(0, rows.n_rows, PASS_ROWS):
        block = slice(start, start + PASS_ROWS)
        if parameters.resp is None:
            resp = None
        else:
            resp = parameters.resp[block].T
        design = standard_columns(rows.X[block], parameters.mean, parameters.scale)
        sums = _sums(design, rows.part(block), resp, parameters, grams)
        if total is None:
            total = sums
        else:
            total = total + sums
    if parameters.with_grams:
        total.gram = grams["gram"].matrices().reshape(n_experts, -1, p, p)
    if parameters.with_curvature:
        total.pairs = grams["pairs"].matrices()
    return total


def _sums(design, rows, resp, parameters, grams):
    """Sums of a few rows, with resp (K, n_rows) or None; Gram matrices are added to GramSums."""
    errors = parameters.errors
    (n_experts, p, n_functions) = parameters.expert_coef.shape
    columns = design.T
    weight = rows.weight
    experts_coef = parameters.expert_coef.swapaxes(1, 2).reshape(-1, p)
    functions = np.ascontiguousarray(experts_coef @ columns).reshape(n_experts, n_functions, -1)
    functions += 0.0 if rows.offset is None else rows.offset
    logits = np.ascontiguousarray(parameters.gate_coef.T @ columns)
    proba, log_norm = _softmax_of_block(logits)
    log_density, found = errors.compare(rows.y, functions)
    if resp is None:
        resp, log_joint = _softmax_of_block(logits + log_density)
        value = weight @ (log_joint - log_norm)
    else:
        value = weight @ (np.einsum("kn,kn->n", resp, logits) - log_norm)
        if errors.values_given:
            value += weight @ np.einsum("kn,kn->n", resp, log_density)
    mass = resp * weight
    pull, curvature, squares = errors.weights(found, mass, parameters.with_grams)
    slopes = np.concatenate([pull.reshape(-1, len(weight)), mass - proba * weight]) @ design
    if parameters.with_grams:
        _add(grams, "gram", design, curvature)
    if parameters.with_curvature:
        second, first = np.tril_indices(n_experts, -1)
        _add(grams, "pairs", design, weight * proba[first] * proba[second])
    return Sums(
        float(value),
        None,
        slopes[:-n_experts].reshape(n_experts, n_functions, p).swapaxes(1, 2),
        squares,
        slopes[-n_experts:].T,
        None,
        mass.sum(axis=1),
    )


def _add(grams, name, design, weights):
    """Add Gram matrices of a few rows; weights are (..., n_rows)."""
    weights = weights.reshape(-1, design.shape[0]).T
    if name not in grams:
        grams[name] = GramSums(design.shape[1], weights.shape[1], is_sparse=sparse.issparse(design))
    grams[name].add(design, weights)


def standard_columns(X, mean, scale):
    """Standardised columns and the intercept of a few rows, (n_rows, p), one after the other.

    Sparse rows are so already.
    """
    if sparse.issparse(X):
        return X
    columns = np.ones((X.shape[1] + 1, len(X)))
    np.subtract(X.T, mean[:, None], out=columns[:-1])
    columns[:-1] /= scale[:, None]
    return columns.T


def _softmax_of_block(logits):
    """Softmax over the first axis, and its log-sum-exp."""
    largest = logits.max(axis=0)
    proba = np.exp(np.maximum(logits - largest, LEAST_LOG_SHARE))
    total = proba.sum(axis=0)
    proba /= total
    return proba, largest + np.log(total)


# Errors of targets around linear functions --------------------------------------------------------


@dataclass(frozen=True)
class GaussianErrors:
    """Independent Gaussian errors of each output."""

    scale: np.ndarray  # (n_experts, n_outputs): standard deviations
    # ``y_mean``, ``y_scale``: (n_outputs,): units of the target.
    y_mean: np.ndarray
    y_scale: np.ndarray
    values_given = False

    def compare(self, y, functions):
        """Log-densities (n_experts, n_rows), and residuals in units of the target."""
        residuals = ((y - self.y_mean) / self.y_scale).T - functions
        standard = residuals * (self.y_scale / self.scale)[:, :, None]
        constant = np.log(self.scale * np.sqrt(2 * np.pi)).sum(axis=1)
        return -0.5 * np.einsum("kmn,kmn->kn", standard, standard) - constant[:, None], residuals

    def weights(self, residuals, mass, with_grams):
        """Weights of the columns: slopes (n_experts, n_outputs, n_rows), Grams, and squares."""
        pull = residuals * mass[:, None]
        return pull, mass[:, None], np.einsum("kmn,kmn->km", pull, residuals)


@dataclass(frozen=True)
class ClassErrors:
    """Classes with a linear function each."""

    values_given = True
    constant = None  # further term of each row

    def compare(self, y, functions):
        """Log-probabilities (n_experts, n_rows); those of all classes, and the class numbers."""
        y = y.astype(np.intp)
        functions = functions.swapaxes(0, 1)
        proba, log_norm = _softmax_of_block(functions)
        return functions[y, :, np.arange(len(y))].T - log_norm, (proba.swapaxes(0, 1), y)

    def weights(self, found, mass, with_grams):
        """Weights of the columns: slopes (n_experts, n_classes, n_rows), and for pairs of two."""
        proba, y = found
        pull = proba * -mass[:, None]
        curvature = None
        if with_grams:
            second, first = np.tril_indices(proba.shape[1], -1)
            curvature = proba[:, second] * -pull[:, first]
        pull[:, y, np.arange(len(y))] += mass
        return pull, curvature, None


@dataclass(frozen=True)
class FamilyErrors:
    """Errors of a family around linear predictors, up to a constant of each row."""

    family: object  # Family: of size one
    scale: np.ndarray | None = None  # (n_experts,): of the family; None where there is none yet
    values_given = True

    def compare(self, y, functions):
        """Log-densities (n_experts, n_rows); the unit of the family, and its statistic."""
        predictors = np.clip(functions[:, 0], -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
        if self.scale is None:
            scale = 1.0
        else:
            scale = self.scale[:, None]
        unit = self.family.unit(y, predictors, scale)
        found = *unit, self.family.statistic(unit[0], y, predictors, 0.0, scale)
        return scale * unit[0] + self.family.normaliser(scale), found

    def weights(self, found, mass, with_grams):
        """Weights of the columns: slopes (n_experts, 1, n_rows), curvature, and for scales."""
        _, slope, curvature, statistic = found
        values = np.einsum("kn,kn->k", mass, statistic)
        return (mass * slope)[:, None], (mass * curvature)[:, None], values

    def constant(self, y):
        """What the log-density of each row has besides."""
        return self.family.constant(y)


def sum_rows(rows, parameters):
    """Sums of a block that no parameter changes; a kernel for ``ArrayRows.reduce``.

    They are the Gram matrix (p, p) of the columns, flat, and a part of the log-likelihood last.
    ``parameters`` are mean and scale of the columns, and a function of the target, or None.
    """
    mean, scale, constant = parameters
    total = 0.0
    for start in range(0, rows.n_rows, PASS_ROWS):
        block = slice(start, start + PASS_ROWS)
        design = standard_columns(rows.X[block], mean, scale)
        weight = rows.weight[block]
        if constant is None:
            of_rows = 0.0
        else:
            of_rows = float(weight @ constant(rows.y[block]))
        total = total + np.append(weighted_grams(design, weight[:, None]), of_rows)
    return total
