"""How much of a fit is not an expert's own ``fit`` or ``predict``.

Four gradient-boosting experts on 20,000 rows x 10 columns, in one process::

    python tests/benchmarks/overhead.py
"""

import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from skmoe import MixtureOfExpertsRegressor


class TimedBoosting(HistGradientBoostingRegressor):
    """Boosting that adds up the time of its own calls."""

    spent = 0.0
    _running = False  # fit calls predict where it stops early: count it once

    def fit(self, X, y, sample_weight=None):
        return self._timed(super().fit, X, y, sample_weight)

    def predict(self, X):
        return self._timed(super().predict, X)

    @classmethod
    def _timed(cls, function, *args):
        if cls._running:
            return function(*args)
        cls._running, start = True, time.perf_counter()
        try:
            return function(*args)
        finally:
            cls.spent += time.perf_counter() - start
            cls._running = False


def planted(n_samples=20_000, n_features=10, n_regimes=4, seed=0):
    """Rows of four regimes, each a smooth function of its own, told apart by two columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    regime = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    slopes = rng.normal(size=(n_regimes, n_features))
    signal = np.sin(2 * np.einsum("ij,ij->i", X, slopes[regime])) + regime
    return X, signal + 0.2 * rng.normal(size=n_samples)


if __name__ == "__main__":
    X, y = planted()
    start = time.perf_counter()
    mixture = MixtureOfExpertsRegressor(TimedBoosting(), n_experts=4, random_state=0).fit(X, y)
    total = time.perf_counter() - start
    print(f"{mixture.n_expert_fits_} expert fits in {mixture.n_iter_} EM iterations")
    print(f"fit {total:.1f} s, of which experts {TimedBoosting.spent:.1f} s")
    print(f"everything else: {1 - TimedBoosting.spent / total:.1%}")
