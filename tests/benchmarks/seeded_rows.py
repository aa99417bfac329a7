"""Fits of rows that are drawn anew in each pass, on no disk: time, memory and recovery.

Rows of 20 uniform float32 columns and eight planted lines behind a softmax gate; a million and ten
million, or as many as are asked for, a billion by ``1e9``, each in a process of its own::

    OMP_NUM_THREADS=1 python tests/benchmarks/seeded_rows.py [1e6 1e7 ...]
    OMP_NUM_THREADS=1 python tests/benchmarks/seeded_rows.py --workers 1 2 4

The second line fits ten million of these rows by a reader, and by processes of a Dask cluster that
draw their own parts: seconds of the clock and of all processors for a whole fit.

Seconds are of the processor: a pass is the median of those after the first look, of which drawing
is what remains where nothing is computed. "Errors" are those of the experts' coefficients in
standard errors: the root of their mean square, which is one where estimates are as near to the
truth as can be, and the largest. The standard errors are those of ``summary`` of a fit to 20,000
rows in memory, over the square root of how many times as many rows there are.
"""

import resource
import subprocess
import sys
import time

import numpy as np
from scipy.optimize import linear_sum_assignment

from skmoe import MixtureOfExpertsRegressor
from skmoe.rows import Files
from skmoe.rows._blocks import open_rows

PART_ROWS, N_COLUMNS, N_EXPERTS, NOISE = 250_000, 20, 8, 0.5
N_IN_MEMORY = 20_000
WORKER_ROWS = 10_000_000
drawn = np.random.default_rng(0)
GATE = 2.0 * drawn.normal(size=(N_COLUMNS, N_EXPERTS)).astype(np.float32)
COEF = drawn.normal(size=(N_EXPERTS, N_COLUMNS)).astype(np.float32)
SETTINGS = {"n_experts": N_EXPERTS, "training": "em", "random_state": 0}
starts = []  # of passes, in seconds of the processor


def part(number, n_rows=PART_ROWS):
    """X and y of the rows of a number, the same each time."""
    if number == 0:
        starts.append(time.process_time())
    rng = np.random.Generator(np.random.SFC64([1, number]))
    X = rng.random((n_rows, N_COLUMNS), dtype=np.float32) - np.float32(0.5)
    X *= np.float32(np.sqrt(12.0))  # of variance 1
    shares = np.exp(X @ GATE)
    for k in range(1, N_EXPERTS):  # a column at a time, which is quicker than cumsum
        shares[:, k] += shares[:, k - 1]
    answers = (shares < rng.random((n_rows, 1), dtype=np.float32) * shares[:, -1:]).sum(axis=1)
    y = np.einsum("ij,ij->i", X, COEF[answers])
    return X, y + np.float32(NOISE) * rng.standard_normal(n_rows, dtype=np.float32)


def count(block, _):
    """A kernel that looks at nothing."""
    return len(block[1])


def in_true_order(moe):
    """Coefficients of the experts, and their numbers, in the order of the true ones."""
    found = np.array([expert.coef_ for expert in moe.experts_])
    order = linear_sum_assignment(np.abs(COEF[:, None] - found).sum(axis=2))[1]
    return found[order], order


def standard_errors():
    """Of the coefficients of the experts, with N_IN_MEMORY rows."""
    X, y = part(2**31, N_IN_MEMORY)  # rows of their own
    moe = MixtureOfExpertsRegressor(**SETTINGS, tol=1e-9).fit(X, y)
    table = moe.summary(X, y).to_frame()["std_error"]
    terms = [f"x{j}" for j in range(N_COLUMNS)]
    return np.array([table[f"expert{k}"][terms] for k in in_true_order(moe)[1]])


def measure(n_rows):
    """Print a line about so many rows."""
    files = Files(range(round(n_rows / PART_ROWS)), part)
    rows = open_rows(files, None, None, classifies=False, as_given=True)
    begin = time.process_time()
    n_rows = rows.reduce(count, None)
    drawing = time.process_time() - begin
    starts.clear()
    moe = MixtureOfExpertsRegressor(**SETTINGS, tol=1e-6).fit(files)
    total, passes = time.process_time() - starts[0], np.diff(starts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    errors = (in_true_order(moe)[0] - COEF) / standard_errors() * np.sqrt(n_rows / N_IN_MEMORY)
    print(
        f"{n_rows:,} rows: {np.median(passes[1:]):.2f} s a pass, {drawing:.2f} s of these drawing; "
        f"{len(starts)} passes, {moe.n_iter_} iterations, {total:.0f} s; {peak} MB; errors "
        f"{np.sqrt(np.mean(errors**2)):.2f}, {np.abs(errors).max():.1f} at most",
        flush=True,
    )


def measure_workers(counts):
    """Print a line for the reader, and for each number of workers."""
    import dask
    import dask.array as da
    import distributed

    numbers = range(WORKER_ROWS // PART_ROWS)
    print(f"reader: {fit_times(lambda: [time.process_time()], Files(numbers, part))}", flush=True)
    parts = [dask.delayed(part)(number) for number in numbers]
    X = [da.from_delayed(each[0], (PART_ROWS, N_COLUMNS), np.float32) for each in parts]
    y = [da.from_delayed(each[1], (PART_ROWS,), np.float32) for each in parts]
    for n_workers in counts:
        options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": ":0"}
        with (
            distributed.LocalCluster(**options, memory_limit="2GB") as cluster,
            distributed.Client(cluster) as client,
        ):
            rows = da.concatenate(X), da.concatenate(y)
            clocks = lambda client=client: client.run(time.process_time).values()  # noqa: E731
            print(f"{n_workers} workers: {fit_times(clocks, *rows)}", flush=True)


def fit_times(clocks, *rows):
    """Seconds of a fit by the clock, and of the processors that ``clocks`` reads."""
    begin, used = time.perf_counter(), sum(clocks())
    moe = MixtureOfExpertsRegressor(**SETTINGS, tol=1e-6).fit(*rows)
    taken = time.perf_counter() - begin, sum(clocks()) - used
    return f"{taken[0]:.0f} s, processors {taken[1]:.0f} s, {moe.n_iter_} iterations"


if __name__ == "__main__":
    if "--workers" in sys.argv:
        measure_workers([int(count) for count in sys.argv[2:]])
    elif "--one" in sys.argv:
        measure(float(sys.argv[-1]))
    else:
        for number in sys.argv[1:] or ["1e6", "1e7"]:
            subprocess.run([sys.executable, __file__, "--one", number], check=True)
