"""
Collapsed experts and local optima
==================================

EM converges to a local optimum, which may be a poor one. Here it is started with one expert that
owns 98 % of the rows. The example shows how the report of the experts tells, how EM re-seeds
experts without rows, and what ``load_balance`` of the gate does where there are more experts than
regimes. The rows are drawn from three lines, so that it is known which optimum is right.
"""

import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor
from skmoe.exceptions import ExpertCollapseWarning
from skmoe.gates import SoftmaxGate
from skmoe.metrics import log_score


def three_lines(seed):
    """Rows to train on, and rows to test on."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(1200, 1))
    regime = np.searchsorted([-1, 1], X[:, 0])
    y = np.choose(regime, [-2 - 2 * X[:, 0], 0.5 * X[:, 0], 3 - 2 * X[:, 0]])
    y += 0.2 * rng.normal(size=len(X))
    return X[:600], X[600:], y[:600], y[600:]


def lopsided(X, y, n_experts, random_state):
    """Responsibilities with which the first expert owns 98 % of every row."""
    resp = np.full((len(X), n_experts), 0.02 / (n_experts - 1))
    resp[:, 0] = 0.98
    return resp


X, X_test, y, y_test = three_lines(seed=1)

# %%
# After one iteration the three experts are the same line: ``overlap`` says that 90 % of the rows
# of the light ones belong to ``expert0`` too, ``wins`` that they win no row, and ``gate`` that the
# gate does not know their rows from others. A mixture that ends like this warns.

stuck = MixtureOfExpertsRegressor(
    n_experts=3,
    training="em",
    init=lopsided,
    n_init=1,
    max_iter=1,
    random_state=0,
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stuck.fit(X, y)
print(stuck.expert_report())
for warning in caught:
    if warning.category is ExpertCollapseWarning:
        print(textwrap.fill(str(warning.message), 79))

# %%
# Left to run, EM hands such an expert the rows around a place that the mixture explains badly
# (``revived`` counts it) and goes on from there. The objective falls for one iteration, and then
# climbs to the three lines.

rescued = MixtureOfExpertsRegressor(
    n_experts=3,
    training="em",
    init=lopsided,
    n_init=1,
    max_iter=500,
    random_state=0,
).fit(X, y)
default = MixtureOfExpertsRegressor(
    n_experts=3, training="em", random_state=0
).fit(X, y)
print(rescued.expert_report())

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.plot(rescued.lower_bounds_, "k-", label="from the lopsided start")
ax.axhline(
    default.lower_bound_,
    color="k",
    linestyle="--",
    label="default, ten starts",
)
ax.set(xlabel="EM iteration", ylabel="objective (nats per row)")
ax.legend(loc="lower right")
plt.show()

# %%
# It does not always end so well: a re-seeded expert is no longer idle, but the optimum that it
# ends in is the one next to it. Unlike starts are the better help, and the default tries ten of
# them. On five tables drawn alike:

found = {"lopsided start": 0, "default": 0}
for seed in range(5):
    A, _, b, _ = three_lines(seed)
    ends = [
        MixtureOfExpertsRegressor(
            n_experts=3,
            training="em",
            random_state=0,
            max_iter=300,
            tol=1e-4,
            **start,
        ).fit(A, b)
        for start in ({"init": lopsided, "n_init": 1}, {})
    ]
    best = max(end.lower_bound_ for end in ends)
    for name, end in zip(found, ends, strict=True):
        found[name] += end.lower_bound_ > best - 0.01
for name, count in found.items():
    print(f"{name}: the better optimum in {count} of 5")

# %%
# The end of a report lists what the starts found, and ``start_lower_bounds_`` has how they went.
# Here most came to the same optimum, which is a good sign; a best one that a single start has found
# says to raise ``n_init``.

print(default.expert_report())
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for path in default.start_lower_bounds_:
    ax.plot(path, "o-", color="0.5", markevery=[-1], markersize=4)
ax.set(xlabel="EM iteration", ylabel="objective of each start (nats per row)")
plt.show()

# %%
# Six experts for three regimes: three of them get little. ``load_balance`` divides the regimes
# among all six, so that none is idle, but three experts are still better than six of equal load;
# and where a regime is rare in truth it does harm. Ask for fewer experts first.

print(f"{'load_balance':14}{'loads':44}{'log-score':>10}")
for strength in (0.0, 0.01, 0.1):
    moe = MixtureOfExpertsRegressor(
        n_experts=6,
        training="em",
        gate=SoftmaxGate(load_balance=strength),
        tol=1e-4,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpertCollapseWarning)
        moe.fit(X, y)
    loads = "  ".join(f"{load:.3f}" for load in moe.expert_load_)
    print(f"{strength:<14}{loads:44}{log_score(moe, X_test, y_test):10.3f}")
print(f"{'3 experts':58}{log_score(default, X_test, y_test):10.3f}")

# sphinx_gallery_thumbnail_number = 2
