"""
Specialised trees added to one tree on all rows
===============================================

A tree splits one column at a time, and no first split of a chessboard helps: it reaches the fields
late, with few rows left for each. Copies of it can share the board, each with the fields of one
colour. Without regimes the same copies would only learn from fewer rows each. Therefore one tree,
the generalist, learns from all rows, and specialists are added if they raise the out-of-fold
log-density. The rows are simulated: one target has regimes, the other has none.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.tree import DecisionTreeRegressor

from skmoe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(1500, 3))
black = X[:, 0] * X[:, 1] > 0
noise = 0.1 * rng.normal(size=len(X))
targets = {
    "a chessboard": np.where(black, X[:, 2], -X[:, 2]) + noise,
    "one function": np.abs(X[:, 2]) + noise,
}
train, test = slice(0, 600), slice(600, None)

# %%
# The same estimator for both targets: trees with leaves of ten rows or more, and two specialists.

tree = DecisionTreeRegressor(min_samples_leaf=10, random_state=0)
moes = {}
for name, y in targets.items():
    moe = MixtureOfExpertsRegressor(tree, n_experts=2, random_state=0)
    moe = moe.fit(X[train], y[train])
    alone = tree.fit(X[train], y[train]).score(X[test], y[test])
    score = moe.score(X[test], y[test])
    print(f"{name}: held-out R² {score:.2f}, of one tree {alone:.2f}")
    print(moe.specialisation_, end="\n\n")
    moes[name] = moe

# %%
# Above, each held-out row in the colour of its most probable expert. On the left the gate has found
# the fields of the chessboard, though no straight line divides them. On the right, where the target
# is one function, the generalist predicts all rows. Below, the gain in out-of-fold log-density by
# specialists, with its standard error: they are kept if the bar ends above zero.

names = ["generalist", "expert0", "expert1"]
colours = dict(zip(names, ["0.6", "tab:blue", "tab:orange"], strict=True))
figure, axes = plt.subplot_mosaic(
    [list(moes), ["gain", "gain"]],
    figsize=(5.6, 6),
    height_ratios=[3, 2],
    layout="constrained",
)
for name, moe in moes.items():
    ax = axes[name]
    strongest = np.array(list(moe.named_experts_))[
        moe.gate_proba(X[test]).argmax(axis=1)
    ]
    for expert in names:
        of_expert = X[test][strongest == expert]
        ax.scatter(
            *of_expert[:, :2].T, s=8, color=colours[expert], label=expert
        )
    ax.set(title=name, xlabel="first feature", aspect="equal")
axes["a chessboard"].set_ylabel("second feature")
gains = [moe.specialisation_ for moe in moes.values()]
axes["gain"].axhline(0, color="0.8")
axes["gain"].errorbar(
    [
        f"{name}: {'kept' if moe.specialisation_.kept else 'left out'}"
        for name, moe in moes.items()
    ],
    [s.gain for s in gains],
    [s.standard_error for s in gains],
    fmt="ko",
    capsize=8,
)
axes["gain"].set(title="gain of specialists, nats a row", xlim=(-0.5, 1.5))
figure.legend(
    *axes["a chessboard"].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
)
plt.show()

# %%
# The report of the experts has the same result.

print(moes["a chessboard"].expert_report())
