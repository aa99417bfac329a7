"""
Is it a regime? Three look-alikes and a true pair
=================================================

A mixture of Gaussian lines also imitates heavy tails, errors of uneven spread and curves. Here are
one of each, and two lines. In all four tables several experts have more evidence than one, but
``n_regimes_`` counts regression functions.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skmoe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)
n_samples = 300
X = rng.uniform(-2, 2, size=(n_samples, 1))
x = X[:, 0]
noise = rng.normal(size=n_samples)
tables = {
    "heavy tails": x + rng.standard_t(2.5, size=n_samples),
    "uneven spread": x + noise * np.exp(0.7 * x),
    "a curve": x + x**2 + noise,
    "two lines": np.where(rng.random(n_samples) < 0.5, 2 + x, -2 - x)
    + 0.7 * noise,
}
mixtures = {
    name: MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    for name, y in tables.items()
}
for name, moe in mixtures.items():
    print(f"{name}: n_regimes_={moe.n_regimes_}, {len(moe.experts_)} experts")

# %%
# The notes of each report. The two lines have no note: nothing else explains them.

for name, moe in mixtures.items():
    notes = [
        note
        for note in moe.expert_report(X, tables[name]).notes
        if "regime" in note
    ]
    print(f"{name}:")
    for note in notes or ["no note"]:
        print(textwrap.indent(textwrap.fill(note, 77), "  "))

# %%
# Points and lines have the colour of their regime, and there is a line for each expert. The experts
# of heavy tails and of uneven spread share theirs. Those of the curve are pieces of one function
# (dashed: a spline) that has more evidence, and thus one regime. The lines of the true pair
# hold at the same ``x``.

figure, axes = plt.subplots(2, 2, figsize=(5.6, 6), layout="constrained")
colors = plt.rcParams["axes.prop_cycle"].by_key()["color"]
grid = np.linspace(-2, 2, 101)[:, None]
for ax, (name, moe) in zip(axes.flat, mixtures.items(), strict=True):
    y = tables[name]
    resp = moe.responsibilities(X, y, by="expert")
    expert_of_row = np.array(list(moe.named_experts_))[resp.argmax(axis=1)]
    for r, regime in enumerate(moe.regimes_):
        rows = np.isin(expert_of_row, regime)
        ax.scatter(x[rows], y[rows], s=8, alpha=0.5, color=colors[r])
        for expert in regime:
            line = moe.named_experts_[expert].predict(grid)
            ax.plot(grid[:, 0], line, color=colors[r])
    n_experts, n_regimes = len(moe.experts_), moe.n_regimes_
    regimes = "1 regime" if n_regimes == 1 else f"{n_regimes} regimes"
    ax.set(title=f"{name}:\n{n_experts} experts, {regimes}", xlabel="x")
    if name == "a curve":
        curve = make_pipeline(SplineTransformer(), RidgeCV()).fit(X, y)
        ax.plot(grid[:, 0], curve.predict(grid), "k--")
    ax.set_ylim(*np.quantile(y, [0.005, 0.995]) + [-1, 1])
plt.show()
