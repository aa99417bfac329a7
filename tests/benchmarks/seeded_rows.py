"""A mixture of eight lines on rows that are drawn anew in each pass: time, memory, recovery.

Rows of 20 float32 columns come from a reader that draws each block by its number, so that as many
can be had as one has time for, without a disk. Each number of rows has a process of its own::

    OMP_NUM_THREADS=2 python tests/benchmarks/seeded_rows.py --rows 1000000 10000000

Printed are seconds of the clock and of the processor for each pass over the rows, drawing them
included and alone, the peak of memory, and how far parameters are from the planted ones, in
standard errors: those of a sample, divided by the root of how many times more rows there are.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import log_softmax

from skmoe import MixtureOfExpertsRegressor
from skmoe.rows import Files

BLOCK_ROWS, N_COLUMNS, N_EXPERTS, NOISE = 250_000, 20, 8, 0.3
SAMPLE_ROWS = 100_000


def planted():
    """Weights of the gate and coefficients of the experts, (21, 8), intercepts first."""
    rng = np.random.default_rng(0)
    shape = N_COLUMNS + 1, N_EXPERTS
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


def draw(number, n_rows=BLOCK_ROWS):
    """X and y of a block."""
    gate, coef = planted()
    rng = np.random.default_rng([1, number])
    X = rng.standard_normal((n_rows, N_COLUMNS), dtype=np.float32)
    logits = X @ gate[1:] + gate[0]
    logits -= np.log(rng.standard_exponential(logits.shape, dtype=np.float32) + 1e-8)
    expert = logits.argmax(axis=1)  # a draw from the softmax
    y = np.einsum("ij,ji->i", X, coef[1:, expert]) + coef[0, expert]
    return X, y + NOISE * rng.standard_normal(n_rows, dtype=np.float32)


class Reader:
    """``draw``, which counts passes and the time that drawing takes."""

    def __init__(self):
        self.n_passes, self.seconds = 0, 0.0

    def __call__(self, number):
        start = time.perf_counter()
        block = draw(number)
        self.seconds += time.perf_counter() - start
        self.n_passes += number == 0
        return block


def errors(moe, n_rows):
    """Distances of slopes and of the gate's contrasts from the planted ones, in standard errors."""
    gate, coef = planted()
    found = np.stack([np.append(each.intercept_, each.coef_) for each in moe.experts_], axis=1)
    distance = ((found[:, :, None] - coef[:, None]) ** 2).sum(axis=0)
    order = linear_sum_assignment(distance)[1]  # the planted expert of each
    X, y = draw(10**9, SAMPLE_ROWS)
    table = moe.summary(X, y)
    contrasts = log_softmax(gate[:, order], axis=1)
    contrasts = (contrasts - contrasts[:, :1])[:, 1:]
    truth = {}
    for k, name in enumerate(moe.named_experts_):
        of_gate = contrasts[:, k - 1] if k else None
        against = f"gate: {name} against {next(iter(moe.named_experts_))}"
        for part, values in ((name, coef[:, order[k]]), (against, of_gate)):
            if values is not None:
                terms = ["intercept", *[f"x{j}" for j in range(N_COLUMNS)]]
                truth |= {(part, term): value for term, value in zip(terms, values, strict=True)}
    std_error = table.std_error * np.sqrt(SAMPLE_ROWS / n_rows)
    rows = zip(table.parts, table.terms, table.estimate, std_error, strict=True)
    return np.array([(e - truth[p, t]) / s for p, t, e, s in rows if (p, t) in truth])


def measure(n_rows):
    """Print the line of so many rows."""
    reader, n_blocks = Reader(), n_rows // BLOCK_ROWS
    files = Files(range(n_blocks), reader)
    moe = MixtureOfExpertsRegressor(n_experts=N_EXPERTS, training="em", random_state=0)
    start, start_cpu = time.perf_counter(), time.process_time()
    moe.fit(files)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    passes = reader.n_passes
    z = errors(moe, n_blocks * BLOCK_ROWS)
    print(
        f"{n_blocks * BLOCK_ROWS:13,} rows  {passes} passes  {seconds / passes:.2f} s a pass "
        f"({reader.seconds / passes:.2f} of drawing), {cpu / passes:.2f} of the processor  "
        f"{n_rows / 1e6 * passes / seconds:.2f} million rows a second  {peak:.0f} MB  "
        f"{len(z)} parameters: {np.mean(np.abs(z) < 1.96):.0%} within 1.96 standard errors, "
        f"at most {np.abs(z).max():.1f}",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    numbers = parser.parse_args().rows
    for number in numbers:
        if len(numbers) == 1:
            measure(number)
        else:
            subprocess.run([sys.executable, __file__, "--rows", str(number)], check=True)
