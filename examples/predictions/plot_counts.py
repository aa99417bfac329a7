"""
Counts with an exposure
=======================

A call centre logs how many calls came in during shifts of different length. On some days a
campaign runs, on which calls depend on the hour in another way and vary more. The length of a
shift is given as exposure, so that experts predict calls per hour.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate

rng = np.random.default_rng(0)
n = 600
hour = rng.uniform(8, 20, size=n)
length = rng.choice([1.0, 2.0, 4.0], size=n)
campaign = rng.uniform(size=n) < 0.3
rate = np.where(
    campaign, np.exp(3.2 - 0.12 * (hour - 8)), np.exp(0.5 + 0.08 * (hour - 8))
)
extra = np.where(campaign, rng.gamma(6.0, 1 / 6.0, size=n), 1.0)
calls = rng.poisson(length * rate * extra)
X = hour[:, None]

# %%
# No column tells campaign days from others, so the gate is constant. The Poisson distribution is
# too narrow for campaign days, and BIC prefers the negative binomial one.

fits = {}
for likelihood in ("poisson", "negative_binomial"):
    moe = MixtureOfExpertsRegressor(
        n_experts=2,
        training="em",
        gate=ConstantGate(),
        likelihood=likelihood,
        random_state=0,
    )
    fits[likelihood] = moe.fit(X, calls, exposure=length)
    print(f"{likelihood:18} BIC {moe.bic(X, calls, exposure=length):.0f}")

moe = fits["negative_binomial"]
for k, (name, expert) in enumerate(moe.named_experts_.items()):
    shape, share = moe.likelihood_.shape_[k], moe.gate_.proportions_[k]
    print(
        f"{name}: log rate = {expert.intercept_:.2f} "
        f"{expert.coef_[0]:+.3f} hour, shape {shape:.3g}, share {share:.2f}"
    )

# %%
# Above, calls per hour, marked by the expert with the largest responsibility, and the rates of both
# experts. Below, the predicted number of calls in four hours from ten o'clock on, which has two
# modes, beside what was observed in such shifts.

owner = moe.responsibilities(X, calls, exposure=length).argmax(axis=1)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
at = np.linspace(8, 20, 100)[:, None]
for k, (marker, dash, color) in enumerate(
    [("o", "-", "C0"), ("^", "--", "C3")]
):
    rows = owner == k
    above.plot(
        hour[rows],
        calls[rows] / length[rows],
        marker,
        color=color,
        markersize=4,
        alpha=0.6,
        label=f"expert{k}",
    )
    above.plot(at, moe.predict_experts(at)[:, k], dash, color="k", linewidth=2)
above.set(xlabel="hour", ylabel="calls in an hour")
above.legend(loc="upper right")

count = np.arange(0, 160)
shift = moe.predict_dist(
    np.full((len(count), 1), 10.0), exposure=np.full(len(count), 4.0)
)
below.bar(count, shift.pmf(count), width=1.0, color="0.7", label="predicted")
like = (np.abs(hour - 10) < 1) & (length == 4)
below.plot(
    calls[like], np.full(like.sum(), -0.003), "k|", label="shifts like that"
)
below.set(xlabel="calls in four hours from ten o'clock", ylabel="probability")
below.legend()
plt.show()
