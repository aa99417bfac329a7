"""How much of a fit is not an expert's own ``fit`` or ``predict``.

Four gradient-boosting experts on 20,000 rows x 10 columns, five folds, in processor time: clones
beside a generalist, a list of unlike ones, and clones fitted by EM::

    OMP_NUM_THREADS=1 python tests/benchmarks/overhead.py [--short] [--only lightgbm]

The short run of EM stops after two iterations, in which experts and all else cost what they do
later; the starts, once a fit, then weigh more than they would.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from skmoe import MixtureOfExpertsRegressor


class Stopwatch:
    """Mixed into an estimator: adds up the time of its own calls."""

    spent = 0.0
    _running = False  # fit calls predict where it stops early: count it once

    def fit(self, X, y, sample_weight=None):
        return self._timed(super().fit, X, y, sample_weight)

    def predict(self, X):
        return self._timed(super().predict, X)

    @staticmethod
    def _timed(function, *args):
        if Stopwatch._running:
            return function(*args)
        Stopwatch._running, start = True, time.process_time()
        try:
            return function(*args)
        finally:
            Stopwatch.spent += time.process_time() - start
            Stopwatch._running = False


class HistBoosting(Stopwatch, HistGradientBoostingRegressor):
    """Scikit-learn's."""


def boostings():
    """For each package, an expert, and the parameter in which unlike ones differ."""
    found = {"HistGradientBoosting": (HistBoosting(random_state=0), "max_leaf_nodes")}
    try:
        from lightgbm import LGBMRegressor
    except ImportError:
        print("lightgbm is not installed: left out")
        return found

    class LightGBM(Stopwatch, LGBMRegressor):
        """LightGBM, which reads the parameters of its class from the signature."""

        __init__ = LGBMRegressor.__init__

    found["LightGBM"] = LightGBM(n_jobs=1, verbose=-1), "num_leaves"
    return found


def mixtures(expert, size, max_iter):
    """Mixtures of four, by what is done with them."""
    unlike = [
        (f"{size} {leaves}", type(expert)(**{**expert.get_params(), size: leaves}))
        for leaves in (7, 15, 31, 63)
    ]
    return {
        "clones": MixtureOfExpertsRegressor(expert, 4, random_state=0),
        "unlike": MixtureOfExpertsRegressor(unlike, random_state=0),
        "by EM": MixtureOfExpertsRegressor(
            expert, 4, training="em", max_iter=max_iter, random_state=0
        ),
    }


def planted(n_samples=20_000, n_features=10, n_regimes=4, seed=0):
    """Rows of four regimes, each a smooth function of its own, told apart by two columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    regime = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    slopes = rng.normal(size=(n_regimes, n_features))
    signal = np.sin(2 * np.einsum("ij,ij->i", X, slopes[regime])) + regime
    return X, signal + 0.2 * rng.normal(size=n_samples)


def main(only, max_iter):
    """Print a line for each mixture."""
    X, y = planted()
    for package, (expert, size) in boostings().items():
        for name, mixture in mixtures(expert, size, max_iter).items():
            title = f"{package}, {name}"
            if only.lower() not in title.lower():
                continue
            Stopwatch.spent, start = 0.0, time.process_time()
            mixture.fit(X, y)
            total = time.process_time() - start
            other = total - Stopwatch.spent
            print(
                f"{title}: {mixture.n_expert_fits_} expert fits, {total:.1f} s; "
                f"all but these {other:.2f} s, {other / total:.1%}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two EM iterations")
    parser.add_argument("--only", default="", help="part of a title")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    main(options.only, 2 if options.short else 100)
