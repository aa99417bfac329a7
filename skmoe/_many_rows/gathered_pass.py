"""A pass over rows under any estimators: sums for the gate, and rows for each expert."""

from dataclasses import dataclass

import numpy as np

from .._experts.fitting import NEGLIGIBLE_SHARE, round_shares
from .._experts.prediction import expert_prediction
from .._model import posterior
from .._numerics.drawing import RowSample, hash_rows
from .._numerics.moments import add_fields
from .._numerics.multinomial import log_softmax, pair_grams
from .._tables.mixed import is_table

PASS_ROWS = 2**15  # at a time: estimators want more than a kernel does


@dataclass(frozen=True)
class FoldAnswers:
    """A mixture of estimators on its way, without rows; answers out of fold, see ``Answers``."""

    names: list  # names of the experts
    # List of lists of estimators: of each expert one for each fold, which did not see it, or one
    # for all rows.
    models: list
    n_folds: int  # the fold of a row follows from a hash of its content
    form: object  # TableForm: of the rows, where the user gave tables
    classes: np.ndarray | None  # (n_classes,): labels, where y holds class numbers
    y_shape: tuple  # shape of a prediction
    # ``mean``, ``scale``: (n_features,): units of the columns, for the gate.
    mean: np.ndarray
    scale: np.ndarray
    logits: np.ndarray  # (p, n_experts): coefficients of the gate's logits in standardised columns
    likelihood: object  # BaseLikelihood: of the experts

    def over(self, block):
        """Target, weights, logits, log-densities (n, K) and predictions, a few rows at a time."""
        for _, _, _, *answers in self.over_rows(block):
            yield answers

    def over_rows(self, block):
        """The same behind the rows, as experts are shown them too, and hashes of their content."""
        for start in range(0, block.n_rows, PASS_ROWS):
            rows = slice(start, start + PASS_ROWS)
            X, y = block.X[rows], block.y[rows]
            y = y if self.classes is None else y.astype(np.intp)
            shown = X if block.table is None else block.table.iloc[rows]
            hashes = hash_rows(shown, y, self.classes)
            predictions = self.predict(shown, hashes)
            logits = ((X - self.mean) / self.scale) @ self.logits[:-1] + self.logits[-1]
            log_density = self.likelihood.log_density(y, predictions)
            yield X, shown, hashes, y, block.weight[rows], logits, log_density, predictions

    def predict(self, X, hashes):
        """Predictions (n_rows, K, ...) of models that have not seen the row, by its hash."""
        X = X if self.form is None or is_table(X) else self.form(X)
        folds = fold_numbers(hashes, self.n_folds)
        predictions = np.empty((len(folds), len(self.names), *self.y_shape))
        known = {}  # clones that were fitted alike are one model
        for k, (name, models) in enumerate(zip(self.names, self.models, strict=True)):
            for fold in np.unique(folds) if len(models) > 1 else [0]:
                rows = folds == fold if len(models) > 1 else slice(None)
                model = models[fold]
                if (id(model), fold) not in known:
                    known[id(model), fold] = expert_prediction(
                        name, model, X[rows], self.y_shape, self.classes
                    )
                predictions[rows, k] = known[id(model), fold]
        return predictions


def fold_numbers(hashes, n_folds):
    """The fold of each row, (n_rows,), by the hash of its content."""
    return ((hashes >> np.uint64(7)) % np.uint64(n_folds)).astype(np.intp)


@dataclass(frozen=True)
class Gathered:
    """Sums over rows, see ``Sums``, and the rows of each expert; those of two blocks add up."""

    value: float  # log-likelihood
    mass: np.ndarray  # (n_experts,): summed responsibilities
    # ``excess``, ``rows_gram``, ``pairs``: for the gate, as in ``Sums``.
    excess: np.ndarray
    rows_gram: np.ndarray
    pairs: np.ndarray | None
    own_rows: np.ndarray  # (n_experts,): number of the rows that are an expert's
    # (n_experts,) of RowSample: rows drawn by the responsibility of each expert: X, target,
    # predictions, responsibilities.
    own: np.ndarray

    @property
    def gate_mass(self):
        """Summed probabilities of the gate, (n_experts,)."""
        return np.maximum(self.mass - self.excess[-1], 0.0)

    __add__ = add_fields


def gather(block, parameters):
    """E-step on a block; a kernel for ``RowSource.reduce`` that returns Gathered.

    ``parameters`` are the mixture at the moment, FoldAnswers; how many rows to keep for each
    expert; the responsibility below which a row is not an expert's; and whether to sum the
    curvature of the gate.
    """
    (answers, n_kept, least, with_curvature), total = parameters, None
    for X, shown, hashes, y, weight, logits, log_density, predictions in answers.over_rows(block):
        log_gate = log_softmax(logits)
        resp, log_norm = posterior(log_gate, log_density)
        proba, shares = np.exp(log_gate), round_shares(resp)
        design = np.column_stack([(X - answers.mean) / answers.scale, np.ones(len(X))])
        shares[shares <= NEGLIGIBLE_SHARE] = 0.0
        mass = shares * weight[:, None]
        ones, rows = np.ones(len(hashes), dtype=int), (shown, y, predictions, shares)
        part = Gathered(
            float(weight @ log_norm),
            weight @ resp,
            design.T @ ((resp - proba) * weight[:, None]),
            (design.T * weight) @ design,
            pair_grams(design, proba, weight) if with_curvature else None,
            np.count_nonzero((shares >= least) & (mass > 0), axis=0),
            np.array([RowSample(n_kept, hashes, own, ones, rows) for own in mass.T]),
        )
        total = part if total is None else total + part
    return total
