"""A gate that was asked for, behind experts that all know all rows."""

import numpy as np

from .._em.fixed import gate_problem
from .._em.loop import run_em
from .._em.settings import CROSS_FITTED_ITERATIONS, CROSS_FITTED_PATIENCE
from .._tables.constant import fit_columns
from .._tables.encoding import default_encoder
from .._tables.mixed import describe_columns


def gate_around(gate, data, folds, log_density, resp, tol):
    """Train a gate around out-of-fold densities, in the same folds.

    Parameters
    ----------
    gate : GateParts
        As it was asked for.
    data : TrainingData
        The rows.
    folds : list of (train, test)
        Of the predictions.
    log_density : ndarray of shape (n_samples, n_components)
        Out of fold.
    resp : ndarray of shape (n_samples, n_components)
        Responsibilities to start from.
    tol : float
        As of ``run_em``.

    Returns
    -------
    gate : BaseGate
        Fitted on all rows.
    resp, log_norm : ndarray of shape (n_samples, n_components) and (n_samples,)
        Responsibilities and log-densities under gates that did not see the row.
    """
    log_density = np.ascontiguousarray(log_density)
    problem = gate_problem(log_density, gate.trained, data, gate_folds=folds).start(resp)
    run_em(problem, max_iter=CROSS_FITTED_ITERATIONS, tol=tol, patience=CROSS_FITTED_PATIENCE)
    return problem.finished_gate(gate.given), problem.resp, problem.log_norm


def size_columns(gate, data, encoder):
    """Numbers that the sizes of errors are learned from, and the encoder that makes them.

    Parameters
    ----------
    gate : GateParts or None
        One that was asked for, and may see other columns; None is the default.
    data : TrainingData
        The rows.
    encoder : transformer or None
        Fitted, of the default gate; a single expert has none.

    Returns
    -------
    columns : ndarray of shape (n_samples, n_columns)
        Without missing values.
    encoder : transformer or None
        Fitted; None where these are the rows themselves.
    """
    if gate is None and encoder is not None:
        return np.asarray(data.Z, dtype=np.float64), encoder
    if not any(describe_columns(data.X)):
        return np.asarray(data.X, dtype=np.float64), None
    encoder, columns = fit_columns(default_encoder(data.X), data.X, data.y)
    return np.asarray(columns, dtype=np.float64), encoder
