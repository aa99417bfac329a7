"""How the cost of one EM iteration of linear experts grows, what a second thread gives, and memory.

Medians of processor time; of the wall clock where threads are compared::

    python tests/benchmarks/scaling.py [--rounds 3]
"""

import argparse
import time
import warnings

import numpy as np
from fits import planted
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate, SoftmaxGate

FEW, MANY = 3, 13  # EM iterations


def fit_seconds(X, y, resp, constant, max_iter, clock=time.process_time):
    """Of a fit that stops after so many iterations, from given responsibilities."""
    mixture = MixtureOfExpertsRegressor(
        LinearRegression(),
        resp.shape[1],
        gate=ConstantGate() if constant else SoftmaxGate(alpha=1e-6),
        init=lambda *args: resp,
        n_init=1,
        tol=0.0,
        max_iter=max_iter,
    )
    start = clock()
    mixture.fit(X, y)
    return clock() - start


def iteration_seconds(shape, constant, rounds, dtype=np.float64):
    """Of one EM iteration: what ten more of them take, divided by ten."""
    X, y, resp = planted(*shape, "constant" if constant else "softmax")
    X = X.astype(dtype)
    differences = [
        fit_seconds(X, y, resp, constant, MANY) - fit_seconds(X, y, resp, constant, FEW)
        for _ in range(rounds)
    ]
    return float(np.median(differences)) / (MANY - FEW)


def slope(sizes, seconds):
    """Of the logarithms, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth(rounds, largest=2_000_000):
    """(what grows, gate, sizes, seconds of an iteration) for rows and for experts."""
    rows = [n for n in (10_000, 50_000, 200_000, 1_000_000, 2_000_000) if n <= largest]
    experts = [2, 4, 8, 16, 32, 64]
    for constant in (True, False):
        gate = "constant" if constant else "softmax"
        by_rows = [iteration_seconds((n, 10, 4), constant, rounds) for n in rows]
        yield "rows", gate, rows, by_rows
        by_experts = [iteration_seconds((50_000, 5, k), constant, rounds) for k in experts]
        yield "experts", gate, experts, by_experts


def extra_memory(n_rows=2_000_000, n_columns=20, n_experts=8):
    """Peak of a fit above what there was before, as a share of X; None where Linux is not."""
    X, y, resp = planted(n_rows, n_columns, n_experts, "softmax")
    del resp
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak is now what is in use
    except OSError:
        return None
    before = peak_bytes()
    MixtureOfExpertsRegressor(n_experts=n_experts, max_iter=5, random_state=0).fit(X, y)
    return (peak_bytes() - before) / X.nbytes


def peak_bytes():
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def threads(rounds, shape=(200_000, 20, 8)):
    """Seconds of a whole fit of 30 iterations with one thread and with two."""
    data = planted(*shape, "softmax")
    taken = {1: [], 2: []}
    for _ in range(rounds):
        for n_threads, times in taken.items():
            with threadpool_limits(n_threads):
                times.append(fit_seconds(*data, False, 30, time.perf_counter))
    return {n_threads: float(np.median(times)) for n_threads, times in taken.items()}


def memory_and_threads(rounds):
    """Lines that say what a second thread gives, and how much memory a fit takes."""
    share = extra_memory()
    if share is None:
        yield "the peak of memory is read from /proc, which is not here: left out"
    else:
        yield f"memory above X and y, 2,000,000 x 20, K = 8: {share:.0%} of X"
    two = threads(rounds)
    yield f"200,000 x 20, K = 8: {two[1]:.2f} s with one thread, {two[1] / two[2]:.2f} x with two"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=2_000_000, help="most rows")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for line in memory_and_threads(options.rounds):
        print(line, flush=True)
    with threadpool_limits(1):
        for what, gate, sizes, times in growth(options.rounds, options.largest):
            each = ", ".join(f"{n:,}: {1e3 * t:.2f}" for n, t in zip(sizes, times, strict=True))
            print(
                f"ms an iteration by {what}, {gate} gate: {each}; slope {slope(sizes, times):.2f}"
            )
