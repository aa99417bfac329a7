"""What the passes over rows that are not in memory cost, place by place.

Two million rows of 20 float32 columns in 20 parts, eight experts, on two threads::

    OMP_NUM_THREADS=2 python tests/benchmarks/many_rows.py

Needs Dask, and pandas and pyarrow for parquet. Each place has a process of its own, whose peak of
memory is printed; it includes libraries, and what is mapped of files.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from skmoe._em.sums import PassParameters, run_pass
from skmoe._rows.arrays import ArrayRows
from skmoe._rows.look import LookParameters, first_look
from skmoe._rows.opening import open_rows
from skmoe.rows import Files

N_PARTS, PART_ROWS, N_COLUMNS, N_EXPERTS = 20, 100_000, 20, 8
ROUNDS = 4


def write(folder):
    """Random rows, as ``.npy`` and as parquet."""
    import pandas as pd

    for number in range(N_PARTS):
        rng = np.random.default_rng(number)
        X = rng.normal(size=(PART_ROWS, N_COLUMNS)).astype(np.float32)
        y = rng.normal(size=PART_ROWS).astype(np.float32)
        np.save(folder / f"X{number:02}.npy", X)
        np.save(folder / f"y{number:02}.npy", y)
        table = pd.DataFrame(X, columns=[f"c{j}" for j in range(N_COLUMNS)]).assign(y=y)
        table.to_parquet(folder / f"{number:02}.parquet", compression="lz4")


def rows_in(place, folder):
    """The rows, in memory or elsewhere: RowSource."""
    paths = [sorted(folder.glob(f"{name}*.npy")) for name in "Xy"]
    if place == "memory":
        X, y = (np.concatenate([np.load(path) for path in each]) for each in paths)
        return ArrayRows(X, y, np.ones(len(y)))
    if place == "npy":
        return open_rows(Files(list(zip(*paths, strict=True))), None, None, classifies=False)
    if place == "parquet":
        files = Files(str(folder / "*.parquet"), target="y")
        return open_rows(files, None, None, classifies=False)
    import dask.array as da

    X, y = (
        da.concatenate([da.from_array(np.load(path, mmap_mode="r"), chunks=-1) for path in each])
        for each in paths
    )
    return open_rows(X, y, None, classifies=False)


def seconds(function):
    """Fewest processor seconds of a call."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def measure(place, folder):
    """Print what a first look and two kinds of passes cost."""
    rows, line = rows_in(place, folder), f"{place:8}"
    if place != "memory":
        look = LookParameters(False, 5000, 20 * N_EXPERTS)
        line += f"first look {seconds(lambda: rows.reduce(first_look, look)):.2f} s, "
        rows.know(None)
    rng = np.random.default_rng(0)
    for with_curvature in (False, True):
        parameters = PassParameters(
            np.zeros(N_COLUMNS),
            np.ones(N_COLUMNS),
            0.5 * rng.normal(size=(N_COLUMNS + 1, N_EXPERTS)),
            rng.normal(size=(N_EXPERTS, N_COLUMNS + 1)),
            np.ones(N_EXPERTS),
            with_curvature=with_curvature,
        )
        taken = seconds(lambda parameters=parameters: rows.reduce(run_pass, parameters))
        line += f"pass{' with curvature' if with_curvature else ''} {taken:.2f} s, "
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{line}{peak} MB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            for place in ("memory", "npy", "parquet", "dask"):
                subprocess.run([sys.executable, __file__, place, folder], check=True)
