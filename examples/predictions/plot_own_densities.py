"""
Experts with densities of their own
===================================

The pressure in a tank follows one of two valves, and no column shows which. Its mean lies between
the two, where the pressure never is, so that a density around the mean is poor. A mixture of lines
has the right shape; boosting predicts the curvature of the lines. In a list each expert has the
density that is better out of fold: its own, or learned scales and tails around its prediction.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import BayesianRidge

from skmoe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(1200, 2))
branch = np.where(rng.uniform(size=len(X)) < 0.4, 1, -1)
y = branch * (2 + X[:, 0]) + 0.2 * rng.normal(size=len(X))
train, test = slice(0, 500), slice(500, None)

# %%
# The same list with the mixture and without it. Scales are learned, and NaN for experts with their
# own density.

others = [
    ("boosting", HistGradientBoostingRegressor(max_iter=50)),
    ("bayes", BayesianRidge()),
]
lines = ("lines", MixtureOfExpertsRegressor(n_experts=2, random_state=0))
moes = {}
for name, experts in {"with": [lines, *others], "without": others}.items():
    moe = MixtureOfExpertsRegressor(experts, training="stack", random_state=0)
    moes[name] = moe.fit(X[train], y[train])
    score = moe.log_density(X[test], y[test]).mean()
    print(f"{name} lines: mean log-density of held-out rows {score:.2f}")
scales = zip(
    moes["with"].named_experts_, moes["with"].likelihood_.scale_, strict=True
)
print({name: round(float(scale), 2) for name, scale in scales})

# %%
# The densities at one row: two narrow peaks in place of a wide one.

x = np.array([[0.0, 0.0]])
grid = np.linspace(-4, 4, 400)
figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
near = np.abs(X[:, 0]) < 0.1
ax.hist(y[near], bins=40, density=True, color="0.85", label="rows nearby")
for name, moe in moes.items():
    distribution = moe.predict_dist(x)
    density = [distribution.pdf(value)[0] for value in grid]
    ax.plot(grid, density, label=f"{name} lines")
ax.set(xlabel="pressure", ylabel="density")
ax.legend()
plt.show()
