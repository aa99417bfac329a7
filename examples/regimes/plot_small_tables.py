"""
Partial pooling on a small table
================================

With few rows, maximum likelihood finds regimes where there are none. Partial pooling shrinks the
experts towards each other, and the evidence chooses how many there are. Two tables of sixty rows:
in the first y follows one line, in the second one of two lines, depending on the second column.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ScaleFloorWarning

rng = np.random.default_rng(3)
n_samples = 60
X = rng.uniform(-3, 3, size=(n_samples + 2000, 2))
noise = rng.normal(size=len(X))
tables = {
    "one line": X[:, 0] + noise,
    "two lines": np.where(X[:, 1] > 0, 1 + 2 * X[:, 0], -1 - X[:, 0])
    + 0.7 * noise,
}
mixtures = {
    "maximum likelihood": MixtureOfExpertsRegressor(
        n_experts=4, training="em", cv=False, random_state=0
    ),
    "pooling": MixtureOfExpertsRegressor(training="pooled", random_state=0),
}

# %%
# ``log_evidence_`` compares numbers of experts, per row. In the first table more than one expert is
# worse; in the second table the second expert gains a nat, and a third loses a tenth. By maximum
# likelihood the scales of some experts shrink to zero, with a ``ScaleFloorWarning``, which is
# silenced here.

warnings.simplefilter("ignore", ScaleFloorWarning)
fitted, densities = {}, {}
for table, y in tables.items():
    for name, mixture in mixtures.items():
        moe = clone(mixture).fit(X[:n_samples], y[:n_samples])
        fitted[table, name] = moe
        densities[table, name] = moe.log_density(
            X[n_samples:], y[n_samples:]
        ).mean()
    evidence = fitted[table, "pooling"].log_evidence_
    print(table, {k: round(value, 2) for k, value in evidence.items()})

# %%
# Bands are to hold 90 % of new targets where the second column is 1.5 (dark) or -1.5 (light), lines
# are the means. Circles are rows above zero in that column, crosses those below it. The log-density
# is the mean over 2000 new rows; higher is better. Experts without regimes lose more than half a
# nat per row: some have few rows that happen to lie close to a line, and scales that are far too
# small.

grid = np.linspace(-3, 3, 121)
figure, axes = plt.subplots(
    2, 2, figsize=(5.6, 6.0), sharex=True, sharey="row", layout="constrained"
)
for ax, ((table, name), moe) in zip(axes.ravel(), fitted.items(), strict=True):
    y, above = tables[table][:n_samples], X[:n_samples, 1] > 0
    for side, color, line in ((1.5, "0.35", "-"), (-1.5, "0.7", "--")):
        points = np.column_stack([grid, np.full_like(grid, side)])
        low, high = moe.predict_interval(points).T
        ax.fill_between(grid, low, high, color=color, alpha=0.4, linewidth=0)
        ax.plot(grid, moe.predict(points), line, color="k")
    ax.plot(X[:n_samples, 0][above], y[above], "o", color="k", markersize=4)
    ax.plot(X[:n_samples, 0][~above], y[~above], "x", color="k", markersize=5)
    number = len(moe.experts_)
    ax.set_title(
        f"{table}, {name}\n{number} expert{'s' * (number > 1)}, "
        f"log-density {densities[table, name]:.2f}"
    )
for ax in axes[1]:
    ax.set_xlabel("first column")
for ax in axes[:, 0]:
    ax.set_ylabel("y")
plt.show()
