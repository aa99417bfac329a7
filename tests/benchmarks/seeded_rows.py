"""Fits of rows that are drawn anew in each pass, on no disk: time, memory and recovery.

Rows of 20 float32 columns and eight planted lines behind a softmax gate; a million and ten million,
or as many as are asked for, a billion by ``1e9``, each in a process of its own::

    OMP_NUM_THREADS=1 python tests/benchmarks/seeded_rows.py [1e6 1e7 ...]

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
from skmoe._rows.opening import open_rows
from skmoe.rows import Files

PART_ROWS, N_COLUMNS, N_EXPERTS, NOISE = 250_000, 20, 8, 0.5
N_IN_MEMORY = 20_000
drawn = np.random.default_rng(0)
GATE = 2.0 * drawn.normal(size=(N_COLUMNS, N_EXPERTS)).astype(np.float32)
COEF = drawn.normal(size=(N_EXPERTS, N_COLUMNS)).astype(np.float32)
SETTINGS = {"n_experts": N_EXPERTS, "training": "em", "random_state": 0}
starts = []  # of passes, in seconds of the processor


def part(number, n_rows=PART_ROWS):
    """X and y of the rows of a number, the same each time."""
    if number == 0:
        starts.append(time.process_time())
    rng = np.random.default_rng([1, number])
    X = rng.standard_normal((n_rows, N_COLUMNS), dtype=np.float32)
    logits = X @ GATE - np.log(rng.standard_exponential((n_rows, N_EXPERTS)))
    y = np.einsum("ij,ij->i", X, COEF[logits.argmax(axis=1)])
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


if __name__ == "__main__":
    if "--one" in sys.argv:
        measure(float(sys.argv[-1]))
    else:
        for number in sys.argv[1:] or ["1e6", "1e7"]:
            subprocess.run([sys.executable, __file__, "--one", number], check=True)
