"""
Choosing the number of experts by BIC
=====================================

Wages rise with experience, but not for everybody in the same way. Mixtures of one to four experts
are fitted, BIC chooses among them, and the coefficients of the chosen one get confidence
intervals.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import ExpertSelectionDisplay
from skmoe.model_selection import select_n_experts

rng = np.random.default_rng(1)
n_samples = 800
X = pd.DataFrame(
    {
        "experience": rng.uniform(0, 30, size=n_samples),
        "schooling": rng.integers(9, 19, size=n_samples).astype(float),
        "commute": rng.exponential(1.0, size=n_samples),
    }
)
climbs = rng.uniform(size=n_samples) < 1 / (
    1 + np.exp(6.5 - 0.5 * X["schooling"])
)
wage = np.where(
    climbs,
    8 + 0.8 * X["experience"] + 0.5 * X["schooling"],
    10 + 0.1 * X["experience"] + 0.5 * X["schooling"],
)
y = wage + np.where(climbs, 3.0, 1.5) * rng.normal(size=n_samples)

# %%
# One expert is always among the candidates. Lower BIC is better; two experts are enough.

moe = MixtureOfExpertsRegressor(n_init=5, training="em", random_state=0)
selection = select_n_experts(moe, X, y, range(1, 5))
print(selection)

# %%
# The summary of the mixture reads as that of a regression. Standard errors account for uncertainty
# about who belongs to which group.

best = selection.best_estimator_
summary = best.summary(X, y)
print(summary)

# %%
# On the left the criteria, on the right the coefficients of both experts with their intervals of
# 95 %. Experience pays for one group alone; schooling pays for both alike, and commuting for none.
# Schooling also says who belongs to which group: its log-odds are in the last lines of the table.

frame = summary.to_frame()
figure, (left, right) = plt.subplots(
    1, 2, figsize=(7.5, 3.8), layout="constrained", width_ratios=[1, 1]
)
ExpertSelectionDisplay.from_selection(selection, ax=left)
left.set_ylim(top=1000)
left.legend(loc="upper right", fontsize="small")

columns = X.columns.to_numpy()
for k, (name, marker) in enumerate(
    zip(best.named_experts_, "os", strict=True)
):
    part = frame.loc[name].loc[columns]
    places = np.arange(len(columns)) + 0.2 * (k - 0.5)
    reach = part["upper"] - part["estimate"]
    right.errorbar(
        part["estimate"],
        places,
        xerr=reach,
        fmt=marker,
        color="k",
        capsize=4,
        markersize=8,
        markerfacecolor="k" if k == 0 else "w",
        label=name,
    )
right.axvline(0, color="0.5", linewidth=1)
right.set(
    yticks=np.arange(len(columns)),
    yticklabels=columns,
    xlabel="coefficient",
    ylim=(2.6, -0.6),
)
right.legend(loc="lower right")
plt.show()
