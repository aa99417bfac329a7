"""
Strings, missing values and a grid search
=========================================

A table of 398 cars of the years 1970 to 1982 has a column of strings, the origin, and a column with
missing numbers, the power. Miles per gallon depend on both, on the weight and on the year. Default
experts encode such a table themselves. With other experts the encoding is a step of a Pipeline, and
a grid search reaches every parameter.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from vega_datasets import local_data

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.inspection import ExpertDisplay
from skmoe.metrics import log_score

cars = local_data.cars().dropna(subset="Miles_per_Gallon")
y = cars["Miles_per_Gallon"].rename("miles per gallon")
X = pd.DataFrame(
    {
        "power": cars["Horsepower"],  # missing for six
        "weight": cars["Weight_in_lbs"] / 1000,
        "year": cars["Year"].dt.year,
        "origin": cars["Origin"],
    }
)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# The default needs no preparation. Coefficients have names, including levels. Profiles describe the
# cars of each regime: light cars, with almost one more mile each year, and heavy ones of the USA.

moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0)
moe.fit(X_train, y_train)
print(moe.coefficients())
print(moe.expert_profiles(X_train, y_train))
print(f"held-out log-score {log_score(moe, X_test, y_test):.3f}")

# %%
# The cars and the lines of the two experts, each averaged over its own cars.

ax = ExpertDisplay.from_estimator(moe, X_train, y_train, "weight").ax_
ax.set(xlabel="weight (1000 pounds)", ylabel="miles per gallon")
plt.show()

# %%
# For experts of your own, and for the gate, encoding is the first step of a Pipeline; the two may
# have different columns. (An expert may get no car of some origin, which the encoder ignores.) The
# grid has the number of experts, their penalty and that of the gate, and the whole mixture is
# cross-validated by its log-score.

encode = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["origin"]),
    (make_pipeline(SimpleImputer(), StandardScaler()), X.columns[:3]),
)
mixture = MixtureOfExpertsRegressor(
    make_pipeline(encode, Ridge()),
    gate=make_pipeline(encode, SoftmaxGate()),
    n_init=3,
    random_state=0,
)
grid = {
    "n_experts": [1, 2, 3],
    "experts__ridge__alpha": [1.0, 10.0],
    "gate__softmaxgate__alpha": [0.1, 1.0],
}
search = GridSearchCV(mixture, grid, scoring=log_score, cv=3)
search.fit(X_train, y_train)
print(search.best_params_)
print(f"held-out log-score {search.score(X_test, y_test):.3f}")

# %%
# Two experts are better than one; three gain less than the differences between folds. (With the
# best penalties for each number; the bars are one standard deviation over the folds.)

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

# %%
# Are the two kinds of cars more than a curve? Miles per gallon are the reciprocal of what a car
# needs for a mile. In gallons per 100 miles power and weight cost the same in both regimes, which
# differ in how quickly cars became thriftier, and in the size of their errors.

moe = MixtureOfExpertsRegressor(random_state=0).fit(X, 100 / y)
print(moe.coefficients())
