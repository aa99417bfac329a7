"""
Five minutes from a table to regimes and intervals
==================================================

The table holds 244 restaurant bills with the tip that was left and a few facts about the guests,
in four columns of strings and two of numbers. We fit a mixture of experts to it as it is, look at
the regimes that it finds, and predict intervals for new tips.

The table (Bryant and Smith, 1995) comes with plotly, ``pip install plotly``; no network is
needed.
"""

# %%
# Fit
# ---
# There is nothing to prepare: strings are encoded, missing values are imputed, and the number of
# experts is chosen by the evidence, up to the four that are the default.

import matplotlib.pyplot as plt
import numpy as np
import plotly.data
from sklearn.model_selection import KFold

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

table = plotly.data.tips()
X, y = table.drop(columns="tip"), table["tip"]
X.head()

# %%

moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
print(f"{len(moe.experts_)} experts")

# %%
# Read the regimes
# ----------------
# Two experts were found. The coefficients say how they differ: in the first regime guests leave
# 16 cents for each dollar of the bill, in the second the bill does not matter at all.

print(moe.coefficients())

# %%
# Who are they? Profiles compare the rows of each expert with all others. Guests who leave a sum
# that does not depend on the bill are mostly smokers, at dinner, with larger bills.

print(moe.expert_profiles(X, y))

# %%
# The same in a picture. ``responsibilities`` says how probable it is that a row belongs to each
# expert; rows are marked by the largest. Right, intervals for two guests at dinner on Saturday:
# they are narrow where both experts agree, and wide where they do not.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), sharey=True, layout="constrained"
)
resp = moe.responsibilities(X, y)
styles = [
    ("o", "C0", "in proportion to the bill"),
    ("^", "C3", "whatever the bill"),
]
bill = np.linspace(3, 51, 60)
for k, (marker, color, label) in enumerate(styles):
    rows = resp.argmax(axis=1) == k
    left.plot(
        X["total_bill"][rows],
        y[rows],
        marker,
        color=color,
        ms=5,
        alpha=0.7,
        label=label,
    )
    line = [
        moe.predict_experts(X[rows].assign(total_bill=b))[:, k].mean()
        for b in bill
    ]
    left.plot(bill, line, color=color, linewidth=3)
left.set(
    xlabel="total bill (dollars)", ylabel="tip (dollars)", title="Two regimes"
)
left.legend(loc="upper left")

guests = X.mode().iloc[[0] * len(bill)].assign(total_bill=bill)
for level, shade in [(0.9, "0.85"), (0.5, "0.65")]:
    low, high = moe.predict_interval(guests, level=level).T
    right.fill_between(
        bill, low, high, color=shade, label=f"{level:.0%} interval"
    )
right.plot(X["total_bill"], y, "k.", markersize=4)
right.plot(bill, moe.predict(guests), "k", label="mean")
right.set(xlabel="total bill (dollars)", title="A new table of two: intervals")
right.legend(loc="upper left")
plt.show()

# %%
# Predict
# -------
# The prediction for a row is a distribution, of which ``predict`` returns the mean. A bill of 20
# dollars and one of 45:

new = X.iloc[[0, 1]].assign(total_bill=[20.0, 45.0])
print(moe.predict(new).round(2))

# %%
# Quantiles, an interval, and the probability of a tip below two dollars:

print(moe.predict(new, quantiles=[0.05, 0.5, 0.95]).round(2))
print(moe.predict_interval(new, level=0.9).round(2))
print(moe.predict_dist(new).cdf(2.0).round(2))

# %%
# Check on held-out rows
# ----------------------
# Five folds, beside one line with Gaussian errors. The log-score is the mean log-density of what
# happened, and higher is better. The mixture has the better density and the narrower intervals,
# which cover 87 % of the tips; :ref:`conformal calibration <conformal>` guarantees 90 %.

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
# - :doc:`/guide/inference`: how many regimes, and standard errors.
# - :doc:`/howto`: progress bars, early stopping, conformal intervals, serving.
# - :doc:`/guide/when`: when another model is the better choice.
