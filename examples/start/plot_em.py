"""
The classical mixture of experts, by EM
=======================================

Experts behind a softmax gate, both trained by EM: ``training="em"``. Each iteration computes, for
every row, how probable it is that each expert made it, the responsibilities (E-step), and fits
each expert with its responsibilities as weights, and the gate with all of them as soft labels
(M-step). The likelihood never falls.

A pump runs in two regimes. Below a speed that is not known its flow rises with the speed, above it
falls; and some noise comes with both.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate

rng = np.random.default_rng(0)
speed = rng.uniform(0, 10, size=300)
rising = rng.uniform(size=300) < 1 / (1 + np.exp(3 * (speed - 6)))
flow = np.where(rising, 2 + 1.5 * speed, 20 - 1.2 * speed)
flow += 0.7 * rng.normal(size=300)
X = speed[:, None]

# %%
# Any regressor can be the expert, any gate or classifier the gate. Here both are as in the textbook
# and their number is left to BIC. ``plan`` says what will be fitted.

moe = MixtureOfExpertsRegressor(
    LinearRegression(), gate=SoftmaxGate(), training="em", random_state=0
)
print(moe.plan(X, flow))

# %%

moe.fit(X, flow)
print(moe.plan_.findings[0])
print(moe.coefficients())

# %%
# Coefficients are those of maximum likelihood, up to the small penalty of the gate's weights, with
# standard errors that account for uncertainty about which regime a row is of.

print(moe.summary(X, flow))

# %%
# Above, the lines of the experts, and rows by their responsibilities. Below, the objective of EM
# from one start, halves of the rows: it rises in every iteration, until it changes by less than
# ``tol``. ``fit`` tries ten starts by default, and goes on from the best.

one_start = MixtureOfExpertsRegressor(
    LinearRegression(),
    n_experts=2,
    training="em",
    init="kmeans_x",
    n_init=1,
    random_state=0,
).fit(X, flow)
grid = np.linspace(0, 10, 200)[:, None]
responsibilities = moe.responsibilities(X, flow)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 6), layout="constrained"
)
above.scatter(speed, flow, c=responsibilities[:, 0], cmap="coolwarm", s=10)
for k, colour in enumerate(("#b40426", "#3b4cc0")):
    gate = moe.gate_proba(grid)[:, k]
    line = np.where(gate > 0.02, moe.predict_experts(grid)[:, k], np.nan)
    above.plot(grid, line, color=colour, label=f"expert{k}")
above.set(xlabel="speed", ylabel="flow")
above.legend()
bounds = one_start.lower_bounds_
below.plot(np.arange(1, len(bounds) + 1), bounds, "o-", markersize=3)
below.set(xlabel="iteration", ylabel="objective, per row")
plt.show()

# %%
# The same with trees as experts: they could learn their rows by heart, so that in the E-step each
# row is predicted by trees that did not see it.

from sklearn.tree import DecisionTreeRegressor

trees = MixtureOfExpertsRegressor(
    DecisionTreeRegressor(min_samples_leaf=10),
    n_experts=2,
    training="em",
    random_state=0,
)
print(trees.fit(X, flow).plan_)
