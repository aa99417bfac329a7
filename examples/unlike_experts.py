"""
Unlike experts, mixed
=====================

Four unlike models predict how far diabetes has progressed in 442 patients a year on. Each is tried
alone, then a stack of all four, the stack with a scale for each patient and Student's t tails, and
a mixture of experts. All are judged by the error of their mean and by their density: its logarithm
at the observed value, its CRPS, and the coverage and width of its 90 % intervals.
"""

import numpy as np
from scipy.stats import norm, t
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skmoe import MixtureOfExpertsRegressor

try:
    from ngboost import NGBRegressor
except ImportError:
    NGBRegressor = None

X, y = load_diabetes(return_X_y=True)
experts = [
    ("ridge", RidgeCV(np.logspace(-2, 3, 12))),
    ("forest", ExtraTreesRegressor(50, min_samples_leaf=2, random_state=0)),
    ("kernel", make_pipeline(StandardScaler(), SVR(C=30.0))),
    ("neighbours", make_pipeline(StandardScaler(), KNeighborsRegressor(15))),
]
FOLDS = KFold(5, shuffle=True, random_state=0)

# %%
# What anybody can write by hand: out-of-fold predictions in five folds, their linear combination,
# and distributions around it. The scale of one patient is learned from the logarithms of the
# squared errors, by a small gradient boosting.


def by_hand(X, y, X_new):
    """Distributions for new rows, of each expert alone and of stacks."""
    out_of_fold = np.column_stack(
        [cross_val_predict(e, X, y, cv=FOLDS) for _, e in experts]
    )
    new = np.column_stack(
        [expert.fit(X, y).predict(X_new) for _, expert in experts]
    )
    for k, (name, _) in enumerate(experts):
        yield f"{name} alone", norm(new[:, k], np.std(y - out_of_fold[:, k]))
    stack = RidgeCV().fit(out_of_fold, y)
    mean, errors = stack.predict(new), y - stack.predict(out_of_fold)
    yield "stacked", norm(mean, errors.std())
    log_squares = np.log(errors**2 + 1e-6 * np.mean(errors**2))
    boosting = HistGradientBoostingRegressor(
        max_iter=60,
        learning_rate=0.05,
        max_leaf_nodes=6,
        min_samples_leaf=10,
        random_state=0,
    )
    scale = np.exp(0.5 * cross_val_predict(boosting, X, log_squares, cv=FOLDS))
    df, _, factor = t.fit(errors / scale, floc=0)
    new_scale = np.exp(0.5 * boosting.fit(X, log_squares).predict(X_new))
    yield "stacked, with scales and tails", t(df, mean, factor * new_scale)


def distributions(X, y, X_new):
    """The same, and those of the packages."""
    yield from by_hand(X, y, X_new)
    if NGBRegressor is not None:
        boosted = (
            NGBRegressor(random_state=0, verbose=False)
            .fit(X, y)
            .pred_dist(X_new)
        )
        yield "NGBoost", norm(boosted.loc, boosted.scale)
    mixture = MixtureOfExpertsRegressor(experts, random_state=0).fit(X, y)
    yield "mixture of experts", mixture.predict_dist(X_new)


def judge(distribution, y):
    """RMSE, log-score, CRPS, and coverage and mean width of 90 % intervals."""
    levels = (np.arange(100) + 0.5) / 100
    quantiles = np.stack([distribution.ppf(level) for level in levels])
    errors = y - quantiles
    crps = 2 * np.mean(
        np.maximum(levels[:, None] * errors, (levels[:, None] - 1) * errors)
    )
    low, high = distribution.ppf(0.05), distribution.ppf(0.95)
    error = np.sqrt(np.mean((y - distribution.mean()) ** 2))
    inside = np.mean((low <= y) & (y <= high))
    return (
        error,
        distribution.logpdf(y).mean(),
        crps,
        inside,
        np.mean(high - low),
    )


# %%
# Five times, four fifths of the patients train and the others test.

results = {}
for train, test in KFold(5, shuffle=True, random_state=1).split(X):
    for name, distribution in distributions(X[train], y[train], X[test]):
        results.setdefault(name, []).append(judge(distribution, y[test]))

print("Diabetes progression, 442 patients, 5-fold cross-validation\n")
print(
    f"{'':31}{'RMSE':>6}{'log-score':>11}{'CRPS':>7}"
    f"{'coverage':>11}{'width':>7}"
)
for name, scores in results.items():
    error, log_score, crps, inside, width = np.mean(scores, axis=0)
    print(
        f"{name:31}{error:6.1f}{log_score:11.3f}{crps:7.1f}"
        f"{inside:11.0%}{width:7.0f}"
    )

# %%
# The weights of the experts, and their errors:

mixture = MixtureOfExpertsRegressor(experts, random_state=0).fit(X, y)
print(f"\n{mixture.expert_report()}")
