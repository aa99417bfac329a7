"""
Displays of a fitted mixture
============================

The displays of :mod:`skmoe.inspection` show which rows belong to which expert, what the experts
predict and whether predictions are calibrated. The data are 442 patients with diabetes: ten
measurements, and the progression of the disease after a year.
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
    ExpertDisplay,
    GateDisplay,
    PredictiveDisplay,
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
moe, line = moe.fit(X, y), line.fit(X, y)

# %%
# Responsibilities
# ----------------
# Once the target is known, most patients clearly belong to one expert: seven in ten
# responsibilities are above 0.95 or below 0.05. The ambiguous patients have targets
# between the two predictions.

plt.hist(moe.responsibilities(X, y), bins=20, label=list(moe.named_experts_))
plt.xlabel("responsibility")
plt.ylabel("patients")
plt.legend()
plt.show()

# %%
# Gate
# ----
# Before the target is known, patients are more ambiguous. The four measurements with the largest
# effect on the gate are triglycerides, body mass, blood pressure and HDL cholesterol; each curve is
# a mean over the patients (partial dependence). No curve reaches 0 or 1: the gate is rarely
# certain.

GateDisplay.from_estimator(moe, X, random_state=0)
plt.show()

# %%
# Two measurements at a time: the regions of the experts, pale where the gate is uncertain. Patients
# are marked by the expert with the largest responsibility, hollow where it is ambiguous. On either
# side of the border there are many patients of the other expert.

GateDisplay.from_estimator(moe, X, y, ("bmi", "s5"), random_state=0)
plt.show()

# %%
# Experts
# -------
# ``expert0`` predicts fast progression, ``expert1`` slow progression that depends half as much on
# body mass. A line is thick where the gate prefers its expert.

ExpertDisplay.from_estimator(moe, X, y, "bmi", random_state=0)
plt.show()

# %%
# Predictive distributions
# ------------------------
# Central intervals over body mass for an otherwise typical patient: wide where both experts are
# probable.

PredictiveDisplay.from_estimator(moe, X, y, "bmi")
plt.show()

# %%
# Calibration
# -----------
# On held-out patients the predicted probability of a value below the observed one (PIT) should be
# uniform, for the mixture and for each expert. The band contains each bar with probability 95 %, so
# that one of ten may well be outside.

CalibrationDisplay.from_estimator(moe, X_test, y_test)
CalibrationDisplay.from_estimator(moe, X_test, y_test, kind="experts")
plt.show()

# %%
# Central intervals have about their nominal coverage, as have those of one line. The gain of the
# mixture is in the log-score, because its distributions are sharper.

display = CalibrationDisplay.from_estimator(
    line, X_test, y_test, kind="coverage", name="one line"
)
CalibrationDisplay.from_estimator(
    moe, X_test, y_test, kind="coverage", name="two experts", ax=display.ax_
)
plt.show()

# sphinx_gallery_thumbnail_number = 4
