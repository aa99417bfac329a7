"""Partial pooling on small tables of classes, beside logistic regression and a told K.

Held-out log-probability per row, for the guide's page on small tables. Takes some minutes::

    OMP_NUM_THREADS=1 python tests/benchmarks/small_tables_of_classes.py [DIRECTORY]

With a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``,
their published splits too.
"""

import sys
import time

import numpy as np
import pandas as pd
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier

N_TEST = 4000
TWO_CLASSES = [(60, 5, 1), (100, 10, 1), (200, 20, 1), (200, 5, 2), (500, 5, 2)]
REAL = {"german_credit": 600, "titanic": 600, "mammographic": 600, "banana": 600, "vehicle": 676}
MANY_CLASSES = [(100, 5, 3, 1, 4), (300, 10, 4, 1, 2), (500, 5, 3, 2, 3)]


def table_of_two(n, p, n_regimes, seed):
    """Rows to fit and rows to test: X, y, X_test, y_test."""
    rng = np.random.default_rng([seed, n, p, n_regimes, 3])
    X = rng.normal(size=(n + N_TEST, p))
    coef, intercept = 1.5 * rng.normal(size=(2, p)), rng.normal(size=2)
    if n_regimes == 1:
        log_odds = 0.7 * X @ coef[0] + intercept[0]
    else:
        regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
        log_odds = np.einsum("ij,ij->i", X, coef[regime]) + intercept[regime]
    y = (rng.uniform(size=len(X)) < special.expit(log_odds)).astype(int)
    return X[:n], y[:n], X[n:], y[n:]


def table_of_many(n, p, n_classes, n_regimes, seed):
    """The same of more classes."""
    rng = np.random.default_rng([seed, n, p, n_classes, n_regimes])
    X = rng.normal(size=(n + N_TEST, p))
    coef, intercept = 1.5 * rng.normal(size=(2, p, n_classes)), rng.normal(size=(2, n_classes))
    regime = np.zeros(len(X), dtype=int)
    if n_regimes == 2:
        regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
    values = np.einsum("ij,ijc->ic", X, coef[regime]) + intercept[regime]
    y = (values + rng.gumbel(size=values.shape)).argmax(axis=1)
    return X[:n], y[:n], X[n:], y[n:]


def log_proba(model, X, y):
    """Mean log-probability of the classes that came."""
    return np.log(np.maximum(model.predict_proba(X)[np.arange(len(y)), y], 1e-300)).mean()


def splits(name, n_rows, load):
    """The same of three published splits, so many rows of which are to be fitted."""
    table, y, tests, _ = load(name)
    table = pd.get_dummies(table).astype(float)
    X = table.fillna(table.median()).to_numpy()
    for i, test in enumerate(tests[:3]):
        train = np.setdiff1d(np.arange(len(y)), test)
        train = np.random.RandomState(i).permutation(train)[:n_rows]
        yield X[train], y[train], X[test], y[test]


def measure(name, tables, n_told=2):
    """Print gains over logistic regression with C=1, experts found, and seconds."""
    gains, told, found, seconds = [], [], [], []
    for X, y, X_test, y_test in tables:
        line = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
        line = log_proba(line.fit(X, y), X_test, y_test)
        start = time.process_time()
        moe = MixtureOfExpertsClassifier(random_state=0).fit(X, y)
        seconds.append(time.process_time() - start)
        gains.append(log_proba(moe, X_test, y_test) - line)
        found.append(len(moe.experts_))
        moe = MixtureOfExpertsClassifier(n_experts=n_told, training="em", random_state=0).fit(X, y)
        told.append(log_proba(moe, X_test, y_test) - line)
    print(
        f"{name}: pooling {np.mean(gains):+.3f} (worst {min(gains):+.3f})  "
        f"{n_told} experts {np.mean(told):+.3f} (worst {min(told):+.3f})  "
        f"experts {found}  {np.mean(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    for n, p, n_regimes in TWO_CLASSES:
        tables = (table_of_two(n, p, n_regimes, seed) for seed in range(6))
        measure(f"two classes, {n_regimes} regimes, {n} x {p}", tables)
    for n, p, n_classes, n_regimes, n_seeds in MANY_CLASSES:
        tables = (table_of_many(n, p, n_classes, n_regimes, seed) for seed in range(n_seeds))
        measure(f"{n_classes} classes, {n_regimes} regimes, {n} x {p}", tables)
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
        from load import load

        for name, n_rows in REAL.items():
            measure(name, splits(name, n_rows, load), n_told=4)
