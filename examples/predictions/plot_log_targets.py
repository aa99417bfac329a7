"""
Prices: a target on a log scale
===============================

Prices of flats in old houses barely grow with their size, those in new houses do, and both vary
by a factor rather than by an amount. ``TransformedTargetRegressor`` models the logarithm for
point predictions; ``likelihood="log_normal"`` does so for the whole distribution of the price.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

rng = np.random.default_rng(0)
size = rng.uniform(30, 150, size=3000)
year = rng.uniform(1900, 2020, size=3000)
is_new = rng.logistic(size=3000) < (year - 1970) / 5
log_price = np.where(is_new, 4.2 + 0.016 * size, 4.6 + 0.002 * size)
price = np.exp(log_price + np.where(is_new, 0.25, 0.5) * rng.normal(size=3000))
X = np.column_stack([size, year])
train, test = slice(0, 1000), slice(1000, None)

# %%
# All three likelihoods give densities of the price itself, so that their scores compare. Gaussian
# errors put some of the probability below zero, and have one width for cheap and dear flats of a
# regime.

fits = {}
print(
    f"{'likelihood':12}{'log-score':>10}{'90 % covers':>13}{'below zero':>12}"
)
for likelihood in ("gaussian", "gamma", "log_normal"):
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, max_iter=500, random_state=0
    ).fit(X[train], price[train])
    fits[likelihood] = moe
    low, high = moe.predict_interval(X[test], level=0.9).T
    inside = np.mean((low <= price[test]) & (price[test] <= high))
    below = moe.predict_dist(X[test]).cdf(0.0).mean()
    score = log_score(moe, X[test], price[test])
    print(f"{likelihood:12}{score:10.3f}{inside:13.1%}{below:12.1%}")

# %%
# The coefficients of the experts are those of the logarithm; x0 is the size, x1 the year. A square
# metre more makes a new flat 1.7 % dearer (1.6 % was planted).

moe = fits["log_normal"]
print(moe.summary(X[train], price[train]))

# %%
# Above, flats of 1990 and later with the median and the central 90 %. Below, what a flat of 140
# square metres may cost, by the year of its house: around 1970 there are two prices.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
rows = year > 1990
above.plot(
    size[rows],
    price[rows],
    "o",
    color="0.6",
    markersize=2,
    label="flats since 1990",
)
grid = np.column_stack([np.linspace(30, 150, 100), np.full(100, 2005.0)])
for likelihood, dash, color in [
    ("gaussian", "--", "C3"),
    ("log_normal", "-", "k"),
]:
    low, median, high = (
        fits[likelihood].predict_quantiles(grid, [0.05, 0.5, 0.95]).T
    )
    above.plot(
        grid[:, 0], median, dash, color=color, linewidth=2.5, label=likelihood
    )
    above.plot(grid[:, 0], low, dash, color=color, linewidth=1)
    above.plot(grid[:, 0], high, dash, color=color, linewidth=1)
above.axhline(0, color="k", linewidth=0.5)
above.set(xlabel="size in square metres", ylabel="price in thousands")
above.legend(loc="upper left")

amounts = np.linspace(1, 1200, 400)
for at, dash in [(1930.0, ":"), (1970.0, "-"), (2010.0, "--")]:
    dist = moe.predict_dist(np.tile([140.0, at], (len(amounts), 1)))
    below.plot(
        amounts, dist.pdf(amounts), dash, color="k", label=f"house of {at:.0f}"
    )
below.set(xlabel="price in thousands", ylabel="density", xlim=(0, 1200))
below.legend()
plt.show()
