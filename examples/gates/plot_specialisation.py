"""
Specialised trees beside one tree on all rows
=============================================

A tree splits one column at a time, and no first split of a chessboard helps: it comes to the fields
late, with few rows left for each. Clones of it can share the board, each with the fields of one
colour. On rows without regimes the same clones would only learn from fewer rows each. So one tree,
the generalist, learns from all rows, and specialists are kept beside it where the out-of-fold
log-density says that they pay.
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
    "a chessboard of two regimes": np.where(black, X[:, 2], -X[:, 2]) + noise,
    "one function": np.abs(X[:, 2]) + noise,
}
train, test = slice(0, 600), slice(600, None)

# %%
# The same estimator for both targets: trees of leaves of ten rows, and two specialists of them.

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
# On the left, the chessboard: each held-out row in the colour of the expert to which the gate gives
# most. The gate has found the fields, though no straight line divides them. In the middle, the
# target of one function: the generalist answers for all rows. On the right, why: what specialists
# add to the out-of-fold log-density, with its standard error. They are kept where the bar ends
# above zero.

names = ["generalist", "expert0", "expert1"]
colours = dict(zip(names, ["0.6", "tab:blue", "tab:orange"], strict=True))
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (name, moe) in zip(axes, moes.items(), strict=False):
    strongest = np.array(list(moe.named_experts_))[
        moe.gate_proba(X[test]).argmax(axis=1)
    ]
    for expert in names:
        of_expert = X[test][strongest == expert]
        ax.scatter(
            *of_expert[:, :2].T, s=8, color=colours[expert], label=expert
        )
    ax.set(title=name, xlabel="first feature", ylabel="second feature")
gains = [moe.specialisation_ for moe in moes.values()]
axes[2].axhline(0, color="0.8")
axes[2].errorbar(
    [0, 1],
    [s.gain for s in gains],
    [s.standard_error for s in gains],
    fmt="ko",
    capsize=8,
)
verdicts = ["kept" if s.kept else "left out" for s in gains]
axes[2].set_xticks(
    [0, 1], [f"chessboard:\n{verdicts[0]}", f"one function:\n{verdicts[1]}"]
)
axes[2].set(title="gain of specialists, nats a row", xlim=(-0.5, 1.5))
figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
)
plt.show()

# %%
# The report of the experts says it too.

print(moes["a chessboard of two regimes"].expert_report())
