"""What the passes over rows that are not in memory cost, place by place.

Ten million rows of 20 float32 columns in 40 parts, eight experts, on two threads; of fewer parts
fewer rows::

    OMP_NUM_THREADS=2 python tests/benchmarks/many_rows.py [n_parts]

Needs Dask, and pandas and pyarrow for parquet. Each place has a process of its own, whose peak of
memory is printed; it includes libraries, and what is mapped of files. "workers" are two processes
of a cluster of Dask's, which hold the rows in arrays, and whose processor time counts.
"""

import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from skmoe._data import ArrayRows
from skmoe._em.sums import PassParameters, run_pass
from skmoe.likelihoods import Gaussian
from skmoe.rows import Files
from skmoe.rows._blocks import open_rows
from skmoe.rows._look import first_look, n_drawn

N_PARTS, PART_ROWS, N_COLUMNS, N_EXPERTS = 40, 250_000, 20, 8
ROUNDS = 3
PLACES = ("memory", "npy", "parquet", "dask", "workers")


def write(folder, n_parts):
    """Random rows, as ``.npy`` and as parquet."""
    import pandas as pd

    for number in range(n_parts):
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
        X, y = (in_one_array(each) for each in paths)
        return ArrayRows(X, y, np.ones(len(y)))
    if place == "npy":
        return open_rows(Files(list(zip(*paths, strict=True))), None, None, classifies=False)
    if place == "parquet":
        files = Files(str(folder / "*.parquet"), target="y")
        return open_rows(files, None, None, classifies=False)
    import dask
    import dask.array as da
    import distributed

    mode = "r" if place == "dask" else None
    X, y = (da.concatenate([loaded(path, mode) for path in each]) for each in paths)
    if place == "workers":
        X, y = dask.persist(X, y)
        distributed.wait([X, y])
    return open_rows(X, y, None, classifies=False)


def in_one_array(paths):
    """The rows of files, without a second copy of them."""
    first = np.load(paths[0], mmap_mode="r")
    rows = np.empty((len(paths) * len(first), *first.shape[1:]), first.dtype)
    for number, path in enumerate(paths):
        rows[number * len(first) : (number + 1) * len(first)] = np.load(path, mmap_mode="r")
    return rows


def loaded(path, mode):
    """An array of Dask's of one block, which is read, or mapped, where it is computed."""
    import dask
    import dask.array as da

    array = np.load(path, mmap_mode="r")
    block = dask.delayed(np.load)(path, mmap_mode=mode)
    return da.from_delayed(block, array.shape, array.dtype)


def count(block, _):
    """A kernel that looks at nothing: what remains is reading."""
    return len(block[1])


def seconds(function, now, rounds=ROUNDS):
    """Fewest processor seconds of a call, by a clock of processor time."""
    taken = []
    for _ in range(rounds):
        start = now()
        function()
        taken.append(now() - start)
    return min(taken)


def measure(place, folder):
    """Print what a first look and two kinds of passes cost."""
    if place == "workers":
        import distributed

        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with (
            distributed.LocalCluster(**options, memory_limit="2GB") as cluster,
            distributed.Client(cluster) as client,
        ):
            _measure(place, folder, lambda: _processor_time(client))
    else:
        _measure(place, folder, time.process_time)


def _processor_time(client):
    return time.process_time() + sum(client.run(time.process_time).values())


def _measure(place, folder, now):
    rows, line = rows_in(place, folder), f"{place:8}"
    if place == "parquet":
        read = open_rows(
            Files(str(folder / "*.parquet"), target="y"),
            None,
            None,
            classifies=False,
            as_given=True,
        )
        line += f"reading {seconds(lambda: read.reduce(count, None), now, 1):.2f} s, "
    if place != "memory":
        look = False, Gaussian(), partial(n_drawn, 5000, 20 * N_EXPERTS)
        line += f"first look {seconds(lambda: rows.reduce(first_look, look), now, 1):.2f} s, "
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
        taken = seconds(lambda parameters=parameters: rows.reduce(run_pass, parameters), now)
        line += f"pass{' with curvature' if with_curvature else ''} {taken:.2f} s, "
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{line}{peak} MB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else N_PARTS)
            for place in PLACES:
                subprocess.run([sys.executable, __file__, place, folder], check=True)
