"""All benchmarks, and from them the tables and pictures of the page on time and memory.

Takes about half an hour, in which the machine should have nothing else to do::

    OMP_NUM_THREADS=1 python tests/benchmarks [--rounds 3] [--only fits]
"""

import argparse
import csv
import subprocess
import sys
import warnings
from pathlib import Path

import fits
import matplotlib
import scaling
from matplotlib import pyplot as plt
from threadpoolctl import threadpool_limits

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "doc" / "benchmarks" / "performance"
SCRIPTS = {"routing": [], "overhead": ["--short"], "serving": []}
TABLES = ("serving",)  # of these scripts
STYLES = ["o-", "s--", "^-.", "D:"]  # told apart in grey


def run_script(name):
    """Keep what a script prints."""
    command = [sys.executable, str(HERE / f"{name}.py"), *SCRIPTS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (PAGE / f"{name}.{'csv' if name in TABLES else 'txt'}").write_text(done.stdout)


def run_fits(rounds):
    """A table of seconds and ratios."""
    with open(PAGE / "fits.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["work", "contender", "CPU s", "times skmoe"])
        for title, times in fits.run(rounds):
            for name, taken in times.items():
                ratio = taken / times["skmoe"]
                writer.writerow([title, name, f"{taken:.3f}", f"{ratio:.2f}"])
                title = ""
            file.flush()


def run_scaling(rounds):
    """A picture of what an iteration takes, and the lines on threads and memory."""
    lines = list(scaling.memory_and_threads(rounds))
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    panels, styles = dict(zip(["rows", "experts"], axes, strict=True)), iter(STYLES)
    with threadpool_limits(1):
        for what, gate, sizes, times in scaling.growth(rounds):
            steep = scaling.slope(sizes, times)
            lines.append(f"an iteration by {what}, {gate} gate: slope {steep:.2f}")
            label = f"{gate} gate, slope {steep:.2f}"
            panels[what].loglog(sizes, [1e3 * t for t in times], next(styles), c="k", label=label)
    for what, panel in panels.items():
        panel.set(xlabel=what, ylabel="ms an iteration")
        panel.legend()
    panels["experts"].set_xticks(sizes, sizes)
    panels["experts"].minorticks_off()
    figure.savefig(PAGE / "scaling.svg")
    (PAGE / "scaling.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[*SCRIPTS, "fits", "scaling"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    matplotlib.rcParams["svg.hashsalt"] = "skmoe"  # the same file from the same numbers
    PAGE.mkdir(exist_ok=True)
    for name in SCRIPTS:
        if options.only in (None, name):
            run_script(name)
    if options.only in (None, "fits"):
        run_fits(options.rounds)
    if options.only in (None, "scaling"):
        run_scaling(options.rounds)
