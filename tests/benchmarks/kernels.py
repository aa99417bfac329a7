"""The E-step kernel against the speed of memory.

The measure is NumPy's addition of two arrays into a third, 24 bytes moved for each number as in the
triad of the STREAM benchmark. The kernel reads two arrays of rows x experts and writes a third, and
takes two exponentials for each number. Arrays of 128 MB, in one process, in turn, on one thread::

    OMP_NUM_THREADS=1 python tests/benchmarks/kernels.py
"""

import time

import numpy as np

from skmoe._kernels._estep import e_step

NUMBERS = 2**24  # in each array
ROUNDS = 7


def nanoseconds(functions):
    """Median nanoseconds of processor time for a number, of each function."""
    times = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            start = time.process_time()
            function()
            times[name].append((time.process_time() - start) / NUMBERS * 1e9)
    return {name: np.median(values[1:]) for name, values in times.items()}


def measure(n_experts, dtype):
    """Print what a number costs in both."""
    rng = np.random.default_rng(0)
    shape = NUMBERS // n_experts, n_experts
    log_gate = (2 * rng.standard_normal(shape)).astype(dtype)
    log_density = (-2 * rng.standard_normal(shape) ** 2).astype(dtype)
    resp, log_norm, weight = np.empty_like(log_gate), np.empty(shape[0], dtype), np.ones(shape[0])
    times = nanoseconds(
        {
            "addition": lambda: np.add(log_gate, log_density, out=resp),
            "E-step": lambda: e_step(log_gate, log_density, weight, resp, log_norm, 1),
        }
    )
    print(
        f"K = {n_experts:3d}, {np.dtype(dtype)}: addition {times['addition']:.2f} ns, "
        f"E-step {times['E-step']:.2f} ns, {times['E-step'] / times['addition']:.2f} x"
    )


if __name__ == "__main__":
    for dtype in (np.float64, np.float32):
        for n_experts in (4, 8, 64):
            measure(n_experts, dtype)
