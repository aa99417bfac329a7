"""Rows of mixtures with known parameters, and other ways to hand over the same rows."""

from typing import NamedTuple

import numpy as np
from scipy import special

from skmoe.rows import Files

UNITS = np.array([1.0, 10.0, 0.1]), np.array([0.0, 500.0, 1.0])  # scales and means of columns


class Planted(NamedTuple):
    """Rows of a mixture, and its truth."""

    X: np.ndarray
    y: np.ndarray
    regime: np.ndarray  # number of the expert that made the row
    predictor: np.ndarray  # linear predictor of that expert: (n,) or (n, n_outputs)
    coef: np.ndarray  # (n_experts, n_columns + 1) or (n_experts, n_columns + 1, n_outputs)
    exposure: np.ndarray | None
    rng: np.random.Generator  # for what else a test draws

    def target(self, coef, kind, **params):
        """Another target of the same rows, of experts with these coefficients."""
        design = np.column_stack([self.X, np.ones(len(self.X))])
        predictor = np.einsum("nd,nd...->n...", design, np.asarray(coef)[self.regime])
        return targets_of(kind, predictor, self.rng, **params)

    def weights(self):
        """Weights of the rows, a quarter of them zero."""
        return self.rng.integers(0, 4, size=len(self.y)) * 0.7

    def near(self, share=0.5):
        """Responsibilities, ``share`` of them true and the others drawn."""
        n_experts = len(self.coef)
        drawn = self.rng.dirichlet(np.ones(n_experts), size=len(self.y))
        return share * np.eye(n_experts)[self.regime] + (1 - share) * drawn

    def labels(self, slope=2.0):
        """Labels "yes" and "no", of log-odds ``slope * predictor``."""
        proba = special.expit(slope * self.predictor)
        return np.where(self.rng.random(len(self.y)) < proba, "yes", "no")


def planted(
    n,
    n_columns=3,
    *,
    n_experts=2,
    n_outputs=None,
    gate=2.0,
    coef=3.0,
    intercept=0.0,
    kind="normal",
    noise=0.5,
    exposure=None,
    unlike_units=False,
    random_state=0,
):
    """Rows of linear experts behind a softmax gate of standard normal columns.

    ``gate``, ``coef`` and ``intercept`` are the truth, or the scale that it is drawn with: logits
    of shape (n_columns + 1, n_experts), or (n_columns + 1,) for the log-odds of the second of two
    experts, and ``coef`` of shape (n_experts, n_columns + 1, ...), or a function that draws it;
    intercepts are last. ``noise`` is a scale, or one for each expert, and ``exposure`` the bounds
    between which it is drawn, as whole numbers for trials. ``unlike_units`` is for what is
    returned as X: the truth is that of standard columns.
    """
    rng = np.random.default_rng(random_state)
    columns = rng.normal(size=(n, n_columns))
    if callable(coef):
        coef = coef(rng)
    elif np.ndim(coef) == 0:
        columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    design = np.column_stack([columns, np.ones(n)])
    if np.ndim(gate) == 0:
        gate = gate * np.vstack([rng.normal(size=(n_columns, n_experts)), np.zeros(n_experts)])
    logits = design @ np.asarray(gate)
    if logits.ndim == 1:
        regime = (rng.logistic(size=n) < logits).astype(int)
    else:
        regime = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    if np.ndim(coef) == 0:
        outputs = () if n_outputs is None else (n_outputs,)
        coef = coef * rng.normal(size=(n_experts, n_columns, *outputs))
        last = np.zeros((n_experts, 1, *outputs))
        if intercept:
            last = intercept * rng.normal(size=last.shape)
        coef = np.concatenate([coef, last], axis=1)
    coef = np.asarray(coef, dtype=float)
    predictor = np.einsum("nd,nd...->n...", design, coef[regime])
    if exposure is not None:
        draw = rng.integers if kind == "binomial" else rng.uniform
        exposure = draw(*exposure, size=n).astype(float)
    scale = np.broadcast_to(noise, len(coef))[regime]
    y = targets_of(kind, predictor, rng, scale=scale, exposure=exposure)
    if unlike_units:
        columns = columns * UNITS[0] + UNITS[1]
    return Planted(columns, y, regime, predictor, coef, exposure, rng)


def targets_of(kind, predictor, rng, *, scale=1.0, exposure=None):
    """Draw targets of a linear predictor, which is on the scale of the link.

    The negative binomial has a shape of 3, and Gamma one of 5.
    """
    size = predictor.shape
    errors = {"normal": rng.normal, "laplace": rng.laplace, "gumbel": rng.gumbel}
    if kind in errors:
        return predictor + (scale * errors[kind](size=size).T).T
    if kind == "student":
        return predictor + (scale * rng.standard_t(3, size=size).T).T
    if kind == "classes":
        return np.array(list("abcd"))[(predictor + rng.gumbel(size=size)).argmax(axis=1)]
    if kind == "logistic":
        return (rng.random(size) < special.expit(predictor)).astype(int)
    if kind == "binomial":
        return rng.binomial(exposure.astype(int), special.expit(predictor)).astype(float)
    mean = np.exp(predictor) * (1.0 if exposure is None else exposure)
    if kind == "gamma":
        return mean * rng.gamma(5.0, 1 / 5.0, size=size)
    if kind == "inverse_gaussian":
        return rng.wald(mean, 5.0, size=size)
    if kind == "negative_binomial":
        mean = mean * rng.gamma(3.0, 1 / 3.0, size=size)
    return rng.poisson(mean).astype(float)


def two_lines(n=2000, seed=0, *, unlike_units=False):
    """Two lines, weights, and labels that two logistic regressions explain."""
    rows = planted(
        n,
        gate=[-1 / 0.3, 0, 0, 0],
        coef=[[0, 2, 0, 2], [0, 0, -2, 0]],
        noise=[0.3, 0.6],
        unlike_units=unlike_units,
        random_state=seed,
    )
    labels = rows.labels()
    return rows.X, rows.y, rows.weights(), labels


def two_soft_lines(n, seed=0, *, kind="normal", n_outputs=None):
    """Two lines that a soft gate parts; means of a second output are the negatives of them."""
    coef = np.array([[0.0, -1.0, -2.0], [0.0, 2.0, 2.0]])
    if n_outputs == 2:
        coef = np.stack([coef, -coef], axis=2)
    truth = {"gate": [3, 0, 0], "coef": coef, "noise": [0.6, 0.3]}
    return planted(n, 2, kind=kind, random_state=seed, **truth)


def linear_models(kind, n, p, seed, *, n_test, regimes=1, level=0.0, **params):
    """Rows of a generalised linear model, or of two behind a soft border, and ``n_test`` more."""
    signs = np.array([[-1.0], [1.0]]) if regimes == 2 else np.ones((2, 1))

    def draw(rng):
        slopes = rng.normal(size=p)
        slopes *= 0.8 / np.linalg.norm(slopes)
        return np.column_stack([signs * slopes, level + signs / 2])

    truth = {"kind": kind, "gate": [4.0, *np.zeros(p)], "coef": draw}
    return planted(n + n_test, p, random_state=[seed, n, p, regimes], **truth, **params)


def rows_and_start(kind, n=900, *, n_experts=3, random_state=0, share=0.5):
    """Rows in columns of unlike units, weights, and responsibilities, ``share`` of them true."""
    truth = {
        "line": {},
        "outputs": {"coef": 1.0, "n_outputs": 3, "noise": 0.3},
        "counts": {"coef": 0.5, "kind": "poisson"},
        "gamma": {"coef": 1.0, "kind": "gamma"},
        "two": {"kind": "logistic"},
        "three": {"n_outputs": 3, "kind": "classes"},
    }[kind]
    rows = planted(n, n_experts=n_experts, unlike_units=True, random_state=random_state, **truth)
    y = rows.y
    if kind == "outputs":
        y = y * [1.0, 100.0, 0.01] + [0, 5, 0]
    elif kind == "two":
        y = np.where(y == 1, "yes", "no")
    return rows.X, y, rows.weights(), rows.near(share)


def mixed_table(n=2000, seed=0, *, with_gaps=True):
    """Two lines over numbers and kinds, of which some are missing, and labels."""
    import pandas

    rng = np.random.default_rng(seed)
    X = pandas.DataFrame({"a": rng.normal(size=n), "kind": rng.choice(["cat", "dog", "owl"], n)})
    X["b"] = rng.normal(size=n) + 3
    first = np.where(X["kind"] == "cat", 1.5, -1) + 2 * X["a"] + 0.3 * rng.logistic(size=n) > 0
    mean = np.where(first, 2 * X["b"] - 4, -2 * X["a"] + (X["kind"] == "owl"))
    y = mean + np.where(first, 0.3, 0.6) * rng.normal(size=n)
    labels = np.where(rng.random(n) < special.expit(2 * mean), "yes", "no")
    if with_gaps:
        X.loc[rng.random(n) < 0.1, "b"] = np.nan
        X.loc[rng.random(n) < 0.1, "kind"] = None
    return X, y, labels


def in_parts(*arrays, bounds=None, change=lambda X: X, **params):
    """Files that a reader finds in memory: rows up to each of the bounds; by default, two files.

    ``change`` is what the reader does to the columns of a file.
    """
    n = len(arrays[0])
    bounds = (9 * n // 20, n) if bounds is None else bounds
    slices = [slice(start, stop) for start, stop in zip((0, *bounds), bounds, strict=False)]

    def read(rows):
        X, *others = (getattr(each, "iloc", each)[rows] for each in arrays)
        return change(X), *others

    return Files(slices, reader=read, **params)
