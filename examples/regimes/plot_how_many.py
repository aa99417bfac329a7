"""
Choosing the number of experts by BIC
=====================================

Where did people live longer in 2007 than thirty years before? The table holds life expectancy in
142 countries, and as columns what it was in 1977 and income per head (gapminder.org). Mixtures of
one to four experts are fitted, BIC chooses among them, and the coefficients of the chosen one get
confidence intervals.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from plotly.data import gapminder

from skmoe import MixtureOfExpertsRegressor
from skmoe.model_selection import select_n_experts

countries = gapminder().pivot(index="country", columns="year")
y = countries["lifeExp"][2007]
X = pd.DataFrame(
    {
        "decades of life": countries["lifeExp"][1977] / 10,
        "log income": np.log10(countries["gdpPercap"][1977]),
    }
)

# %%
# One expert is always among the candidates. Lower BIC is better; two experts are enough. ICL also
# requires that experts are well-separated groups, and chooses the same number.

moe = MixtureOfExpertsRegressor(n_init=5, training="em", random_state=0)
selection = select_n_experts(moe, X, y, range(1, 5))
print(selection)

# %%
# The summary of the mixture reads as that of a regression. Standard errors account for uncertainty
# about which country belongs to which group.

best = selection.best_estimator_
summary = best.summary(X, y)
print(summary)

# %%
# Above the criteria, below the coefficients of both experts with 95 % intervals. In one group
# countries with longer lives and larger incomes stayed ahead. In the other neither column predicts
# the outcome, and the errors are larger, by the difference of ``log_scale``. By the gate, countries
# with short lives in 1977 were likely to belong to the second.

frame = summary.to_frame()
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 6), layout="constrained"
)
results = selection.results_
for criterion, line in (("bic", "o-"), ("icl", "s--"), ("aic", "^:")):
    above.plot(
        results["n_experts"], results[criterion], line, label=criterion.upper()
    )
above.set(
    xlabel="number of experts",
    ylabel="criterion",
    xticks=results["n_experts"],
)
above.legend(loc="upper right", fontsize="small")

columns = X.columns.to_numpy()
for k, (name, marker) in enumerate(
    zip(best.named_experts_, "os", strict=True)
):
    part = frame.loc[name].loc[columns]
    places = np.arange(len(columns)) + 0.2 * (k - 0.5)
    reach = part["upper"] - part["estimate"]
    below.errorbar(
        part["estimate"],
        places,
        xerr=reach,
        fmt=marker,
        color="k",
        capsize=4,
        markersize=8,
        markerfacecolor="k" if k == 0 else "w",
        label=name,
    )
below.axvline(0, color="0.5", linewidth=1)
below.set(
    yticks=np.arange(len(columns)),
    yticklabels=columns,
    xlabel="coefficient",
    ylim=(1.6, -0.6),
)
below.legend(loc="upper left")
plt.show()

# %%
# The countries that are almost certainly in the second group. AIDS or wars cost lives in many of
# them in these years, which neither column shows.

resp = best.responsibilities(X, y)[:, 1]
print(textwrap.fill("; ".join(X.index[resp > 0.99]), 79))
