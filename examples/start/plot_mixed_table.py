"""
Strings, missing values and a grid search
=========================================

A table of flats has two columns of strings and a number that is often missing; the price per
square metre depends on the district. Default experts encode such a table by themselves. With
other experts the encoding is a step of a Pipeline, and a grid search reaches every parameter.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.inspection import ExpertDisplay
from skmoe.metrics import log_score

rng = np.random.default_rng(0)
n = 1200
flats = pd.DataFrame(
    {
        "area": rng.uniform(25, 140, n).round(),
        "year": rng.integers(1890, 2020, n).astype(float),
        "district": rng.choice(["centre", "north", "harbour", "park"], n),
        "heating": rng.choice(["gas", "oil", "district"], n),
    }
)
dear = flats["district"].isin(["centre", "park"])
price = np.where(dear, 60 + 7.5 * flats["area"], 40 + 3 * flats["area"])
price += np.where(dear, 40, 15) * rng.normal(size=n)
flats.loc[rng.random(n) < 0.2, "year"] = np.nan
train, test, price_train, price_test = train_test_split(
    flats, price, random_state=0
)

# %%
# The default needs no preparation. Coefficients have names, of levels too, and say what a square
# metre costs and what decides. Profiles say which flats are of one kind.

moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(
    train, price_train
)
print(moe.coefficients())
print(moe.expert_profiles(train, price_train))
print(f"held-out log-score {log_score(moe, test, price_test):.3f}")

# %%
# The flats and the lines of the two experts, each averaged over its own flats.

ax = ExpertDisplay.from_estimator(moe, train, price_train, "area").ax_
ax.set(xlabel="area (square metres)", ylabel="price (thousands)")
plt.show()

# %%
# Experts of one's own encode as the first step of a Pipeline, and so does the gate; the two may
# see different columns. The grid goes through the number of experts, their penalty and that of the
# gate, and cross-validates the whole mixture by its log-score.

encode = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["district", "heating"]),
    (SimpleImputer(add_indicator=True), ["area", "year"]),
    sparse_threshold=0,
)
mixture = MixtureOfExpertsRegressor(
    make_pipeline(encode, Ridge()),
    gate=make_pipeline(encode, SoftmaxGate()),
    n_init=6,
    max_iter=500,
    tol=1e-4,
    random_state=0,
)
grid = {
    "n_experts": [1, 2, 3],
    "experts__ridge__alpha": [0.1, 1.0, 10.0],
    "gate__softmaxgate__alpha": [0.1, 1.0],
}
search = GridSearchCV(mixture, grid, scoring=log_score, cv=3).fit(
    train, price_train
)
print(search.best_params_)
print(f"held-out log-score {search.score(test, price_test):.3f}")

# %%
# Two experts are far better than one, and three no better than two. (At the best penalties for
# each number; the bars are one standard deviation over the folds.)

results = pd.DataFrame(search.cv_results_).sort_values("rank_test_score")
best = results.drop_duplicates("param_n_experts").sort_values(
    "param_n_experts"
)
figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
ax.errorbar(
    best["param_n_experts"],
    best["mean_test_score"],
    best["std_test_score"],
    fmt="ko-",
    capsize=4,
)
ax.set(
    xlabel="number of experts",
    ylabel="log-score (nats per row)",
    xticks=[1, 2, 3],
)
plt.show()
