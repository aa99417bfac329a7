"""
Prediction intervals compared with quantile boosting
====================================================

The usual way to intervals is one gradient boosting per quantile, here scikit-learn's with
``loss="quantile"``; LightGBM's works alike. A mixture around the same boosting predicts the whole
distribution with one fit. The target is the progression of diabetes in 442 patients after a year.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold

from skmoe import MixtureOfExpertsRegressor

X, y = load_diabetes(return_X_y=True)
small = {"max_iter": 60, "learning_rate": 0.05, "max_leaf_nodes": 8}
levels = [0.05, 0.5, 0.95]


def quantile_boosting(X, y, X_new):
    """Three models, one for each level."""
    models = [
        HistGradientBoostingRegressor(loss="quantile", quantile=q, **small)
        for q in levels
    ]
    return np.column_stack([m.fit(X, y).predict(X_new) for m in models])


def mixture(X, y, X_new):
    """One model, asked for three levels."""
    boosting = HistGradientBoostingRegressor(random_state=0, **small)
    moe = MixtureOfExpertsRegressor(boosting, n_experts=2, random_state=0)
    return moe.fit(X, y).predict(X_new, quantiles=levels)


# %%
# Predictions for held-out patients, in five folds. The interval score is the width plus
# a penalty for each value outside; lower is better. Quantile boosting fits the quantiles of its
# training rows, and its intervals are too narrow for new ones.

folds = list(KFold(5, shuffle=True, random_state=0).split(X))
predicted = {}
for method in (quantile_boosting, mixture):
    quantiles = np.empty((len(X), 3))
    for train, test in folds:
        quantiles[test] = method(X[train], y[train], X[test])
    predicted[method.__name__] = quantiles

print(
    f"{'':18}{'covers':>8}{'width':>7}{'interval score':>16}{'crossings':>11}"
)
for name, (low, median, high) in zip(
    predicted, (q.T for q in predicted.values()), strict=True
):
    covers = np.mean((low <= y) & (y <= high))
    miss = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    score = np.mean(high - low + 20 * miss)
    crossings = np.sum((low > median) | (median > high))
    print(
        f"{name:18}{covers:8.0%}{np.mean(high - low):7.0f}{score:16.0f}"
        f"{crossings:11d}"
    )

# %%
# Patients in the order of their predicted median; the shaded band is the 90 % interval, smoothed
# over neighbouring patients, and dots are what was observed.

figure, axes = plt.subplots(
    2, 1, figsize=(5.6, 7), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, quantiles) in zip(axes, predicted.items(), strict=True):
    order = np.argsort(quantiles[:, 1])
    window = np.ones(15) / 15
    low, median, high = (
        np.convolve(column, window, mode="valid")
        for column in quantiles[order].T
    )
    place = np.arange(len(median)) + 7
    inside = (quantiles[:, 0] <= y) & (y <= quantiles[:, 2])
    ax.fill_between(place, low, high, color="0.85")
    ax.plot(place, median, "k")
    for kind, color in [(inside, "C0"), (~inside, "C3")]:
        rows = kind[order]
        ax.plot(np.flatnonzero(rows), y[order][rows], ".", color=color, ms=5)
    ax.set_title(f"{name.replace('_', ' ')}: {inside.mean():.0%} inside")
    ax.set_ylabel("progression")
axes[1].set_xlabel("patients, by predicted median")
plt.show()
