"""
Regimes in one dimension
========================

A machine runs in three regimes, and what it yields depends on its load in another way in each.
A mixture of three lines finds the regimes, where one gives way to the next, and how well each can
be predicted.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor

rng = np.random.default_rng(1)
load = np.sort(rng.uniform(0, 10, size=400))
regime = np.searchsorted([3.0, 6.5], load + 0.3 * rng.normal(size=400))
clean = np.choose(regime, [1 + 2 * load, 10 - load, -5 + 1.5 * load])
y = clean + np.array([0.3, 1.0, 0.5])[regime] * rng.normal(size=400)
X = load[:, None]

# %%
# The three experts are lines, the gate is a softmax. The borders and the noise of each regime are
# estimated along with the lines.

moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0).fit(X, y)

for name, line in moe.named_experts_.items():
    print(f"{name}: y = {line.intercept_:.2f} {line.coef_[0]:+.2f} load")
print("noise:", moe.likelihood_.scale_.round(2))

# %%
# Above, each row carries the mark of the expert that most likely made it, and a line is drawn
# thick where its expert answers. Below, the gate: who answers at this load, before the yield is
# known.

at = np.linspace(0, 10, 401)[:, None]
gate, lines = moe.gate_proba(at), moe.predict_experts(at)
owner = moe.responsibilities(X, y).argmax(axis=1)

figure, (above, below) = plt.subplots(
    2, sharex=True, figsize=(6, 6), height_ratios=[2, 1], layout="constrained"
)
styles = zip(["-", "--", ":"], ["o", "x", "^"], ["C0", "C3", "C2"], strict=True)
for k, (dash, marker, color) in enumerate(styles):
    rows = owner == k
    above.plot(
        load[rows], y[rows], marker, color=color, markersize=4, alpha=0.8, label=f"expert{k}"
    )
    above.plot(at, lines[:, k], dash, color="0.3", linewidth=1)
    answers = np.where(gate[:, k] > 0.5, lines[:, k], np.nan)
    above.plot(at, answers, dash, color="k", linewidth=3)
    below.plot(at, gate[:, k], dash, color="k", linewidth=2)
    below.text(at[gate[:, k] > 0.5].mean(), 0.8, f"expert{k}", ha="center")
above.set(ylabel="yield", ylim=(y.min() - 1, y.max() + 1))
figure.legend(loc="outside upper center", ncols=3)
below.set(xlabel="load", ylabel="gate probability")
plt.show()

# %%
# Near a border the two regimes disagree and the gate is unsure, so the distribution of a new row
# has two peaks; the mean between them would be a poor answer. The standard deviation counts both
# the noise within the regimes and their distance.

for value in (2.0, 3.0):
    mean, std = moe.predict([[value]], return_std=True)
    interval = moe.predict_interval([[value]], level=0.9)[0]
    print(f"load {value}: mean {mean[0]:.1f}, sd {std[0]:.1f}, 90 % interval {interval.round(1)}")
