"""LightGBM as experts, with and without early stopping, beside a pair of quantile models.

Held-out rows of published splits, for the guide::

    OMP_NUM_THREADS=1 python tests/benchmarks/boosting.py DIRECTORY [NAMES]

with a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``.
"""

import sys
import time
import warnings

import numpy as np
from lightgbm import LGBMRegressor

from skmoe import MixtureOfExpertsRegressor

NAMES = ["concrete", "cps1985", "energy", "abalone"]
SETTINGS = {
    "learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 10, "verbose": -1, "n_jobs": 1,
    "random_state": 0,
}  # fmt: skip
FIXED = {"n_estimators": 300}
STOPPING = {"n_estimators": 3000, "early_stopping_rounds": 30}


def quantile_pair(X, y, X_test):
    """Two models of quantiles and one of the mean: lower and upper ends, means."""

    def predict(**params):
        return LGBMRegressor(**params, **FIXED, **SETTINGS).fit(X, y).predict(X_test)

    ends = [predict(objective="quantile", alpha=alpha) for alpha in (0.05, 0.95)]
    return *ends, predict()


def mixture(trees, training):
    """The same of a mixture of two."""

    def predict(X, y, X_test):
        moe = MixtureOfExpertsRegressor(
            LGBMRegressor(**trees, **SETTINGS), 2, training=training, random_state=0
        ).fit(X, y)
        return *moe.predict_interval(X_test, 0.9).T, moe.predict(X_test)

    return predict


METHODS = {
    "pair of quantile models": quantile_pair,
    "mixture, 300 trees": mixture(FIXED, "auto"),
    "mixture, early stopping": mixture(STOPPING, "auto"),
    "by EM, early stopping": mixture(STOPPING, "em"),
}


def measure(method, X, y, X_test, y_test):
    """RMSE, share of rows that the interval holds, its mean width, and seconds."""
    begin = time.process_time()
    lower, upper, mean = method(X, y, X_test)
    seconds = time.process_time() - begin
    holds = np.mean((lower <= y_test) & (y_test <= upper))
    return np.sqrt(np.mean((mean - y_test) ** 2)), holds, np.mean(upper - lower), seconds


def main(directory, *names, n_splits=3):
    """Print a line for each table and method."""
    sys.path.insert(0, directory)
    from load import load

    warnings.simplefilter("ignore")
    print("table, method, RMSE, 90 % hold, width, seconds")
    for name in names or NAMES:
        X, y, tests, _ = load(name)
        y = np.asarray(y, dtype=float)
        X = X.astype({column: "category" for column in X.select_dtypes(exclude="number")})
        for method, predict in METHODS.items():
            results = []
            for test in tests[:n_splits]:
                train = np.setdiff1d(np.arange(len(X)), test)[:1200]
                results.append(measure(predict, X.iloc[train], y[train], X.iloc[test], y[test]))
            rmse, holds, width, seconds = np.mean(results, axis=0)
            row = f"{rmse:.3g}, {100 * holds:.0f} %, {width:.3g}, {seconds:.1f}"
            print(f"{name}, {method}, {row}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
