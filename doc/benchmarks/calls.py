"""Seconds of the calls of the page "Choosing a call", beside LightGBM and a random forest.

Each fit runs in a process of its own, on one thread, and is stopped after ``--limit`` seconds of
processor time::

    OMP_NUM_THREADS=1 python doc/benchmarks/calls.py [--limit 60]

Tables have nine columns: of numbers, or six of numbers and three of strings with 5, 7 and 9 levels.
The target depends on them by two regimes and a curve. Processor time is written to calls.csv.
"""

import argparse
import csv
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestRegressor

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

ROWS = (200, 1_000, 5_000, 20_000, 100_000)
LEVELS = (5, 7, 9)
QUIET = {"n_jobs": 1, "verbose": -1, "random_state": 0}


def table(n_rows, has_strings, seed=0):
    """Columns, and a target of two regimes."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 9)), columns=[f"x{j}" for j in range(9)])
    y = np.where(X.x0 > 0, 2 * X.x1 - X.x2, X.x2 + X.x3) + np.sin(2 * X.x4)
    for j, n_levels in enumerate(LEVELS if has_strings else (), start=6):
        level = rng.integers(n_levels, size=n_rows)
        y += rng.normal(size=n_levels)[level]
        X[f"x{j}"] = np.char.add("level", level.astype(str))
    return X, (y + 0.5 * rng.normal(size=n_rows)).to_numpy()


def for_trees(X):
    """Strings as numbers."""
    strings = X.select_dtypes(exclude="number").columns
    return X.assign(**{name: X[name].factorize(sort=True)[0] for name in strings})


def by_quantiles(X, y):
    """A model for the mean and one for each of three quantiles."""
    LGBMRegressor(**QUIET).fit(X, y)
    for alpha in (0.05, 0.5, 0.95):
        LGBMRegressor(objective="quantile", alpha=alpha, **QUIET).fit(X, y)


Mixture, seeded = MixtureOfExpertsRegressor, {"random_state": 0}
CALLS = {
    "MixtureOfExpertsRegressor()": lambda X, y: Mixture(**seeded).fit(X, y),
    "MixtureOfExpertsRegressor(n_experts=2)": lambda X, y: Mixture(n_experts=2, **seeded).fit(X, y),
    'MixtureOfExpertsRegressor("diverse")': lambda X, y: Mixture("diverse", **seeded).fit(X, y),
    "MixtureOfExpertsRegressor(LGBMRegressor())": lambda X, y: Mixture(
        LGBMRegressor(**QUIET), **seeded
    ).fit(for_trees(X), y),
    "MixtureOfExpertsClassifier()": lambda X, y: MixtureOfExpertsClassifier(**seeded).fit(X, y > 0),
    'MixtureOfExpertsClassifier("diverse")': lambda X, y: MixtureOfExpertsClassifier(
        "diverse", **seeded
    ).fit(X, y > 0),
    "LightGBM, mean": lambda X, y: LGBMRegressor(**QUIET).fit(for_trees(X), y),
    "LightGBM, mean and three quantiles": lambda X, y: by_quantiles(for_trees(X), y),
    "LightGBM, classes": lambda X, y: LGBMClassifier(**QUIET).fit(for_trees(X), y > 0),
    "random forest": lambda X, y: RandomForestRegressor(random_state=0).fit(for_trees(X), y),
}


def seconds(name, n_rows, has_strings, limit):
    """Processor time of a fit in words, or that it takes longer."""
    command = [sys.executable, __file__, "--call", name, "--rows", str(n_rows)]
    command += ["--strings"] * has_strings + ["--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        return f"> {limit}"
    done.check_returncode()
    return f"{float(done.stdout):.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--call", choices=CALLS)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--strings", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.call:
        X, y = table(options.rows, options.strings)
        most = int(time.process_time()) + options.limit
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))  # SIGXCPU, then SIGKILL
        began = time.process_time()
        CALLS[options.call](X, y)
        print(time.process_time() - began)
        return
    with open(Path(__file__).with_suffix(".csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["call", "columns", *(f"{n_rows:,}" for n_rows in ROWS)])
        for name in CALLS:
            for has_strings in (False, True):
                cells = []
                for n_rows in ROWS:
                    too_long = cells and cells[-1].startswith(">")
                    cells.append(
                        cells[-1] if too_long else seconds(name, n_rows, has_strings, options.limit)
                    )
                writer.writerow([name, "with strings" if has_strings else "numbers", *cells])
                file.flush()


if __name__ == "__main__":
    main()
