"""
Gates for regions that are not convex
=====================================

Two linear regimes alternate like the colours of a chessboard: one holds where both features have
the same sign, the other where the signs differ. A softmax gate separates two experts by one
straight line, which is not enough here. A Gaussian gate, a classifier as gate, or a softmax gate
on products of the features is. The rows are simulated, so that the true regions are known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import GaussianGate, SoftmaxGate
from skmoe.inspection import GateDisplay
from skmoe.metrics import log_score

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(1600, 2))
same = X[:, 0] * X[:, 1] > 0
y = np.where(same, 1 + 2 * X[:, 0], -1 + 2 * X[:, 1]) + 0.2 * rng.normal(
    size=len(X)
)
train, test = slice(0, 800), slice(800, None)

# %%
# The gate is a parameter: a gate of skmoe, any classifier with ``predict_proba``, or a Pipeline
# that ends in one of these.

gates = {
    "softmax": SoftmaxGate(),
    "Gaussian": GaussianGate(),
    "random forest": RandomForestClassifier(
        30, min_samples_leaf=10, random_state=0
    ),
    "softmax of products": make_pipeline(
        PolynomialFeatures(2, include_bias=False), SoftmaxGate()
    ),
}
moes = {
    name: MixtureOfExpertsRegressor(n_experts=2, gate=gate, random_state=0)
    for name, gate in gates.items()
}
for name, moe in moes.items():
    moe.fit(X[train], y[train])
    r2, score = moe.score(X[test], y[test]), log_score(moe, X[test], y[test])
    print(f"{name:20} held-out R² {r2:5.2f}   log-score {score:5.2f}")

# %%
# The regions in which each expert is the more probable one, pale where the gate is uncertain. The
# marks are held-out rows, by the expert of largest responsibility, and the number is the log-score.
# The Gaussian gate has round borders, the forest sharp ones along the axes.

figure, axes = plt.subplots(
    2, 2, figsize=(7, 6.6), sharex=True, sharey=True, layout="constrained"
)
rows = slice(800, 1040)
for (name, moe), ax in zip(moes.items(), axes.flat, strict=True):
    GateDisplay.from_estimator(moe, X[rows], y[rows], ax=ax)
    ax.get_legend().remove()
    ax.set(
        title=f"{name}: {log_score(moe, X[test], y[test]):.2f}",
        xlabel="",
        ylabel="",
    )
figure.supxlabel("first feature")
figure.supylabel("second feature")
figure.legend(
    *ax.get_legend_handles_labels(), loc="outside upper center", ncols=2
)
plt.show()

# %%
# The alternative is more experts: four of them with a softmax gate, which divides the plane into
# four sectors. Each line is then learned twice.

four = MixtureOfExpertsRegressor(n_experts=4, random_state=0).fit(
    X[train], y[train]
)
print(f"softmax, 4 experts: log-score {log_score(four, X[test], y[test]):.2f}")
