"""How long a prediction takes, of one row and of many, beside scikit-learn's own.

Mixtures of linear and of logistic experts over ten columns, and of default experts over a table of
strings beside its encoder, all in one process, in turn::

    python tests/benchmarks/latency.py
"""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

CALLS = {1: 2000, 100_000: 20}  # by the number of rows


def seconds(models, X, calls):
    """Median seconds of each model's predict, a twentieth of the calls at a time."""
    times = {name: [] for name in models}
    for _ in range(20):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(calls // 20):
                model.predict(X)
            times[name].append((time.perf_counter() - start) / (calls // 20))
    return {name: np.median(values) for name, values in times.items()}


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X = rng.normal(size=(max(CALLS), 10))
    y = np.abs(X[:, :2]).sum(axis=1) + 0.1 * rng.normal(size=len(X))
    few, label = slice(5000), y > 1.5
    models = {"Ridge": Ridge().fit(X[few], y[few])}
    for n_experts in (2, 4, 8):
        mixture = MixtureOfExpertsRegressor(Ridge(), n_experts, random_state=0, max_iter=1000)
        models[f"{n_experts} Ridge experts"] = mixture.fit(X[few], y[few])
    models["LogisticRegression"] = LogisticRegression().fit(X[few], label[few])
    mixture = MixtureOfExpertsClassifier(n_experts=4, training="em", random_state=0, max_iter=1000)
    models["4 logistic experts"] = mixture.fit(X[few], label[few])
    for n_rows, calls in CALLS.items():
        times = seconds(models, X[:n_rows], calls)
        for name, value in times.items():
            ratio = value / times["Ridge"]
            print(f"{n_rows:7d} rows  {name:20s} {value * 1e6:10.1f} us  {ratio:6.2f} x Ridge")
    table = pd.DataFrame({"dose": X[few, 0], "kind": rng.choice(list("abcdef"), 5000)})
    target = np.where(table["kind"] < "c", 1, -1) * table["dose"] + 0.1 * rng.normal(size=5000)
    mixture = MixtureOfExpertsRegressor(n_experts=4, training="em", random_state=0, max_iter=1000)
    encode = mixture.fit(table, target).gate_[:-1].transform
    models = {"encoder of strings": SimpleNamespace(predict=encode), "4 default experts": mixture}
    times = seconds(models, table[:1], 100)
    for name, value in times.items():
        ratio = value / times["encoder of strings"]
        print(f"{1:7d} rows  {name:20s} {value * 1e6:10.1f} us  {ratio:6.2f} x encoder")
