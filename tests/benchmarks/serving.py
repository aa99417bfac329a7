"""What a fitted mixture costs to serve, beside one of its experts: time, file and ONNX.

Regimes of which two columns decide, in eight columns and 2,000 rows; all in one process, in turn,
and by the time of the processor. It needs the extra ``onnx``::

    OMP_NUM_THREADS=1 python tests/benchmarks/serving.py > doc/benchmarks/performance/serving.csv
"""

import csv
import pickle
import sys
import time
import tracemalloc
import warnings

import numpy as np
from lightgbm import LGBMRegressor
from onnxruntime import InferenceSession, SessionOptions
from skl2onnx import to_onnx
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmoe.onnx  # noqa: F401
from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import crps_score

N_ROWS, ROUNDS = 1000, 20


def regimes(n_samples=2000):
    """Rows of two regimes, which the signs of two columns decide."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_samples, 8))
    curve, line = np.sin(3 * X[:, 2]) + X[:, 3], -2 * X[:, 2]
    return X, np.where(X[:, 0] * X[:, 1] > 0, curve, line) + 0.2 * rng.normal(size=n_samples)


def pairs():
    """Single models, by name, and the mixtures of them."""
    boosting = HistGradientBoostingRegressor(max_iter=50, random_state=0)
    light = LGBMRegressor(verbose=-1, n_jobs=1, random_state=0)
    net = MLPRegressor(hidden_layer_sizes=32, max_iter=300, random_state=0)
    net = make_pipeline(StandardScaler(), net)
    forest = RandomForestRegressor(100, min_samples_leaf=5, random_state=0)
    unlike = [("line", Ridge()), ("boosting", light), ("forest", forest)]
    mixture = MixtureOfExpertsRegressor
    return {
        "Ridge": (Ridge(), mixture(Ridge(), 4, training="em", random_state=0)),
        "LightGBM": (light, mixture(light, random_state=0)),
        "HistGradientBoosting": (boosting, mixture(boosting, 2, random_state=0)),
        "a net": (net, mixture(net, 2, random_state=0)),
        "a forest": (forest, mixture(unlike, random_state=0)),
    }


def milliseconds(calls, rounds):
    """Least processor time of each call, in turn."""
    least = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            call()  # of what others have left in the caches
            start = time.process_time()
            call()
            least[name] = min(least[name], 1e3 * (time.process_time() - start))
    return least


def session_of(model, X):
    """Bytes of a graph and a call of it for one row, or None where a converter is missing."""
    try:
        graph = to_onnx(model, X[:1].astype(np.float32)).SerializeToString()
    except RuntimeError:  # what skl2onnx and skmoe.onnx raise where a converter is missing
        return None
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return len(graph), lambda: session.run(None, {"X": X[:1].astype(np.float32)})


def memory(model):
    """Bytes that Python holds once it has read the file; LightGBM's trees are beside these."""
    file = pickle.dumps(model)
    tracemalloc.start()
    loaded = pickle.loads(file)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del loaded
    return held


def lines():
    """Rows of the table."""
    X, y = regimes()
    few = X[:N_ROWS]
    for name, (single, mixture) in pairs().items():
        mixture.fit(X, y)
        single = clone(single).fit(X, y)  # what the mixture has as parameter stays unfitted
        calls, graphs = {}, {}
        for role, model in (("single", single), ("mixture", mixture)):
            calls[role, 1] = lambda model=model: model.predict(X[:1])
            calls[role, N_ROWS] = lambda model=model: model.predict(few)
            onnx = session_of(model, X)
            if onnx is not None:
                graphs[role], calls[role, "onnx"] = onnx
        calls["mixture", "crps"] = lambda model=mixture: crps_score(model, few, y[:N_ROWS])
        least = milliseconds(calls, ROUNDS)
        sizes = {"single": len(pickle.dumps(single)), "mixture": len(pickle.dumps(mixture))}
        for role, model in (("single", single), ("mixture", mixture)):
            title = name if role == "single" else f"mixture of {len(mixture.experts_)}"
            cells = [title]
            for what in (1, N_ROWS):
                value = least[role, what]
                cells.append(f"{value:.2f} ({value / least['single', what]:.1f})")
            crps = least.get((role, "crps"))
            cells.append("" if crps is None else f"{crps:.0f}")
            cells.append(f"{sizes[role] / 1000:.0f} ({sizes[role] / sizes['single']:.1f})")
            onnx = least.get((role, "onnx"))
            cells.append("" if onnx is None else f"{onnx:.2f}")
            cells.append(f"{graphs[role] / 1000:.0f}" if role in graphs else "")
            cells.append(f"{memory(model) / 1000:.0f}")
            yield cells


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    header = ["model", "one row, ms", "1,000 rows, ms", "CRPS, ms", "file, kB", "ONNX, one row, ms"]
    header += ["ONNX, kB", "memory, kB"]
    writer.writerow(header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer.writerows(lines())
