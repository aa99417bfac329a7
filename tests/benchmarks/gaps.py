"""Densities where there was nothing to learn from: a gap, a tail, and a published split.

Tables of the UCI repository with the splits of ``treforevans/uci_datasets`` on GitHub, of which a
clone is given. A gap leaves the middle third of the rows along the first principal component out of
training and predicts it (Foong et al. 2019, "'In-between' uncertainty"); a tail leaves the largest
tenth out. Beside the mixtures are ridge with one scale, quantile forests, NGBoost, CatBoost with
uncertainty and LightGBM's quantiles. Columns and target are standardised by the rows to fit on.
Prints a line for each fit, and means over tables::

    pip install ngboost quantile-forest catboost lightgbm
    OMP_NUM_THREADS=1 python tests/benchmarks/gaps.py CLONE [NAMES ...] [--out lines.csv]
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import RidgeCV

from skmoe import MixtureOfExpertsRegressor

NAMES = [
    *("concreteslump", "autos", "servo", "machine", "yacht"),
    *("autompg", "housing", "stock", "energy"),
]
ROWS, NEW_ROWS = 1000, 300  # to fit on and to predict, at most
LEVELS = np.arange(1, 100) / 100
LOWEST = -20.0  # log-densities of rows are not counted below this
KINDS = ["published", "gap", "tail"]


def read(folder, name):
    """Columns, target, and which rows the first published split holds out."""
    table = np.loadtxt(folder / name / "data.csv.gz", delimiter=",")
    mask = np.loadtxt(folder / name / "test_mask.csv.gz", delimiter=",")[:, 0]
    return table[:, :-1], table[:, -1], mask.astype(bool)


def held_out(kind, X, mask):
    """Which rows are predicted."""
    if kind == "published":
        return mask
    Z = (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1)
    direction = np.linalg.svd(Z, full_matrices=False)[2][0]
    direction *= np.sign(direction[np.argmax(np.abs(direction))])
    order = np.argsort(Z @ direction, kind="stable")
    rows = np.zeros(len(X), bool)
    rows[order[-len(X) // 10 :] if kind == "tail" else np.array_split(order, 3)[1]] = True
    return rows


def scores_of_quantiles(quantiles, y):
    """Scores of quantiles at LEVELS: uniform between them, exponential beyond the outermost."""
    quantiles = np.sort(quantiles, axis=1)
    width = np.maximum(np.diff(quantiles, axis=1), 1e-3)
    k = (quantiles < y[:, None]).sum(1)
    inside = np.log(0.01 / width[np.arange(len(y)), (k - 1).clip(0, 97)])
    # Beyond: the decay that the outermost twentieth has.
    scale = np.maximum(quantiles[:, [5, -1]] - quantiles[:, [0, -6]], 5e-3) / np.log(6)
    beyond = np.maximum(quantiles[:, 0] - y, y - quantiles[:, -1])
    scale = scale[np.arange(len(y)), (k > 0).astype(int)]
    outside = np.log(0.01 / scale) - beyond / scale
    error = y[:, None] - quantiles
    return {
        "crps": 2 * np.mean(np.maximum(LEVELS * error, (LEVELS - 1) * error), axis=1),
        "log_score": np.where((k == 0) | (k == 99), outside, inside),
        "held": (quantiles[:, 4] <= y) & (y <= quantiles[:, 94]),
    }


def scores_of_normal(mean, std, y):
    """Scores of a Gaussian density."""
    z = (y - mean) / std
    crps = std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    return {
        "crps": crps,
        "log_score": stats.norm.logpdf(y, mean, std),
        "held": np.abs(z) <= stats.norm.ppf(0.95),
    }


def mixture(experts):
    """A mixture with default settings."""

    def run(X, y, X_new, y_new):
        moe = MixtureOfExpertsRegressor(experts, random_state=0).fit(X, y)
        low, high = moe.predict_interval(X_new, 0.9).T
        return moe.predict(X_new), {
            "crps": moe.predict_dist(X_new).crps(y_new),
            "log_score": moe.log_density(X_new, y_new),
            "held": (low <= y_new) & (y_new <= high),
        }

    return run


def ridge(X, y, X_new, y_new):
    """Ridge, with the scale of its leave-one-out errors."""
    model = RidgeCV(np.logspace(-3, 4, 22), store_cv_results=True).fit(X, y)
    std = np.sqrt(model.cv_results_.mean(0).min())
    mean = model.predict(X_new)
    return mean, scores_of_normal(mean, max(std, 1e-3), y_new)


def forest(X, y, X_new, y_new):
    """A quantile forest."""
    from quantile_forest import RandomForestQuantileRegressor

    model = RandomForestQuantileRegressor(200, min_samples_leaf=5, random_state=0).fit(X, y)
    quantiles = model.predict(X_new, quantiles=list(LEVELS))
    return model.predict(X_new, quantiles="mean"), scores_of_quantiles(quantiles, y_new)


def ngboost(X, y, X_new, y_new):
    """NGBoost, as it comes."""
    from ngboost import NGBRegressor

    normal = NGBRegressor(verbose=False, random_state=0).fit(X, y).pred_dist(X_new)
    return normal.loc, scores_of_normal(normal.loc, normal.scale, y_new)


def catboost(X, y, X_new, y_new):
    """CatBoost with a mean and a variance for each row."""
    from catboost import CatBoostRegressor

    model = CatBoostRegressor(
        loss_function="RMSEWithUncertainty", verbose=0, thread_count=1, random_seed=0,
        allow_writing_files=False,
    )  # fmt: skip
    mean, variance = model.fit(X, y).predict(X_new).T
    return mean, scores_of_normal(mean, np.sqrt(variance), y_new)


def lightgbm(X, y, X_new, y_new):
    """LightGBM: a model for each of 21 quantiles, others interpolated; one for the mean."""
    from lightgbm import LGBMRegressor

    settings = {"verbose": -1, "n_jobs": 1, "random_state": 0}
    levels = np.array([0.01, *np.arange(1, 20) / 20, 0.99])
    told = [
        LGBMRegressor(objective="quantile", alpha=q, **settings).fit(X, y).predict(X_new)
        for q in levels
    ]
    told = np.sort(np.transpose(told), axis=1)
    quantiles = np.array([np.interp(LEVELS, levels, row) for row in told])
    mean = LGBMRegressor(**settings).fit(X, y).predict(X_new)
    return mean, scores_of_quantiles(quantiles, y_new)


MODELS = {
    "diverse": mixture("diverse"),
    "default": mixture(None),
    "ridge": ridge,
    "quantile forest": forest,
    "NGBoost": ngboost,
    "CatBoost": catboost,
    "LightGBM": lightgbm,
}


def run(folder, names, kinds, models):
    """A row for each table, kind of split and model."""
    for name in names:
        X, y, mask = read(folder, name)
        for kind in kinds:
            rng = np.random.default_rng(0)
            new = held_out(kind, X, mask)
            fit, new = (rng.permutation(np.flatnonzero(rows)) for rows in (~new, new))
            fit, new = fit[:ROWS], new[:NEW_ROWS]
            keep = X[fit].std(0) > 0
            Z = ((X - X[fit].mean(0)) / np.where(keep, X[fit].std(0), 1))[:, keep]
            t = (y - y[fit].mean()) / y[fit].std()
            for model in models:
                start = time.process_time()
                mean, scores = MODELS[model](Z[fit], t[fit], Z[new], t[new])
                log_score = scores["log_score"]
                yield {
                    "table": name,
                    "kind": kind,
                    "model": model,
                    "rows": len(fit),
                    "rmse": np.sqrt(np.mean((mean - t[new]) ** 2)),
                    "crps": scores["crps"].mean(),
                    "log_score": np.maximum(log_score, LOWEST).mean(),
                    "lost": np.mean(~(log_score > LOWEST)),
                    "held": scores["held"].mean(),
                    "seconds": time.process_time() - start,
                }


def summary(found):
    """Print what the page has: means over tables."""
    columns = ["rmse", "crps", "log_score", "lost", "held", "seconds"]
    for kind in KINDS:
        if (of_kind := found[found.kind == kind]).size:
            print(f"\n{kind}, {of_kind.table.nunique()} tables")
            print(of_kind.groupby("model", sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clone", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    folder = options.clone / "uci_datasets"
    for line in run(folder, options.names, options.kinds, options.models):
        found.append(line)
        print(
            "  ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in line.values()),
            flush=True,
        )
        if options.out:
            pd.DataFrame(found).to_csv(options.out, index=False)
    summary(pd.DataFrame(found))
