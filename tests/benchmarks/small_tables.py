"""Partial pooling on small tables, with regimes and without, beside least squares and a told K.

Held-out log-density per row, six tables of each kind, for the guide's page on small tables.
Takes about two minutes::

    OMP_NUM_THREADS=1 python tests/benchmarks/small_tables.py
"""

import time

import numpy as np
from scipy import special, stats
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor

SEEDS = range(6)
N_TEST = 4000
NO_REGIMES = [(60, 5), (60, 10), (100, 10), (200, 5), (200, 10), (1000, 10)]
TWO_REGIMES = [(60, 5), (100, 10), (200, 5), (1000, 5)]


def table(n, p, n_regimes, seed):
    """Rows to fit and rows to test: X, y, X_test, y_test."""
    rng = np.random.default_rng([seed, n, p, n_regimes])
    X = rng.normal(size=(n + N_TEST, p))
    if n_regimes == 1:
        y = X @ rng.normal(size=p) + rng.normal() + rng.normal(size=len(X))
    else:
        coef, intercept = rng.normal(size=(2, p)), rng.normal(size=2)
        regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
        y = np.einsum("ij,ij->i", X, coef[regime]) + intercept[regime]
        y += 0.5 * rng.normal(size=len(X))
    return X[:n], y[:n], X[n:], y[n:]


def density_of_line(X, y, X_test, y_test):
    """Mean log-density of ordinary least squares."""
    line = LinearRegression().fit(X, y)
    variance = ((y - line.predict(X)) ** 2).sum() / (len(y) - X.shape[1] - 1)
    return stats.norm.logpdf(y_test, line.predict(X_test), np.sqrt(variance)).mean()


def measure(n, p, n_regimes):
    """Print gains over one line, coverage of 90 % intervals, experts found, and seconds."""
    gains, told, covered, found, seconds = [], [], [], [], []
    for seed in SEEDS:
        X, y, X_test, y_test = table(n, p, n_regimes, seed)
        line = density_of_line(X, y, X_test, y_test)
        start = time.process_time()
        moe = MixtureOfExpertsRegressor(training="pooled", random_state=0).fit(X, y)
        seconds.append(time.process_time() - start)
        gains.append(moe.log_density(X_test, y_test).mean() - line)
        low, high = moe.predict_interval(X_test).T
        covered.append(((low < y_test) & (y_test < high)).mean())
        found.append(len(moe.experts_))
        moe = MixtureOfExpertsRegressor(n_experts=2, training="em", random_state=0).fit(X, y)
        told.append(moe.log_density(X_test, y_test).mean() - line)
    print(
        f"{n_regimes} regimes {n:5} x {p:2}: "
        f"pooling {np.mean(gains):+.3f} (worst {min(gains):+.3f})  "
        f"two experts {np.mean(told):+.3f} (worst {min(told):+.3f})  "
        f"coverage {np.mean(covered):.2f} ({min(covered):.2f}-{max(covered):.2f})  "
        f"experts {found}  {np.mean(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    for shape in NO_REGIMES:
        measure(*shape, 1)
    for shape in TWO_REGIMES:
        measure(*shape, 2)
