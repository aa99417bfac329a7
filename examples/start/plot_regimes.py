"""
Regimes in one dimension
========================

People live longer in richer countries, but not by as much everywhere. The table holds income per
head and life expectancy of 142 countries in 2007 (gapminder.org). A mixture of lines finds two
regimes, the border between them, and how far countries are from the line in each.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from plotly.data import gapminder

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import ExpertDisplay, GateDisplay, PredictiveDisplay

countries = gapminder().query("year == 2007").set_index("country")
X = pd.DataFrame({"log10 of income": np.log10(countries["gdpPercap"])})
y = countries["lifeExp"].rename("life expectancy")

# %%
# The experts are lines, the gate is a softmax. The noise of each regime is estimated along with
# the lines and the border. Ten times the income goes with ten more years in one regime, and with
# three in the other, in which countries of the same income differ far more.

moe = MixtureOfExpertsRegressor(random_state=0).fit(X, y)

print(moe.coefficients())
print("noise:", moe.likelihood_.scale_.round(2))

# %%
# Which countries are they? The second regime is mostly Africa south of the Sahara. The mixture did
# not see the continents.

regime = moe.responsibilities(X, y).argmax(axis=1)
print(pd.crosstab(regime, countries["continent"], rownames=["regime"]))
print("Africa, regime 0:")
africa = countries["continent"] == "Africa"
print(textwrap.fill(", ".join(countries.index[africa & (regime == 0)]), 79))

# %%
# Would another seed, or half of the rows, lead to the same two? ``stability`` refits to find out.
# One half in five leads to three regimes; the rows of the two are nearly the same in all. The
# countries that change sides most have incomes at which both regimes occur.

stability = moe.stability(X, y, n_resamples=5, random_state=0)
print(stability)
changes = pd.Series(stability.changes["halves"], index=X.index)
print(changes.nlargest(5))

# %%
# Above, each row is marked by the expert with the largest responsibility, and a line is thick where
# the gate prefers its expert. Below, the gate probabilities over the income.

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
# Near the border the two regimes disagree and the gate is unsure, so the distribution of a new row
# has two peaks, and its mean is a poor summary. The standard deviation includes both the noise
# within the regimes and the distance between them.

PredictiveDisplay.from_estimator(moe, X, y)
plt.show()

for income in (1000, 5000, 20_000):
    row = pd.DataFrame({X.columns[0]: [np.log10(income)]})
    mean, std = moe.predict(row, return_std=True)
    interval = moe.predict_interval(row, level=0.9)[0]
    print(
        f"income {income}: mean {mean[0]:.1f}, sd {std[0]:.1f}, "
        f"90 % interval {interval.round(1)}"
    )

# sphinx_gallery_thumbnail_number = 1
