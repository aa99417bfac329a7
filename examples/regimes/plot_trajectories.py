"""
Growth mixtures: trajectories with random slopes
================================================

Children are tested every year. Some keep learning, some fall behind, and within either regime each
child has a level and a pace of its own. A mixture of lines would take those for more regimes; with
``RandomEffects`` they are normal around the line of the regime, as in lcmm's ``hlme`` or Mplus'
growth mixtures.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate
from skmoe.inference import subject_effects
from skmoe.likelihoods import RandomEffects

rng = np.random.default_rng(1)
n_children, years = 100, np.arange(6.0)
falls_behind = rng.uniform(size=n_children) < 0.35
level = np.where(falls_behind, 52, 50) + 4.0 * rng.normal(size=n_children)
pace = np.where(falls_behind, 0.5, 4.0) + 0.8 * rng.normal(size=n_children)
child = np.repeat(np.arange(n_children), len(years))
X = pd.DataFrame({"year": np.tile(years, n_children)})
score = level[child] + pace[child] * X["year"]
score = score + 1.5 * rng.normal(size=len(child))

# %%
# Intercept and slope of ``year`` vary from child to child. All rows of a child belong to one
# regime, with probabilities from a constant gate. By BIC there are two, which is true; without
# random effects there would be more.


def growth(n_experts, likelihood):
    """A mixture of trajectories, fitted."""
    moe = MixtureOfExpertsRegressor(
        n_experts=n_experts,
        gate=ConstantGate(),
        likelihood=likelihood,
        training="em",
        n_init=2,
        random_state=0,
    )
    return moe.fit(X, score, subject=child)


for likelihood in ("gaussian", RandomEffects(["year"])):
    tried = [growth(k, likelihood) for k in (1, 2, 3)]
    print(
        f"{likelihood}: BIC",
        [round(each.bic(X, score, subject=child)) for each in tried],
    )

moe = tried[1]
print(moe.summary(X, score, subject=child))

# %%
# Earlier tests of a child, in ``fit`` or not, predict its next years: here two tests of a child
# that learns quickly and of one that does not.

seen = pd.DataFrame({"year": [0.0, 1.0, 0.0, 1.0]})
who, tests = ["Ada", "Ada", "Ben", "Ben"], [47.0, 52.0, 55.0, 54.0]
known = subject_effects(moe, seen, tests, subject=who)
print(known.to_frame().round(2))

# %%
# Above, the children by their regime, and the line of each regime with the band of 80 % of its
# children. Below, what is predicted of Ada and Ben, with intervals of 80 %.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 8), sharex=True, layout="constrained"
)
grid = pd.DataFrame({"year": np.linspace(0, 5, 51)})
resp = moe.responsibilities(X, score, subject=child)[:: len(years)]
lines = moe.predict_experts(grid)
effects = np.column_stack([np.ones(len(grid)), grid["year"]])
for k, color in enumerate(["C0", "C3"]):
    for i in np.flatnonzero(resp.argmax(axis=1) == k):
        above.plot(years, score[child == i], color=color, lw=0.5, alpha=0.4)
    of_children = moe.likelihood_.covariance_[k]
    std = np.sqrt(np.einsum("ni,ij,nj->n", effects, of_children, effects))
    low, high = lines[:, k] - 1.28 * std, lines[:, k] + 1.28 * std
    above.fill_between(grid["year"], low, high, color=color, alpha=0.2)
    share = moe.gate_.proportions_[k]
    above.plot(grid["year"], lines[:, k], color, lw=3, label=f"{share:.0%}")
above.set(ylabel="score", title="two regimes")
above.legend(title="of the children", loc="upper left")

later = pd.DataFrame({"year": np.linspace(1, 5, 41)})
for name, color in (("Ada", "C0"), ("Ben", "C3")):
    dist = known.predict_dist(later, [name] * len(later))
    low, high = dist.interval(0.8)
    below.fill_between(later["year"], low, high, color=color, alpha=0.2)
    below.plot(later["year"], dist.mean(), color, label=name)
    own = [i for i, each in enumerate(who) if each == name]
    below.plot(seen["year"].iloc[own], np.take(tests, own), "o", color=color)
below.set(
    xlabel="year", ylabel="score", title="two tests, and the years after"
)
below.legend(loc="upper left")
plt.show()
