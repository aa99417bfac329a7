"""A given gate for experts that are each fitted on all rows."""

import numpy as np
from scipy import sparse

from .._em.fixed import gate_problem
from .._em.loop import run_em
from .._em.problem import CROSS_FITTED_ITERATIONS, CROSS_FITTED_PATIENCE
from .._tables.encoding import DescribedColumns, default_encoder, dense_encoder, fit_columns


def gate_around(gate, data, folds, log_density, resp, tol):
    """Train a gate around out-of-fold densities, in the same folds.

    ``resp`` are responsibilities to start from, ``tol`` as of ``run_em``. Returns the gate, fitted
    on all rows, and responsibilities and log-densities under gates that did not see the row.
    """
    log_density = np.ascontiguousarray(log_density)
    problem = gate_problem(log_density, gate.trained, data, gate_folds=folds).start(resp)
    run_em(problem, max_iter=CROSS_FITTED_ITERATIONS, tol=tol, patience=CROSS_FITTED_PATIENCE)
    return problem.finished_gate(gate.given), problem.resp, problem.log_norm


def size_columns(gate, data, encoder):
    """Numbers that the sizes of errors are learned from, and the encoder that makes them.

    ``gate`` is one that was asked for, and may see other columns, or None; ``encoder`` is that of
    the default gate, None of a single expert. Columns are without missing values, and their encoder
    is None where they are the rows themselves.
    """
    if gate is None and encoder is not None:
        return np.asarray(data.Z, dtype=np.float64), encoder
    is_sparse = sparse.issparse(data.X)
    described = DescribedColumns(data.X, data.weight)
    if not is_sparse and not described.is_mixed:
        return np.asarray(data.X, dtype=np.float64), None
    encoder = dense_encoder(data.X) if is_sparse else default_encoder(described)
    encoder, columns = fit_columns(encoder, data.X, data.y, data.weight)
    return np.asarray(columns, dtype=np.float64), encoder
