"""
Five minutes from a table to regimes and intervals
==================================================

The table holds the sepals of 150 irises, their length and their width. Over all of them, longer
sepals are a little narrower, which is strange. We fit a mixture of experts, look at the regimes
that it finds, check how certain they are, and predict intervals.

The flowers belong to three species (Fisher, 1936), which the mixture does not see.
"""

# %%
# Fit
# ---
# The number of experts is chosen by the evidence. ``plan_`` shows the choice, the reason, and
# how much less evidence there is for other numbers: here none is a close call.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

iris = load_iris(as_frame=True)
X = iris.data[["sepal length (cm)"]]
y = iris.data["sepal width (cm)"]
moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
print(moe.plan_)

# %%
# Read the regimes
# ----------------
# There are two, and in both, longer sepals are wider. By the gate, short sepals most probably
# belong to the first; the line through all flowers therefore falls, which is Simpson's paradox.

print(moe.coefficients())

# %%
# The same with standard errors:

print(moe.summary(X, y))

# %%
# Which flowers are they? ``responsibilities`` has the probability that a row belongs to each
# regime. The regimes separate the species, which the mixture does not see: setosa is a regime of
# its own, and the other two share one line.

regime = moe.responsibilities(X, y).argmax(axis=1)
for k in range(moe.n_regimes_):
    species = iris.target_names[iris.target[regime == k]]
    names, counts = np.unique(species, return_counts=True)
    print(
        f"regime {k}:", dict(zip(names.tolist(), counts.tolist(), strict=True))
    )

# %%
# Are they reproducible? ``stability`` fits again, with other seeds and to halves of the rows.

print(moe.stability(X, y, n_resamples=5, random_state=0))

# %%
# In a picture: rows are marked by their regime, and the dotted line is that through all rows.

length, width = X.columns[0], y.name
grid = X.iloc[[0] * 80].assign(**{length: np.linspace(4.2, 8.0, 80)})
experts = list(moe.named_experts_)
of_regimes = [experts.index(names[0]) for names in moe.regimes_]
lines = moe.predict_experts(grid)[:, of_regimes]
figure, ax = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
for k, (marker, color) in enumerate([("o", "C0"), ("^", "C3")]):
    rows = regime == k
    ax.plot(
        X[rows], y[rows], marker, color=color, ms=5, alpha=0.7,
        label=f"regime {k}",
    )  # fmt: skip
    ax.plot(grid[length], lines[:, k], color=color, linewidth=3)
one = MixtureOfExpertsRegressor(n_experts=1).fit(X, y)
ax.plot(grid[length], one.predict(grid), "k:", label="one line")
ax.set(xlabel=length, ylabel=width, title="Two regimes", ylim=(1.7, 4.7))
ax.legend(loc="upper right")
plt.show()

# %%
# Predict
# -------
# The prediction for a row is a distribution, of which ``predict`` returns the mean. Sepals of 5 and
# of 6.5 centimetres:

new = X.iloc[[0, 1]].assign(**{X.columns[0]: [5.0, 6.5]})
print(moe.predict(new).round(2))

# %%
# Quantiles, an interval, and the probability of a width below three centimetres:

print(moe.predict(new, quantiles=[0.05, 0.5, 0.95]).round(2))
print(moe.predict_interval(new, level=0.9).round(2))
print(moe.predict_dist(new).cdf(3.0).round(2))

# %%
# Intervals are wide where the regime is uncertain:

figure, ax = plt.subplots(figsize=(4.8, 3.6), layout="constrained")
for level, shade in [(0.9, "0.85"), (0.5, "0.65")]:
    low, high = moe.predict_interval(grid, level=level).T
    ax.fill_between(
        grid[length], low, high, color=shade, label=f"{level:.0%} interval"
    )
ax.plot(X, y, "k.", markersize=4)
ax.plot(grid[length], moe.predict(grid), "k", label="mean")
ax.set(xlabel=length, ylabel=width, title="New flowers", ylim=(1.7, 4.7))
ax.legend(loc="upper right")
plt.show()

# %%
# Check on held-out rows
# ----------------------
# Five folds, compared with one line with Gaussian errors. The log-score is the mean log-density of
# the observed values; higher is better. The mixture explains more, and its intervals are narrower.

line = MixtureOfExpertsRegressor(n_experts=1)
print(f"{'':9}{'log-score':>10}{'R²':>6}{'90 % covers':>13}{'width':>7}")
for name, model in [("one line", line), ("mixture", moe)]:
    scores = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        model.fit(X.iloc[train], y.iloc[train])
        X_test, y_test = X.iloc[test], y.iloc[test]
        low, high = model.predict_interval(X_test, level=0.9).T
        covers = np.mean((low <= y_test) & (y_test <= high))
        score, r2 = (
            log_score(model, X_test, y_test),
            model.score(X_test, y_test),
        )
        scores.append([score, r2, covers, np.mean(high - low)])
    print(
        "{:9}{:10.2f}{:6.2f}{:13.0%}{:7.2f}".format(
            name, *np.mean(scores, axis=0)
        )
    )

# %%
# Next
# ----
# - :doc:`/guide/reading`: reports, profiles, coefficients and displays.
# - :doc:`/guide/regimes`: when several experts are one regime, and when a regime is in doubt.
# - :doc:`/guide/tables`: strings and missing values, which need no preparation.
# - :doc:`/guide/inference`: standard errors and confidence intervals.
# - :doc:`/guide/distributions`: quantiles, densities, regions and scores.
# - :doc:`/howto`: progress bars, early stopping, conformal intervals, serving.
# - :doc:`/choosing_a_call`: when another model is the better choice.
