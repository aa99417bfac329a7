"""Partial pooling of counts, positive targets and rates, beside one model and a told K.

Held-out log-density per row, for the guide's page on small tables. Takes some minutes::

    OMP_NUM_THREADS=1 python tests/benchmarks/small_tables_of_counts.py [kind ...]
"""

import sys
import time

import numpy as np
from scipy import special, stats
from sklearn.linear_model import GammaRegressor, LogisticRegression, PoissonRegressor

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
SETTINGS = {"solver": "newton-cholesky", "tol": 1e-8}
LEVELS = {"poisson": 1.0, "gamma": 3.0, "binomial": 0.0}
MOST_TRIALS = 30


def table(kind, n, p, n_regimes, seed):
    """Rows to fit and rows to test: pairs of X, y and trials, which are None but of rates."""
    rng = np.random.default_rng([seed, n, p, n_regimes, 11])
    X, coef = rng.normal(size=(n + N_TEST, p)), rng.normal(size=(2, p))
    coef /= np.linalg.norm(coef, axis=1, keepdims=True)
    function, shape, trials = np.full(len(X), LEVELS[kind]), 4.0, None
    if n_regimes == 1:
        function += 0.7 * X @ coef[0]
    else:
        coef[1] = -coef[0] + 0.3 * rng.normal(size=p) / np.sqrt(p)
        regime = (rng.uniform(size=len(X)) < special.expit(4 * X[:, 0])).astype(int)
        function += 0.8 * np.einsum("ij,ij->i", X, coef[regime]) + regime - 0.5
        shape = np.array([4.0, 8.0])[regime]
    if kind == "poisson":
        y = rng.poisson(np.exp(function)).astype(float)
    elif kind == "binomial":
        trials = rng.integers(1, MOST_TRIALS, size=len(X))
        y = rng.binomial(trials, special.expit(function)).astype(float)
    else:
        y = np.exp(function) * rng.gamma(shape, size=len(X)) / shape
    return [
        (X[rows], y[rows], None if trials is None else trials[rows])
        for rows in (slice(n), slice(n, None))
    ]


def log_density_of_one(kind, X, y, trials, X_test, y_test, trials_test):
    """Of one generalised linear model, with the shape of highest likelihood."""
    if kind == "binomial":
        twice, labels = np.vstack([X, X]), np.repeat([1, 0], len(y))
        line = LogisticRegression(C=1e6, **SETTINGS)
        line.fit(twice, labels, sample_weight=np.append(y, trials - y))
        return stats.binom.logpmf(y_test, trials_test, line.predict_proba(X_test)[:, 1]).mean()
    if kind == "poisson":
        line = PoissonRegressor(alpha=1e-6, **SETTINGS).fit(X, y)
        return stats.poisson.logpmf(y_test, line.predict(X_test)).mean()
    line = GammaRegressor(alpha=1e-6, **SETTINGS).fit(X, y)
    shape, _, scale = stats.gamma.fit(y / line.predict(X), floc=0)
    return stats.gamma.logpdf(y_test, shape, scale=scale * line.predict(X_test)).mean()


def measure(kind, n, p, n_regimes):
    """Print gains over one model, experts found, coverage of 90 % intervals, and seconds."""
    gains, told, found, covered, seconds = [], [], [], [], []
    for seed in range(N_TABLES):
        (X, y, trials), (X_test, y_test, tried) = table(kind, n, p, n_regimes, seed)
        one = log_density_of_one(kind, X, y, trials, X_test, y_test, tried)
        start = time.process_time()
        moe = MixtureOfExpertsRegressor(likelihood=kind, random_state=0).fit(X, y, trials=trials)
        seconds.append(time.process_time() - start)
        gains.append(moe.log_density(X_test, y_test, trials=tried).mean() - one)
        found.append(len(moe.experts_))
        low, high = moe.predict_interval(X_test, level=0.9, trials=tried).T
        covered.append(((low <= y_test) & (y_test <= high)).mean())
        moe = MixtureOfExpertsRegressor(n_experts=2, likelihood=kind, training="em", random_state=0)
        moe.fit(X, y, trials=trials)
        told.append(moe.log_density(X_test, y_test, trials=tried).mean() - one)
    print(
        f"{kind}, {n_regimes} regimes, {n} x {p}: "
        f"pooling {np.mean(gains):+.3f} (worst {min(gains):+.3f})  "
        f"two experts {np.mean(told):+.3f} (worst {min(told):+.3f})  "
        f"coverage {np.mean(covered):.2f}  experts {found}  {np.mean(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    for kind in sys.argv[1:] or LEVELS:
        for n, p, n_regimes in TABLES:
            measure(kind, n, p, n_regimes)
