"""
Learning from a stream of two million rows
==========================================

``partial_fit`` learns from rows that arrive in chunks: it fits the first ones from several
starts, then learns from each chunk once, without keeping it. The log-score and the memory are
compared with EM on as many rows as fit into memory. The rows are simulated, so that there are
enough of them, with a change at a known time.
"""

import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

CHUNK, N_CHUNKS = 20_000, 100


def read_chunk(number):
    """Where a file, a table of a database or a message queue would be read."""
    rng = np.random.default_rng(number)
    X = rng.normal(size=(CHUNK, 5))
    regime = (X[:, 0] + 0.5 * rng.logistic(size=CHUNK) > 0).astype(int)
    regime += (X[:, 1] + 0.5 * rng.logistic(size=CHUNK) > 1).astype(int)
    y = np.choose(regime, [X[:, 2] - 2, 2 * X[:, 3] - X[:, 2], 2 - X[:, 4]])
    return X, y + np.choose(regime, [0.4, 0.8, 0.5]) * rng.normal(size=CHUNK)


X_test, y_test = read_chunk(12_345)

# %%
# The first call gets 1,000 rows, enough to choose a start; then the chunks follow. Memory is the
# peak that Python allocates while a chunk is learned, including the chunk.

stream = MixtureOfExpertsRegressor(n_experts=3, training="em", random_state=0)
X, y = read_chunk(0)
stream.partial_fit(X[:1000], y[:1000])
rows, scores = [1000], [log_score(stream, X_test, y_test)]
held = []
tracemalloc.start()
for number in range(1, N_CHUNKS + 1):
    tracemalloc.reset_peak()
    stream.partial_fit(*read_chunk(number))
    held.append(tracemalloc.get_traced_memory()[1] / 1e6)
    rows.append(stream.n_samples_seen_)
    scores.append(log_score(stream, X_test, y_test))
tracemalloc.stop()
print(
    f"{stream.n_samples_seen_:,.0f} rows, "
    f"{min(held):.0f} to {max(held):.0f} MB for each chunk"
)

# %%
# EM on the first rows alone, as many as there may be room for:

batch_rows, batch_scores = [1000, 4000, 20_000], []
for n in batch_rows:
    batch = MixtureOfExpertsRegressor(
        n_experts=3, training="em", random_state=0
    ).fit(X[:n], y[:n])
    batch_scores.append(log_score(batch, X_test, y_test))
    print(f"EM on {n:6,} rows: {batch_scores[-1]:.4f}")
print(f"the stream:        {scores[-1]:.4f}")

# %%
# A chunk is one EM iteration, so the first one, with all its rows, does not reach what EM does on
# as many; a few chunks later the stream has passed it. The memory is that of one chunk, at the
# hundredth as at the first.

figure, (above, below) = plt.subplots(
    2, sharex=True, figsize=(6, 5), height_ratios=[2, 1], layout="constrained"
)
above.semilogx(rows, scores, "k-", label="stream, each row once")
above.semilogx(
    batch_rows,
    batch_scores,
    "o",
    mfc="w",
    color="k",
    label="EM on the first rows",
)
above.set(ylabel="held-out log-score\n(nats per row)")
above.legend(loc="lower right")
below.semilogx(rows[1:], held, "k-")
below.set(
    xlabel="rows seen",
    ylabel="memory at\nthe most (MB)",
    ylim=(0, 1.3 * max(held)),
)
plt.show()

# %%
# ``forget_factor`` is for streams that change. Here the target rises by 2 after 50,000 rows, and
# 50,000 more follow. With a memory of 2,000 rows, a factor of 1 - 1/2000, it has forgotten the old
# level by then; compared with EM on 20,000 rows without a change (above), it loses little.

for factor in (1.0, 1 - 1 / 2000):
    moe = MixtureOfExpertsRegressor(
        n_experts=3, training="em", forget_factor=factor, random_state=0
    )
    for number in range(10):
        X, y = read_chunk(number)
        shift = 2.0 if number >= 5 else 0.0
        for part in np.split(np.arange(10_000), 20):
            moe.partial_fit(X[part], y[part] + shift)
    score = log_score(moe, X_test, y_test + shift)
    print(f"forget_factor={factor}: {score:.3f} after the change")
