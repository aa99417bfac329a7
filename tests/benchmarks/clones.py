"""Clones beside a generalist, against the generalist alone with the same scales and tails.

Held-out rows of published splits, for the guide::

    OMP_NUM_THREADS=1 python tests/benchmarks/clones.py DIRECTORY [KINDS]

with a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor
from skmoe._stacking import specialisation

NAMES = ["concrete", "energy", "power_plant", "cps1985", "pwlinear", "abalone", "mcycle"]
KINDS = {
    "boosting": HistGradientBoostingRegressor(random_state=0),
    "forest": RandomForestRegressor(50, random_state=0),
    "tree": DecisionTreeRegressor(random_state=0),
    "neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor()),
}
MOST_ROWS, N_SPLITS = 1200, 3


def planted(name, seed, n=1000, n_new=2000):
    """Rows to fit and to test: a chessboard of regimes, twelve segments, or one smooth function."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n + n_new, 4))
    if name == "chessboard":
        mean = np.where(X[:, 0] * X[:, 1] > 0, 2 * X[:, 2], X[:, 3] - 2 * X[:, 2])
    elif name == "12 segments":
        slopes = 3 * np.random.default_rng(0).normal(size=(12, 2))
        mean = np.einsum("ij,ij->i", X[:, 1:3], slopes[(3 * (X[:, 0] + 2)).astype(int) % 12])
    else:
        mean = np.sin(X[:, 0]) + X[:, 1]
    y = mean + 0.3 * rng.normal(size=len(X))
    return X[:n], y[:n], X[n:], y[n:]


def splits(name, load):
    """The same of published splits, of at most ``MOST_ROWS`` rows to fit."""
    table, y, tests, _ = load(name)
    X, y, rng = np.asarray(pd.get_dummies(table), dtype=float), y.astype(float), np.random
    if not tests:
        tests = [rng.RandomState(i).permutation(len(y))[: len(y) // 10] for i in range(N_SPLITS)]
    for i, test in enumerate(tests[:N_SPLITS]):
        train = np.setdiff1d(np.arange(len(y)), test)
        train = rng.RandomState(i).permutation(train)[:MOST_ROWS]
        yield X[train], y[train], X[test], y[test]


def judge(moe, X, y):
    """RMSE, log-score and coverage of 90 % intervals."""
    low, high = moe.predict_interval(X, 0.9).T
    error = np.sqrt(np.mean((y - moe.predict(X)) ** 2))
    return error, moe.log_density(X, y).mean(), np.mean((low <= y) & (y <= high))


def main(directory, kinds):
    sys.path.insert(0, directory)
    from load import load

    warnings.simplefilter("ignore")
    tables = {name: list(splits(name, load)) for name in NAMES}
    for name in ("chessboard", "12 segments", "one function"):
        tables[name] = [planted(name, seed) for seed in range(N_SPLITS)]
    for kind in kinds:
        print(f"{kind:14}{'RMSE, of one':>16}{'log-score, of one':>20}  cover  kept  fits  CPU s")
        for name, of_name in tables.items():
            found = []
            for X, y, X_new, y_new in of_name:
                moe = MixtureOfExpertsRegressor(KINDS[kind], n_experts=3, random_state=0)
                start = time.process_time()
                moe.fit(X, y)
                seconds, kept = time.process_time() - start, moe.specialisation_.kept
                fits = moe.n_expert_fits_
                judged = judge(moe, X_new, y_new)
                alone = judged
                if kept:
                    specialisation.STANDARD_ERRORS = np.inf
                    alone = judge(moe.fit(X, y), X_new, y_new)
                    specialisation.STANDARD_ERRORS = 1.0
                found.append((*judged, *alone, kept, fits, seconds))
            error, score, cover, error_1, score_1, _, kept, fits, seconds = np.mean(found, axis=0)
            print(
                f"{name:14}{error:8.3g}{error_1:8.3g}{score:11.3f}{score_1:9.3f}{cover:7.2f}"
                f"{kept:6.1f}{fits:6.0f}{seconds:7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or list(KINDS))
