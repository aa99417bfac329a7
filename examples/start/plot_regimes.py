"""
Regimes in one dimension
========================

A machine runs in three regimes, in each of which its yield depends on the load in another way. A
mixture of three lines finds the regimes, the borders between them, and the noise of each.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import ExpertDisplay, GateDisplay, PredictiveDisplay

rng = np.random.default_rng(1)
load = np.sort(rng.uniform(0, 10, size=400))
regime = np.searchsorted([3.0, 6.5], load + 0.3 * rng.normal(size=400))
output = np.choose(regime, [1 + 2 * load, 10 - load, -5 + 1.5 * load])
output += np.array([0.3, 1.0, 0.5])[regime] * rng.normal(size=400)
X, y = pd.DataFrame({"load": load}), pd.Series(output, name="yield")

# %%
# The three experts are lines, the gate is a softmax. The borders and the noise of each regime are
# estimated along with the lines.

moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0).fit(X, y)

print(moe.coefficients())
print("noise:", moe.likelihood_.scale_.round(2))

# %%
# Would another seed, or half of the rows, lead to the same three? ``stability`` refits to find out.

print(moe.stability(X, y, n_resamples=5, random_state=0))

# %%
# Above, each row is marked by the expert with the largest responsibility, and a line is thick where
# the gate prefers its expert. Below, the gate probabilities over the load.

figure, (above, below) = plt.subplots(
    2, sharex=True, figsize=(6, 6), height_ratios=[2, 1], layout="constrained"
)
ExpertDisplay.from_estimator(moe, X, y, ax=above)
GateDisplay.from_estimator(moe, X, ax=below)
above.set_xlabel("")
above.legend(loc="lower right", handlelength=3.5)
below.get_legend().remove()
plt.show()

# %%
# Near a border the two regimes disagree and the gate is unsure, so the distribution of a new row
# has two peaks, and its mean is a poor summary. The standard deviation includes both the noise
# within the regimes and the distance between them.

PredictiveDisplay.from_estimator(moe, X, y)
plt.show()

for value in (2.0, 3.0):
    row = pd.DataFrame({"load": [value]})
    mean, std = moe.predict(row, return_std=True)
    interval = moe.predict_interval(row, level=0.9)[0]
    print(
        f"load {value}: mean {mean[0]:.1f}, sd {std[0]:.1f}, "
        f"90 % interval {interval.round(1)}"
    )
