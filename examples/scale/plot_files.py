"""
Fitting files in constant memory
================================

A mixture is fitted on files that do not fit into memory: each EM iteration passes over them once
and holds one block of rows at a time. The result is that of EM on all rows in memory.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.rows import Files

# %%
# Sixteen files of 50,000 rows stand for many more. The last column is the target.

folder = Path(tempfile.mkdtemp())


def draw(number, n_rows=50_000):
    rng = np.random.default_rng(number)
    X = rng.normal(size=(n_rows, 5))
    regime = (X[:, 0] + 0.5 * rng.logistic(size=n_rows) > 0).astype(int)
    regime += (X[:, 1] + 0.5 * rng.logistic(size=n_rows) > 1).astype(int)
    y = np.choose(regime, [X[:, 2] - 2, 2 * X[:, 3] - X[:, 2], 2 - X[:, 4]])
    return X, y + np.choose(regime, [0.4, 0.8, 0.5]) * rng.normal(size=n_rows)


for number in range(16):
    np.save(
        folder / f"part-{number:02}.npy",
        np.column_stack(draw(number)).astype(np.float32),
    )
paths = sorted(folder.glob("*.npy"))
print(f"{sum(path.stat().st_size for path in paths) / 1e6:.0f} MB of files")

# %%
# Starts are tried on a sample of 5,000 rows, drawn in the first pass; then EM continues with all
# rows. ``verbose=1`` prints its progress.

files = Files(paths, target=-1, block_rows=25_000)
moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0, verbose=1)
tracemalloc.start()
moe.fit(files)
print(f"{tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB held at the most")
tracemalloc.stop()
print(moe.expert_report())

# %%
# Predictions come block by block.

squares = n_rows = 0
for mean, (_, y, _) in zip(moe.predict(files), files, strict=True):
    squares, n_rows = squares + ((y - mean) ** 2).sum(), n_rows + len(y)
print(f"error {np.sqrt(squares / n_rows):.3f} over {n_rows:,} rows")

# %%
# The peak memory of a fit does not grow with the number of rows: on one file, on four and on all
# sixteen.

n_files, held = [1, 4, 16], []
for n in n_files:
    tracemalloc.start()
    some = Files(paths[:n], target=-1, block_rows=25_000)
    MixtureOfExpertsRegressor(n_experts=3, random_state=0).fit(some)
    held.append(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()

rows = [50_000 * n for n in n_files]
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(rows, held, "ko-", label="held by the fit")
ax.plot(rows, [24e-6 * n for n in rows], "k:", label="all rows, in memory")
ax.set(xlabel="rows", ylabel="memory (MB)", ylim=(0, None), xticks=rows)
ax.set_xticks(rows, [f"{n:,}" for n in rows])
ax.legend()
plt.show()
