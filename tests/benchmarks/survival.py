"""Censored targets: planted regimes recovered, and forests as experts beside survival forests.

Needs scikit-survival (``pip install scikit-survival``), and does nothing without it. Prints how
often all of eleven parameters are within four standard errors of the truth, how often 95 %
intervals hold them, and held-out integrated Brier scores (smaller is better) and concordance, both
scikit-survival's, of the ``sf`` that mixtures predict. Takes about ten minutes::

    OMP_NUM_THREADS=1 python tests/benchmarks/survival.py
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_censored import GATE, REGIMES, planted, within

N_TIMES = 60
N_ROWS = 800
TRUTH = np.concatenate([*([e[2], e[0], e[1], np.log(e[3])] for e in REGIMES), -GATE])


def mixture(experts, n_experts, **params):
    """A mixture of experts for times until an event."""
    return MixtureOfExpertsRegressor(
        experts, n_experts, likelihood="log_normal", random_state=0, **params
    )


def measure_recovery(n_seeds):
    """Print how far linear experts are from the planted regimes."""
    distances = []
    for seed in range(n_seeds):
        X, y, upper, _ = planted(N_ROWS, seed)
        moe = mixture(LinearRegression(), 2, tol=1e-6, n_init=5).fit(X, y, upper=upper)
        distances.append(np.abs(within(moe.summary(X, y, upper=upper), TRUTH)))
    recovered = sum(each.max() < 4 for each in distances)
    print(
        f"{N_ROWS} rows, two fifths censored: {recovered} of {n_seeds} seeds with all parameters "
        f"within four standard errors; {np.mean(np.array(distances) < 1.96):.1%} of them are in "
        "their 95 % intervals",
        flush=True,
    )


def planted_times(seed):
    """X, time, event."""
    X, y, upper, _ = planted(N_ROWS, seed)
    return X, y, np.isfinite(upper)


def real_times(load):
    """The same of a data set that scikit-survival ships, whatever the seed."""
    X, target = load()
    event, at = target.dtype.names
    X = pd.get_dummies(X, drop_first=True).to_numpy(dtype=float)
    return X, target[at].astype(float), target[event].astype(bool)


def contenders(seed):
    """Name and unfitted estimator."""
    from sksurv.ensemble import RandomSurvivalForest

    # Leaves of 15 rows: the best for either kind of forest among 3, 5 and 15.
    forest = {"n_estimators": 200, "min_samples_leaf": 15, "random_state": seed}
    return {
        "random survival forest": RandomSurvivalForest(**forest),
        "two forests as experts": mixture(RandomForestRegressor(**forest), 2),
        "two lines as experts": mixture(LinearRegression(), 2),
    }


def survival(model, X, times):
    """Probabilities (n_rows, n_times) that a fitted model gives to survival, and risks."""
    if hasattr(model, "predict_dist"):
        dist = model.predict_dist(X)
        return np.stack([dist.sf(t) for t in times], axis=1), -dist.median()
    curves = model.predict_survival_function(X, return_array=True)
    curves = np.column_stack([np.ones(len(X)), curves])
    return curves[:, np.searchsorted(model.unique_times_, times, side="right")], model.predict(X)


def measure_scores(name, rows_of, n_seeds):
    """Print the mean scores of all contenders over random thirds held out."""
    from sksurv.metrics import concordance_index_censored, integrated_brier_score
    from sksurv.util import Surv

    scores = {}
    for seed in range(n_seeds):
        X, at, event = rows_of(seed)
        order = np.random.default_rng(seed).permutation(len(at))
        longest = order[np.argmax(at[order])]  # the distribution of censoring needs it
        order = np.concatenate([[longest], order[order != longest]])
        train, test = order[: 2 * len(at) // 3], order[2 * len(at) // 3 :]
        train_target, test_target = (Surv.from_arrays(event[r], at[r]) for r in (train, test))
        times = np.linspace(*np.quantile(at[test], [0.05, 0.9]), N_TIMES)
        for contender, model in contenders(seed).items():
            start = time.process_time()
            if hasattr(model, "likelihood"):
                model.fit(X[train], at[train], upper=np.where(event, at, np.inf)[train])
            else:
                model.fit(X[train], train_target)
            seconds = time.process_time() - start
            curves, risk = survival(model, X[test], times)
            brier = integrated_brier_score(train_target, test_target, curves, times)
            index, *_ = concordance_index_censored(event[test], at[test], risk)
            scores.setdefault(contender, []).append([brier, index, seconds])
    reference = np.mean(scores["random survival forest"], axis=0)[0]
    for contender, each in scores.items():
        brier, index, seconds = np.mean(each, axis=0)
        print(
            f"{name:8} {contender:24} Brier score {brier:.4f} ({brier / reference - 1:+.1%}), "
            f"concordance {index:.3f}, {seconds:.0f} s",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--splits", type=int, default=4)
    given = parser.parse_args()
    try:
        from sksurv.datasets import load_gbsg2
    except ImportError:
        print("scikit-survival is not installed; nothing is measured.")
        return
    measure_recovery(given.seeds)
    measure_scores("planted", planted_times, given.splits)
    measure_scores("gbsg2", lambda seed: real_times(load_gbsg2), given.splits)


if __name__ == "__main__":
    main()
