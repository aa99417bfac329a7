"""
Regimes with outliers
=====================

One row in twelve is an outlier. Under Gaussian errors outliers pull the lines and inflate the
scale of their expert. Student's t distribution is less sensitive to them.
"""

import matplotlib.pyplot as plt
import numpy as np

from skmoe import MixtureOfExpertsRegressor

rng = np.random.default_rng(0)


def draw(n_rows, share):
    X = rng.uniform(-3, 3, size=(n_rows, 1))
    y = np.where(
        X[:, 0] < 0, 2 + X[:, 0], 1 - 1.5 * X[:, 0]
    ) + 0.3 * rng.normal(size=n_rows)
    bad = rng.uniform(size=n_rows) < share
    y[bad] = rng.uniform(-4, 16, size=bad.sum())
    return X, y, bad


X, y, bad = draw(400, share=1 / 12)
X_test, y_test, _ = draw(2000, share=0.0)

# %%
# Held-out rows without outliers show how well the regimes were found: by the error of the mean, and
# by the log-score.

likelihoods = {
    "Gaussian": "gaussian",
    "Student's t": "student_t",
}
fitted = {}
print(f"{'':14}{'RMSE':>6}{'log-score':>12}")
for name, likelihood in likelihoods.items():
    moe = MixtureOfExpertsRegressor(
        n_experts=2, likelihood=likelihood, random_state=0
    )
    fitted[name] = moe.fit(X, y)
    rmse = np.sqrt(np.mean((moe.predict(X_test) - y_test) ** 2))
    score = moe.log_density(X_test, y_test).mean()
    print(f"{name:14}{rmse:6.2f}{score:12.2f}")

# %%
# Each expert's line is drawn where the gate gives it more than half.

grid = np.linspace(-3, 3, 301)[:, None]
figure, axes = plt.subplots(
    2, 1, figsize=(5.6, 5.6), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, moe) in zip(axes, fitted.items(), strict=True):
    ax.plot(X[~bad], y[~bad], ".", color="0.75", label="rows")
    ax.plot(X[bad], y[bad], "x", color="0.45", label="outliers")
    lines = np.where(
        moe.gate_proba(grid) > 0.5, moe.predict_experts(grid), np.nan
    )
    ax.plot(grid, lines[:, 0], "-", color="k", linewidth=3, label="expert 0")
    ax.plot(grid, lines[:, 1], "--", color="k", linewidth=3, label="expert 1")
    ax.set(title=name, ylabel="y")
axes[-1].set_xlabel("x")
figure.legend(
    *axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3
)
plt.show()
