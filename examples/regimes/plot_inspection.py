"""
Displays of a fitted mixture
============================

The displays of :mod:`skmoe.inspection` show whether EM converged, which rows belong to which expert,
what the experts predict and whether predictions are calibrated. The data are 442 patients with
diabetes: ten measurements, and the progression of the disease after a year.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    ShuffleSplit,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.inspection import (
    CalibrationDisplay,
    ConvergenceDisplay,
    ExpertDisplay,
    GateDisplay,
    LoadDisplay,
    PredictiveDisplay,
    ResponsibilityDisplay,
)
from skmoe.metrics import log_score

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

ridge = make_pipeline(StandardScaler(), Ridge(10.0))
line = MixtureOfExpertsRegressor(ridge, n_experts=1)
moe = MixtureOfExpertsRegressor(
    ridge,
    n_experts=2,
    gate=SoftmaxGate(alpha=10.0),
    tol=1e-4,
    max_iter=500,
    random_state=0,
)
folds = ShuffleSplit(8, test_size=1 / 3, random_state=0)
for name, model in {"one line": line, "two experts": moe}.items():
    score = cross_val_score(model, X, y, scoring=log_score, cv=folds).mean()
    print(f"{name:12} held-out log-score {score:.3f}")

X, X_test, y, y_test = train_test_split(X, y, test_size=1 / 3, random_state=1)
moe.fit(X, y)
line.fit(X, y)

# %%
# Convergence
# -----------
# Each line is a start. Nine of ten are on their way to the same height, but not one with another:
# the three that were followed end within a thousandth of a nat per patient, and only one of them is
# the best. What is said below of single patients may hang on that; more starts (``n_init``) would
# tell. One start ended clearly lower.

ConvergenceDisplay.from_estimator(moe)
plt.show()

# %%
# Loads and responsibilities
# --------------------------
# About half and half, and the gate's loads are close to the rows that the experts turn out to have
# made: it does not lean to one side.

LoadDisplay.from_estimator(moe)
plt.show()

# %%
# Once the target is known there is little doubt whose a patient is: seven in ten responsibilities
# are above 0.95 or below 0.05. The patients in between are those whose disease went halfway between
# what the two experts say.

ResponsibilityDisplay.from_estimator(moe, X, y)
plt.show()

# %%
# Gate
# ----
# Before the target is known, there is more. The four measurements that move the gate most are fat
# in the blood, body mass, blood pressure and HDL cholesterol; each curve is a mean over the
# patients, with their other measurements as they are. No curve reaches 0 or 1: the gate is seldom
# sure.

GateDisplay.from_estimator(moe, X, random_state=0)
plt.show()

# %%
# Two at a time: pale where the gate is in doubt, with the patients by the expert that most likely
# made them, hollow where that is in doubt too. On either side of the border there are many of the
# other kind.

GateDisplay.from_estimator(moe, X, ("bmi", "s5"), y=y, random_state=0)
plt.show()

# %%
# Experts
# -------
# ``expert0`` is of the patients whose disease progresses fast, and ``expert1`` of those in whom it
# progresses slowly and depends half as much on body mass. A line is thick where the gate prefers
# its expert, and each goes through the patients that are its own.

ExpertDisplay.from_estimator(moe, X, y, "bmi", random_state=0)
plt.show()

# %%
# Predictive distributions
# ------------------------
# So a prediction has two peaks. For a patient who is typical in all but body mass, the regions of
# highest density have two arms, and the mean is in the middle of neither.

PredictiveDisplay.from_estimator(moe, X, y, "bmi")
plt.show()

# %%
# Calibration
# -----------
# On patients that were held out, the probability of a value below the real one should be uniform,
# for the mixture and for each expert. Of ten bars one may well leave the band, which holds each in
# 19 of 20 cases.

CalibrationDisplay.from_estimator(moe, X_test, y_test)
CalibrationDisplay.from_estimator(moe, X_test, y_test, kind="experts")
plt.show()

# %%
# The central intervals hold about what they should. Those of one line do so too: calibration is not
# all. What the mixture gains is in the log-score, for it knows more about where a patient will be.

display = CalibrationDisplay.from_estimator(
    line, X_test, y_test, kind="coverage", name="one line"
)
CalibrationDisplay.from_estimator(
    moe, X_test, y_test, kind="coverage", name="two experts", ax=display.ax_
)
plt.show()

# sphinx_gallery_thumbnail_number = 6
