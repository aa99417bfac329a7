"""What sparse routing saves: 64 experts, 20,000 rows x 20 columns, in one process and thread.

Nets and forests that exist already, behind a gate which knows where each belongs::

    python tests/benchmarks/routing.py
"""

import time
import warnings

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_limits

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import SoftmaxGate

N_EXPERTS, N_ROWS, N_COLUMNS = 64, 20_000, 20


def routed_mixture(expert, rng):
    """A mixture of 64 copies of an expert, each trained on a function of its own.

    Training would learn the gate; here it is fitted to planted regions of about equal size.
    """
    experts = []
    for k in range(N_EXPERTS):
        X = rng.normal(size=(500, N_COLUMNS))
        y = X @ rng.normal(size=N_COLUMNS)
        experts.append((f"expert{k}", FrozenEstimator(expert().fit(X, y))))
    X = rng.normal(size=(4000, N_COLUMNS))
    mixture = MixtureOfExpertsRegressor(experts, cv="prefit", init="kmeans_x", n_init=1, max_iter=1)
    mixture.fit(X[:500], X[:500, 0])
    regions = (X @ rng.normal(size=(N_COLUMNS, N_EXPERTS))).argmax(axis=1)
    mixture.gate_ = SoftmaxGate().fit(X, np.eye(N_EXPERTS)[regions])
    return mixture


def seconds(call, repeats=5):
    """Processor time of the quickest of some calls."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def predict_seconds(mixture, X, top_k, **kwargs):
    mixture.set_params(top_k=top_k)
    return seconds(lambda: mixture.predict(X), **kwargs)


def own_rows_seconds(mixture, X, top_k):
    """The experts' own ``predict`` alone, each on rows that were picked out before."""
    experts, _ = mixture.set_params(top_k=top_k).route(X)
    parts = [X[(experts == k).any(axis=1)] for k in range(N_EXPERTS)]
    pairs = [pair for pair in zip(mixture.experts_, parts, strict=True) if len(pair[1])]
    return seconds(lambda: [expert.predict(part) for expert, part in pairs])


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_COLUMNS))
    print(f"{N_EXPERTS} nets of 2 x 128 units, {N_ROWS:,} rows")
    nets = routed_mixture(lambda: MLPRegressor(hidden_layer_sizes=(128, 128), max_iter=1), rng)
    dense = predict_seconds(nets, X, None, repeats=3)
    print(f"  dense  {dense:7.3f} s")
    for k in (1, 2):
        sparse = predict_seconds(nets, X, k)
        own = own_rows_seconds(nets, X, k)
        print(
            f"  top-{k}  {sparse:7.3f} s   dense / top-{k} = {dense / sparse:.1f}"
            f"   top-{k} / experts alone = {sparse / own:.2f}"
        )
    print("One row through the nets")
    for name, k in (("dense", None), ("top-2", 2)):
        latency = predict_seconds(nets, X[:1], k, repeats=50)
        print(f"  {name}  {1000 * latency:7.3f} ms")
    print(f"{N_EXPERTS} forests of 50 trees, {N_ROWS:,} rows")
    forests = routed_mixture(lambda: RandomForestRegressor(50, random_state=0), rng)
    for k in (1, 2):
        sparse, own = predict_seconds(forests, X, k), own_rows_seconds(forests, X, k)
        print(f"  top-{k}  {sparse:7.3f} s   top-{k} / experts alone = {sparse / own:.2f}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)  # nothing here has to be good
    warnings.simplefilter("ignore", ExpertCollapseWarning)
    with threadpool_limits(1):
        main()
