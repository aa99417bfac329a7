"""
Mixing models of different kinds
================================

Four models of different kinds predict the progression of diabetes in 442 patients after a year, and
a gate weights them and their stack. Here the gate has only two measurements, so that a map shows
all that it has learned. (``examples/unlike_experts.py`` compares the mixture with a stack alone.)
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import SoftmaxGate
from skmoe.metrics import log_score

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

experts = [
    (
        "ridge",
        make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 12))),
    ),
    ("forest", ExtraTreesRegressor(50, min_samples_leaf=2, random_state=0)),
    ("kernel", make_pipeline(StandardScaler(), SVR(C=30.0))),
    ("neighbours", make_pipeline(StandardScaler(), KNeighborsRegressor(15))),
]

# %%
# The gate has two columns, the experts all ten.

gate = SoftmaxGate(columns=["bmi", "s5"])
mixture = MixtureOfExpertsRegressor(
    experts, gate=gate, random_state=0, n_jobs=2
).fit(X, y)
print(mixture.expert_report())

# %%
# Gate probabilities of each expert over body mass and triglycerides. The dots are the patients for
# whom the expert has the largest responsibility, out of fold; the title gives their share, and the
# standard deviation of the expert's errors.

bmi, s5 = np.meshgrid(np.linspace(17, 43, 80), np.linspace(3.2, 6.2, 80))
anyone = pd.DataFrame(np.tile(X.mean(), (bmi.size, 1)), columns=X.columns)
trust = mixture.gate_proba(anyone.assign(bmi=bmi.ravel(), s5=s5.ravel()))
owner = mixture.oof_responsibilities_.argmax(axis=1)

figure, axes = plt.subplots(
    3, 2, figsize=(5.6, 8), sharex=True, sharey=True, layout="constrained"
)
axes[2, 1].set_axis_off()
axes[1, 1].tick_params(labelbottom=True)
for k, (name, ax) in enumerate(
    zip(mixture.named_experts_, axes.flat, strict=False)
):
    shades = ax.contourf(
        bmi,
        s5,
        trust[:, k].reshape(bmi.shape),
        np.linspace(0, 1, 11),
        cmap="Greys",
        vmax=1.6,
    )
    ax.plot(X["bmi"][owner == k], X["s5"][owner == k], "k.", markersize=5)
    share, scale = np.mean(owner == k), mixture.likelihood_.scale_[k]
    ax.set_title(f"{name}: {share:.0%}, sd {scale:.0f}")
figure.supxlabel("body mass index (kg/m²)")
figure.supylabel("s5 (log of serum triglycerides)")
figure.colorbar(
    shades,
    ax=axes,
    location="top",
    label="gate probability",
    ticks=[0, 0.5, 1],
)
plt.show()

# %%
# Where there are no dots, the map is an extrapolation. The mixture gains because some patients are
# easier to predict than others: on held-out rows its density is better than that of the best expert
# alone.

folds = KFold(5, shuffle=True, random_state=1)
ridge = MixtureOfExpertsRegressor(experts[0][1], n_experts=1, random_state=0)
for name, model in [("ridge alone", ridge), ("mixture", mixture)]:
    score = cross_val_score(model, X, y, scoring=log_score, cv=folds).mean()
    print(f"{name:12} held-out log-score {score:.3f}")
