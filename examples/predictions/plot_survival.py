"""
Censored times: two regimes of survival
=======================================

Patients are followed from the start of a treatment until a relapse, and some leave the study
before: their times are censored. In one regime the dose delays relapses; in the other it has no
effect, and relapses come soon. A marker makes one of the regimes more likely, but does not
determine it.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.inspection import SurvivalDisplay
from skmoe.metrics import concordance_index

rng = np.random.default_rng(0)
n = 600
dose, marker = rng.uniform(0, 4, size=n), rng.normal(size=n)
responds = rng.logistic(size=n) < 2.5 * marker
log_time = np.where(responds, 1.5 + 0.5 * dose, 1.0) + rng.normal(size=n) * 0.4
time, end_of_study = np.exp(log_time), rng.uniform(1, 25, size=n)

X = np.column_stack([dose, marker])
y = np.minimum(
    time, end_of_study
)  # months until the relapse, or until nobody looked any more
upper = np.where(time <= end_of_study, y, np.inf)
print(f"{np.isinf(upper).mean():.0%} of the times are censored")

# %%
# ``upper`` is infinite where the relapse was not seen. Under ``likelihood="log_normal"`` experts
# are accelerated failure times: a coefficient of 0.5 makes times longer by the factor exp(0.5) for
# each unit of the dose. Without ``upper``, last visits would be taken for relapses, and the dose
# for less of a help than it is.

moe = MixtureOfExpertsRegressor(
    n_experts=2, likelihood="log_normal", random_state=0
)
moe.fit(X, y, upper=upper)
print(moe.summary(X, y, upper=upper))
print(f"concordance {concordance_index(moe, X, y, upper=upper):.3f}")

as_seen = MixtureOfExpertsRegressor(
    n_experts=2, likelihood="log_normal", training="em", random_state=0
)
as_seen.fit(X, y)
for name, mixture in (("with upper", moe), ("without", as_seen)):
    slopes = sorted(expert.coef_[0] for expert in mixture.experts_)
    print(
        f"{name:10}  effect of the dose: {slopes[0]:.2f} and {slopes[1]:.2f}"
    )

# %%
# Above, the patients, and the median time of each expert at the marker 0. Below, the probability of
# no relapse for three patients on the dose 3. Where the marker leaves the regime open, the curve
# falls in two steps, which no single distribution of its kind has.

is_censored = np.isinf(upper)
resp = moe.responsibilities(X, y, upper=upper)
late = np.argmax([expert.coef_[0] for expert in moe.experts_])
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
for rows, marker_style, label in (
    (~is_censored, "o", "relapse"),
    (is_censored, "^", "censored: later than that"),
):
    points = above.scatter(
        dose[rows],
        y[rows],
        c=resp[rows, late],
        marker=marker_style,
        s=16,
        cmap="coolwarm",
        vmin=0,
        vmax=1,
        label=label,
        edgecolor="0.4",
        linewidth=0.4,
    )
doses = np.column_stack([np.linspace(0, 4, 50), np.zeros(50)])
for k, style in ((late, "-"), (1 - late, "--")):
    above.plot(
        doses[:, 0], np.exp(moe.predict_experts(doses)[:, k]), f"k{style}"
    )
above.set(xlabel="dose", ylabel="months", yscale="log", ylim=(0.8, 80))
above.legend(loc="upper left", fontsize="small")
figure.colorbar(points, ax=above, label="responsibility, regime that responds")

months = np.linspace(0, 40, 200)
patients = np.array([[3.0, -1.5], [3.0, 0.0], [3.0, 1.5]])
dist = moe.predict_dist(patients)
curves = np.stack([dist.sf(month) for month in months], axis=1)
for curve, patient, style in zip(
    curves, patients, ("C0--", "k-", "C3-."), strict=True
):
    below.plot(months, curve, style, label=f"marker {patient[1]:g}")
below.set(
    xlabel="months", ylabel="probability of no relapse so far", ylim=(0, 1)
)
below.legend()
plt.show()

# %%
# Curves of the regimes, as means over all patients, beside the estimate of Kaplan and Meier, which
# knows no regimes. The rate of relapses of the mixture falls after three months, while those of
# both regimes still rise: most who relapse soon have done so, and leave the others behind.

figure, axes = plt.subplots(2, 1, figsize=(5.6, 7), layout="constrained")
SurvivalDisplay.from_estimator(
    moe, X, y, upper=upper, target_name="months", ax=axes[0]
)
SurvivalDisplay.from_estimator(
    moe, X, kind="hazard", target_name="months", ax=axes[1]
)
plt.show()
