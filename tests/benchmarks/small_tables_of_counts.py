"""Partial pooling on small tables of counts and positive targets, beside one model and a told K.

Held-out log-density per row, for the guide's page on small tables. Takes some minutes::

    OMP_NUM_THREADS=1 python tests/benchmarks/small_tables_of_counts.py
"""

import time

import numpy as np
from scipy import special, stats
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from skmoe import MixtureOfExpertsRegressor

N_TEST, N_TABLES = 4000, 6
TABLES = [
    (60, 5, 1),
    (100, 10, 1),
    (200, 5, 1),
    (60, 5, 2),
    (100, 10, 2),
    (200, 5, 2),
    (1000, 5, 2),
]
SETTINGS = {"alpha": 1e-6, "solver": "newton-cholesky", "tol": 1e-8}


def table(kind, n, p, n_regimes, seed):
    """Rows to fit and rows to test: X, y, X_test, y_test."""
    rng = np.random.default_rng([seed, n, p, n_regimes, 11])
    X, coef = rng.normal(size=(n + N_TEST, p)), rng.normal(size=(2, p))
    coef /= np.linalg.norm(coef, axis=1, keepdims=True)
    log_mean, shape = np.full(len(X), 1.0 if kind == "poisson" else 3.0), 4.0
    if n_regimes == 1:
        log_mean += 0.7 * X @ coef[0]
    else:
        coef[1] = -coef[0] + 0.3 * rng.normal(size=p) / np.sqrt(p)
        regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
        log_mean += 0.8 * np.einsum("ij,ij->i", X, coef[regime]) + regime - 0.5
        shape = np.array([4.0, 8.0])[regime]
    if kind == "poisson":
        y = rng.poisson(np.exp(log_mean)).astype(float)
    else:
        y = np.exp(log_mean) * rng.gamma(shape, size=len(X)) / shape
    return X[:n], y[:n], X[n:], y[n:]


def log_density_of_one(kind, X, y, X_test, y_test):
    """Of one generalised linear model, with the shape of highest likelihood."""
    if kind == "poisson":
        line = PoissonRegressor(**SETTINGS).fit(X, y)
        return stats.poisson.logpmf(y_test, line.predict(X_test)).mean()
    line = GammaRegressor(**SETTINGS).fit(X, y)
    shape, _, scale = stats.gamma.fit(y / line.predict(X), floc=0)
    return stats.gamma.logpdf(y_test, shape, scale=scale * line.predict(X_test)).mean()


def measure(kind, n, p, n_regimes):
    """Print gains over one model, experts found, coverage of 90 % intervals, and seconds."""
    gains, told, found, covered, seconds = [], [], [], [], []
    for seed in range(N_TABLES):
        X, y, X_test, y_test = table(kind, n, p, n_regimes, seed)
        one = log_density_of_one(kind, X, y, X_test, y_test)
        start = time.process_time()
        moe = MixtureOfExpertsRegressor(likelihood=kind, random_state=0).fit(X, y)
        seconds.append(time.process_time() - start)
        gains.append(moe.log_density(X_test, y_test).mean() - one)
        found.append(len(moe.experts_))
        low, high = moe.predict_interval(X_test, level=0.9).T
        covered.append(((low <= y_test) & (y_test <= high)).mean())
        moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=kind, pooling=False, random_state=0)
        told.append(moe.fit(X, y).log_density(X_test, y_test).mean() - one)
    print(
        f"{kind}, {n_regimes} regimes, {n} x {p}: "
        f"pooling {np.mean(gains):+.3f} (worst {min(gains):+.3f})  "
        f"two experts {np.mean(told):+.3f} (worst {min(told):+.3f})  "
        f"coverage {np.mean(covered):.2f}  experts {found}  {np.mean(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    for kind in ("poisson", "gamma"):
        for n, p, n_regimes in TABLES:
            measure(kind, n, p, n_regimes)
