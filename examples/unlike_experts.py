"""
Unlike experts, mixed
=====================

Four unlike models predict how far diabetes has progressed in 442 patients a year on. Each is
tried alone, then all four stacked, then mixed: a learned gate decides from the patient's
measurements which of them to listen to. The mixture's gain is in the log-score, the density it
gives to what really happened; and it says which patients each model is for.
"""

import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, StackingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skmoe import MixtureOfExpertsRegressor

data = load_diabetes()
X, y, names = data.data, data.target, np.array(data.feature_names)

experts = [
    ("ridge", RidgeCV(np.logspace(-2, 3, 12))),
    ("forest", ExtraTreesRegressor(50, min_samples_leaf=2, random_state=0)),
    ("kernel", make_pipeline(StandardScaler(), SVR(C=30.0))),
    ("neighbours", make_pipeline(StandardScaler(), KNeighborsRegressor(15))),
]

# %%
# Five times, four fifths of the patients train and the others test. A model alone gets what the
# mixture gives its experts: the mean of its fold models, and the spread of its out-of-fold
# errors. So does the stack.


def stacked_log_density(train, test):
    """Log-density and prediction of a stack with one Gaussian scale from its own folds."""
    stack = StackingRegressor(experts, final_estimator=RidgeCV())
    folds = KFold(5, shuffle=True, random_state=0)
    out_of_fold = cross_val_predict(stack, X[train], y[train], cv=folds, n_jobs=2)
    scale = np.std(y[train] - out_of_fold)
    prediction = stack.fit(X[train], y[train]).predict(X[test])
    return norm.logpdf(y[test], prediction, scale), prediction


def mixed_log_density(mixture, train, test):
    """Log-density and prediction of a mixture."""
    mixture.fit(X[train], y[train])
    return mixture.log_density(X[test], y[test]), mixture.predict(X[test])


contenders = {
    f"{name} alone": MixtureOfExpertsRegressor(expert, n_experts=1, random_state=0, n_jobs=2)
    for name, expert in experts
}
contenders["stacked"] = None
contenders["mixed"] = MixtureOfExpertsRegressor(experts, random_state=0, n_jobs=2)

results = {name: [] for name in contenders}
for train, test in KFold(5, shuffle=True, random_state=1).split(X):
    for name, model in contenders.items():
        if model is None:
            log_density, prediction = stacked_log_density(train, test)
        else:
            log_density, prediction = mixed_log_density(model, train, test)
        error = np.sqrt(np.mean((prediction - y[test]) ** 2))
        results[name].append((error, log_density.mean()))

print("Diabetes progression, 442 patients, 5-fold cross-validation\n")
print(f"{'':18}{'error (RMSE)':>14}{'log-score':>12}")
for name, scores in results.items():
    error, log_score = np.mean(scores, axis=0)
    print(f"{name:18}{error:14.1f}{log_score:12.3f}")

# %%
# Which patients does each expert get? The responsibilities of the training rows, out of fold,
# say so: the measurements in which an expert's patients differ most from the average one, in
# standard deviations.

mixture = MixtureOfExpertsRegressor(experts, random_state=0, n_jobs=2).fit(X, y)
standardised = (X - X.mean(axis=0)) / X.std(axis=0)
shares = mixture.oof_responsibilities_

print("\nWhat each expert is for, fitted on all patients\n")
print(f"{'expert':12}{'share':>7}{'error (sd)':>12}   its patients differ in")
for k, name in enumerate(mixture.named_experts_):
    profile = shares[:, k] @ standardised / shares[:, k].sum()
    most = np.argsort(-np.abs(profile))[:3]
    text = ", ".join(f"{names[column]} {profile[column]:+.1f}" for column in most)
    share, scale = mixture.expert_load_[k], mixture.likelihood_.scale_[k]
    print(f"{name:12}{share:7.0%}{scale:12.1f}   {text}")
