"""Fits of a few thousand rows, where what surrounds the arithmetic counts: beside NumPy alone.

skmoe and the textbook EM of ``fits.py`` go on from the same responsibilities in one process, in
turn, so many times that the smallest and the median processor time are those of the programs, not
of what else the machine does::

    OMP_NUM_THREADS=1 python tests/benchmarks/small_fits.py [--repeats 40]
"""

import argparse
import time
import warnings

import numpy as np
from fits import WORDS, planted, skmoe, textbook

WORK = [
    ((500, 3, 2), "softmax"),
    ((2_000, 5, 3), "softmax"),
    ((2_000, 5, 3), "constant"),
    ((2_000, 5, 3), "logistic"),
]


def milliseconds(functions, data, kind, repeats):
    """Processor time of every repeat, by function."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            start = time.process_time_ns()
            function(*data, kind)
            if repeat > 0:  # the first one imports, and fills caches
                times[name].append((time.process_time_ns() - start) / 1e6)
    return times


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    functions = {"skmoe": skmoe, "textbook EM in NumPy": textbook}
    for (n, d, n_experts), kind in WORK:
        print(f"\n{n:,} x {d}, K = {n_experts}, {WORDS[kind]}")
        times = milliseconds(functions, planted(n, d, n_experts, kind), kind, options.repeats)
        for name, taken in times.items():
            ratio = np.median(np.divide(taken, times["skmoe"]))
            print(
                f"  {name:22s} {min(taken):7.2f} ms at least, {np.median(taken):7.2f} ms in the "
                f"median, {ratio:6.2f} x skmoe"
            )
