"""Sums over rows: all that an M-step of linear experts sees; and the pass that makes them."""

from dataclasses import dataclass

import numpy as np

from .._kernels._linear_pass import linear_pass, sizes
from .._numerics.grams import add_fields, unpack
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
    # (n_experts, p): linear functions of the experts in standardised columns.
    expert_coef: np.ndarray
    error_scale: np.ndarray  # (n_experts,): scales of Gaussian errors; ones for logistic experts
    # ``y_mean``, ``y_scale``: units of the target.
    y_mean: float = 0.0
    y_scale: float = 1.0
    # (n_samples, n_experts): responsibilities in place of those of an E-step.
    resp: np.ndarray | None = None
    logistic: bool = False  # whether experts are logistic, of two classes
    with_grams: bool = True  # whether to sum Gram matrices of the experts, or their curvature
    with_curvature: bool = False  # whether to sum the curvature of the gate


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
    # probabilities.
    pairs: np.ndarray | None
    mass: np.ndarray  # (n_experts,): weights of the experts' rows
    rows_gram: np.ndarray | None = None  # (p, p): Gram matrix of all rows, where it is known

    __add__ = add_fields

    @property
    def gate_mass(self):
        """Summed probabilities of the gate, (n_experts,)."""
        return np.maximum(self.mass - self.excess[-1], 0.0)

    @classmethod
    def from_kernel(cls, flat, n_experts, p, with_curvature):
        """Take the kernel's numbers apart, as those of linear experts."""
        n_pairs = p * (p + 1) // 2
        n_curvatures = n_experts * (n_experts - 1) // 2
        at_slopes = 1 + n_experts
        at_grams = at_slopes + 2 * n_experts * p
        at_pairs = at_grams + n_pairs * n_experts
        slopes = flat[at_slopes:at_grams].reshape(p, 2 * n_experts)
        pairs = flat[at_pairs:].reshape(n_pairs, n_curvatures) if with_curvature else None
        gram = unpack(flat[at_grams:at_pairs].reshape(n_pairs, n_experts), p)
        return cls(
            float(flat[0]),
            gram,
            slopes[:, :n_experts].T[:, :, None],
            flat[1:at_slopes, None],
            slopes[:, n_experts:],
            None if pairs is None else unpack(pairs, p),
            gram[:, -1, -1],
            gram.sum(axis=0),
        )


def run_pass(rows, parameters):
    """One pass over rows in arrays: E-step, and flat sums; a kernel for ``RowSource.reduce``.

    The sums (n_sums,) are for ``Sums.from_kernel``.
    """
    n_experts, p = parameters.expert_coef.shape
    n_sums, n_workspace = sizes(n_experts, p, parameters.with_curvature)
    n_chunks = max(1, min(MOST_CHUNKS, CHUNK_NUMBERS // n_sums))
    blocks = -(-rows.n_rows // BLOCK_ROWS)
    chunk_rows = BLOCK_ROWS * -(-blocks // n_chunks)
    work = rows.n_rows * (2 * n_experts + n_sums // SUMS_OF_AN_EXPONENTIAL)
    dtype, error_scale = rows.X.dtype, parameters.error_scale
    flat = np.empty(n_sums)
    linear_pass(
        rows.X,
        rows.target,
        rows.weight,
        parameters.mean,
        parameters.scale,
        parameters.y_mean,
        parameters.y_scale,
        np.concatenate([parameters.gate_coef.T, parameters.expert_coef], dtype=dtype),
        (parameters.y_scale / error_scale).astype(dtype),
        (np.log(error_scale) + LOG_ROOT_2_PI).astype(dtype),
        parameters.resp,
        parameters.logistic,
        parameters.with_grams,
        parameters.with_curvature,
        chunk_rows,
        rows.memory("workspace", (kernel_threads(work), n_workspace), dtype),
        rows.memory("partial", (-(-rows.n_rows // chunk_rows), n_sums), np.float64),
        flat,
    )
    return flat
