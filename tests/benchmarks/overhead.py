"""How much of a fit is not an expert's own ``fit`` or ``predict``.

Four gradient-boosting experts on 20,000 rows x 10 columns, five folds, in processor time::

    OMP_NUM_THREADS=1 python tests/benchmarks/overhead.py [--short]

The short run stops after two EM iterations, in which experts and all else cost what they do later;
the starts, once a fit, then weigh more than they would.
"""

import argparse
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
        cls._running, start = True, time.process_time()
        try:
            return function(*args)
        finally:
            cls.spent += time.process_time() - start
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two EM iterations")
    max_iter = 2 if parser.parse_args().short else 100
    X, y = planted()
    mixture = MixtureOfExpertsRegressor(
        TimedBoosting(), n_experts=4, max_iter=max_iter, random_state=0
    )
    start = time.process_time()
    mixture.fit(X, y)
    total = time.process_time() - start
    print(f"{mixture.n_expert_fits_} expert fits in {mixture.n_iter_} EM iterations")
    other = total - TimedBoosting.spent
    print(f"fit {total:.1f} s, of which experts {TimedBoosting.spent:.1f} s")
    print(f"everything else: {other:.1f} s, {other / total:.1%}")
