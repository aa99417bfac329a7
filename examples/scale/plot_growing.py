"""
Adding an expert for a new regime
=================================

A fitted mixture gets rows in a region without training rows. ``add_expert`` trains a new expert for
them, with the help of ten old rows, and leaves the old experts unchanged. The rows are simulated,
so that only the new regime differs.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

rng = np.random.default_rng(0)


def known_rows(n):
    """A machine at loads below 6: two regimes."""
    load = rng.uniform(0, 6, size=n)
    high = load + 0.3 * rng.normal(size=n) > 3
    y = np.where(high, 10 - load, 1 + 2 * load)
    return load[:, None], y + np.where(high, 0.8, 0.3) * rng.normal(size=n)


def unknown_rows(n):
    """The same machine, driven harder than before."""
    load = rng.uniform(7, 10, size=n)
    return load[:, None], 2.2 * load - 14 + 0.5 * rng.normal(size=n)


X, y = known_rows(500)
moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)

# %%
# Sixty new rows, and 2 % of the old ones, which represent the others and teach the gate where the
# new expert should not be used.

X_new, y_new = unknown_rows(60)
few = rng.choice(500, size=10, replace=False)
grown = copy.deepcopy(moe).add_expert(
    X_new, y_new, name="hard", replay=(X[few], y[few])
)

line = grown.named_experts_["hard"]
print(f"hard: y = {line.intercept_:.1f} {line.coef_[0]:+.2f} load")
print("noise:", grown.likelihood_.scale_.round(2))

# %%
# Before, the mixture extrapolates, and is overconfident and wrong in the new region. Afterwards it
# follows the new rows. Below a load of 6 nothing has changed: the old gate is drawn in grey.

at = np.linspace(-0.5, 10.5, 441)[:, None]
figure, axes = plt.subplots(
    2,
    2,
    sharex=True,
    sharey="row",
    figsize=(5.6, 5.5),
    height_ratios=[2, 1],
    layout="constrained",
)
for (above, below), mixture in zip(axes.T, [moe, grown], strict=True):
    lower, upper = mixture.predict_interval(at, level=0.9).T
    above.fill_between(
        at[:, 0], lower, upper, color="0.8", label="90 % interval"
    )
    above.plot(X, y, ".", color="C0", markersize=3)
    above.plot(X_new, y_new, "x", color="C3", markersize=5, label="new rows")
    above.plot(at, mixture.predict(at), "k-", linewidth=2, label="mean")
    names, dashes = mixture.named_experts_, ["-", "--", ":"]
    for name, share, dash in zip(
        names, mixture.gate_proba(at).T, dashes, strict=False
    ):
        below.plot(at, share, dash, color="k", linewidth=2)
        below.text(at[share > 0.5].mean(), 0.5, name, ha="center")
    below.set(xlabel="load")
axes[0, 1].plot(
    X[few], y[few], "o", mfc="none", color="k", markersize=8, label="replay"
)
axes[1, 1].plot(
    at, moe.gate_proba(at), color="0.6", linewidth=5, alpha=0.6, zorder=0
)
axes[0, 0].set(title="before", ylabel="yield", ylim=(-2, 13))
axes[0, 1].set(title="after add_expert")
axes[0, 1].legend(loc="upper left")
axes[1, 0].set(ylabel="gate probability")
plt.show()

# %%
# The log-score of the old rows is nearly unchanged, and a fit of three experts on all rows is no
# better. The proportions of the old experts among themselves are the same to the last digits.

X_all, y_all = np.concatenate([X, X_new]), np.concatenate([y, y_new])
refit = MixtureOfExpertsRegressor(n_experts=3, random_state=0).fit(
    X_all, y_all
)
test = {"known": known_rows(5000), "unknown": unknown_rows(5000)}
for kind, rows in test.items():
    scores = [log_score(mixture, *rows) for mixture in (moe, grown, refit)]
    print(
        f"{kind:8s}",
        "before {:.3f}   after {:.3f}   fitted anew {:.3f}".format(*scores),
    )

shares = grown.gate_proba(test["known"][0])[:, :2]
shares /= shares.sum(axis=1, keepdims=True)
print(
    "largest change:", np.abs(shares - moe.gate_proba(test["known"][0])).max()
)
