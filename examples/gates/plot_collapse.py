"""
Collapsed experts and local optima
==================================

EM converges to a local optimum, which may be a poor one. Here it is started with one expert that
has 98 % of the rows. The example shows how to recognise this in the report, how EM re-seeds experts
without rows, and the effect of ``load_balance`` if there are more experts than regimes. The rows
are simulated from three lines, so that the right optimum is known.
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
# After one iteration the three experts are the same line: by ``overlap``, 90 % of the rows of the
# small ones also belong to ``expert0``; by ``wins``, they win no row; by ``gate``, the gate does
# not distinguish their rows. A mixture that ends like this gives a warning.

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
# With more iterations, EM gives such an expert the rows around a place that the mixture explains
# badly (``revived`` counts this), and continues. The objective falls for one iteration, and then
# rises to that of the three lines.

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
# This does not always end so well: a re-seeded expert has rows again, but leads to the nearest
# optimum. Different starts are better, and the default tries ten of them. On five similar tables:

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
# The end of a report lists the optima of the EM runs, and ``start_lower_bounds_`` has their paths.
# Here most led to the same optimum, which is a good sign; if a single start found the best one,
# raise ``n_init``.

print(default.expert_report())
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for path in default.start_lower_bounds_[:10]:  # what follows are moves
    ax.plot(path, "o-", color="0.5", markevery=[-1], markersize=4)
ax.set(xlabel="EM iteration", ylabel="objective of each run (nats per row)")
plt.show()

# %%
# Six experts for three regimes: three of them get few rows. ``load_balance`` divides the regimes
# among all six, so that none is empty, but three experts are still better than six of equal load,
# and it is harmful if a regime is rare. Reduce the number of experts first.

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
