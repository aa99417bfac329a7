"""
Hierarchical mixture of experts
===============================

A mixture is a regressor, so it can be the expert of another mixture: a gate divides the plane in
two, and within each part another gate divides again. The inner mixtures are trained and weighted
by their own density, so that the whole is one model fitted by one EM (a hierarchical mixture of
experts, Jordan and Jacobs, 1994).

Here a tree is grown level by level, until the log-score of held-out rows no longer rises.
The rows are simulated from known regions, to show whether the borders are found.
"""

# %%
# Four planes, two to the left and two to the right, where the border between the two lies
# elsewhere. Each border is a straight line, which is what a softmax gate draws.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.metrics import log_score

warnings.simplefilter(
    "ignore", ExpertCollapseWarning
)  # of leaves that no region needs


def draw(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n_samples, 2))
    right = X[:, 0] > 0
    region = 2 * right + (X[:, 1] > np.where(right, 0.8, -0.8))
    slope, level = (
        np.array([1.0, -1.0, 0.5, -2.0]),
        np.array([-4.0, -5.0, 3.0, 6.0]),
    )
    mean = slope[region] * X[:, 0] + level[region] + 0.3 * X[:, 1]
    return X, mean + 0.15 * rng.normal(size=n_samples)


X, y = draw(500, seed=0)
X_new, y_new = draw(2000, seed=1)

# %%
# Each level has the last tree as its expert. ``n_init`` starts are tried at the root; below it each
# mixture continues from the last iteration.


def tree(depth):
    mixture = None  # a leaf: linear regression
    for _ in range(depth):
        mixture = MixtureOfExpertsRegressor(
            mixture, n_experts=2, n_init=5, tol=1e-4, random_state=0
        )
    return mixture


trees = {depth: tree(depth).fit(X, y) for depth in (1, 2, 3)}
scores = {d: log_score(mixture, X_new, y_new) for d, mixture in trees.items()}
for depth, score in scores.items():
    print(f"{depth} levels: held-out log-score {score:.3f}")

# %%
# The probability of a leaf is the product of the gates' along its branch. Colours are the most
# probable leaf, and the dashed lines are the true borders.


def leaf_proba(mixture, X):
    if not isinstance(mixture, MixtureOfExpertsRegressor):
        return np.ones((len(X), 1))
    gate = mixture.gate_proba(X)
    below = [leaf_proba(expert, X) for expert in mixture.experts_]
    return np.hstack([gate[:, [k]] * proba for k, proba in enumerate(below)])


axis = np.linspace(-2, 2, 160)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
figure, axes = plt.subplots(2, 2, figsize=(5.6, 6), layout="constrained")
for panel, (depth, mixture) in zip(axes.flat, trees.items(), strict=False):
    leaf = leaf_proba(mixture, grid).argmax(axis=1).reshape(160, 160)
    panel.imshow(leaf, origin="lower", extent=(-2, 2, -2, 2), cmap="Set2")
    panel.plot([-2, 0], [-0.8, -0.8], "k--")
    panel.plot([0, 0], [-2, 2], "k--")
    panel.plot([0, 2], [0.8, 0.8], "k--")
    panel.set(
        title=f"{2**depth} leaves",
        xlabel="first column",
        ylabel="second column",
    )
axes[1, 1].plot([2**depth for depth in scores], scores.values(), "ko-")
axes[1, 1].set(
    title="held-out log-score",
    xlabel="leaves",
    xticks=[2, 4, 8],
    box_aspect=1,
)
plt.show()

# %%
# Two levels are enough. The third has surplus leaves, and the held-out score does not rise.
