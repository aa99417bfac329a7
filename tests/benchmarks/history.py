"""Ratios of processor time, by commit, and whether they have become worse.

Each ratio is of the shortest time of skmoe and the shortest of a reference in NumPy, scikit-learn
or LightGBM that takes turns with it, so that a slow or busy machine changes both::

    OMP_NUM_THREADS=1 python tests/benchmarks/history.py [--append | --check]

``--append`` adds a line to ``history.jsonl``, ``--check`` compares with the lines that are there:
what is slower than the median of the last five by half is measured twice more, and has to be slower
every time.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from fits import WORDS, by_default, planted, skmoe, textbook
from sklearn.linear_model import Ridge

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

HISTORY = Path(__file__).with_name("history.jsonl")
LIMIT = 1.5  # times the usual ratio


def work():
    """By name: what skmoe does, and the reference."""
    found = {}
    for (n, d, n_experts), kind in [
        ((500, 3, 2), "softmax"),
        ((2_000, 5, 3), "softmax"),
        ((2_000, 5, 3), "constant"),
        ((2_000, 5, 3), "logistic"),
        ((20_000, 10, 4), "softmax"),
    ]:
        data, name = planted(n, d, n_experts, kind), f"{n:,} x {d}, {WORDS[kind]}"
        found[name] = partial(skmoe, *data, kind), partial(textbook, *data, kind)
        if n == 2_000:
            found[f"{name}, default"] = partial(by_default, *data, kind), found[name][1]
    from lightgbm import LGBMClassifier, LGBMRegressor  # here: it is not always installed

    trees = {"n_jobs": 1, "verbose": -1}
    for n, d in (150, 4), (500, 3), (2_000, 5), (8_000, 10):
        X, y, _ = planted(n, d, 2, "softmax")
        models = MixtureOfExpertsRegressor(random_state=0), LGBMRegressor(**trees)
        found[f"{n:,} x {d}, default over LightGBM"] = [partial(m.fit, X, y) for m in models]
        models = MixtureOfExpertsClassifier(random_state=0), LGBMClassifier(**trees)
        found[f"{n:,} x {d}, classes over LightGBM"] = [partial(m.fit, X, y > 0) for m in models]
        if n == 500:
            three = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
            found[f"{n:,} x {d}, three classes over LightGBM"] = [
                partial(m.fit, X, three) for m in models
            ]
    X, y, _ = planted(2_000, 10, 4, "softmax")
    moe = MixtureOfExpertsRegressor(Ridge(), n_experts=4, random_state=0).fit(X, y)
    ridge = Ridge().fit(X, y)
    found["one row of four Ridge"] = partial(moe.predict, X[:1]), partial(ridge.predict, X[:1])
    levels = [0.05, 0.5, 0.95]
    found["quantiles of 2,000 rows"] = (
        partial(moe.predict, X, quantiles=levels),
        partial(textbook, X, y, np.full((len(X), 4), 0.25), "constant"),
    )
    return found


def shortest(functions, repeats):
    """The shortest processor time of each of some functions that take turns."""
    times = np.full((repeats + 1, len(functions)), np.inf)
    for i in range(repeats + 1):
        for j, function in enumerate(functions):
            start = time.process_time_ns()
            function()
            if i > 0:  # the first one imports, and fills caches
                times[i, j] = time.process_time_ns() - start
    return times.min(axis=0)


def measure(tasks, repeats=12):
    """Ratios by name."""
    found = {}
    for name, functions in tasks.items():
        ours, reference = shortest(functions, repeats)
        found[name] = round(float(ours / reference), 3)
    return found


def usual(lines):
    """The median ratio of the last five lines that have it, by name."""
    names = {name for line in lines for name in line["ratios"]}
    of = {name: [x["ratios"][name] for x in lines if name in x["ratios"]] for name in names}
    return {name: float(np.median(ratios[-5:])) for name, ratios in of.items()}


def slower(tasks, past, measure=measure, rounds=3):
    """What is slower than usual in every round, with its lowest ratio."""
    found = {name: np.inf for name in tasks if name in past}
    for _ in range(rounds):
        now = measure({name: tasks[name] for name in found})
        found = {k: min(found[k], now[k]) for k in found if now[k] > LIMIT * past[k]}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--append", action="store_true")
    group.add_argument("--check", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.check:
        past = usual([json.loads(line) for line in HISTORY.read_text().splitlines()])
        found = slower(work(), past)
        for name, ratio in found.items():
            print(f"{name}: {ratio:.2f} of the reference, usually {past[name]:.2f}")
        sys.exit(bool(found))
    command = ["git", "log", "-1", "--format=%h %cs"]
    commit, date = subprocess.run(command, capture_output=True, text=True).stdout.split()
    line = json.dumps({"commit": commit, "date": date, "ratios": measure(work())})
    print(line)
    if options.append:
        with HISTORY.open("a") as file:
            file.write(line + "\n")
