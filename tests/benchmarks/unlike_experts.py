"""Four unlike experts, mixed, beside a stack of them with scales and tails of its own; "diverse".

The stack has what its users can write in twenty lines: a small boosting of the logarithm of its
squared out-of-fold errors gives the scale of a row, and Student's t is fitted to the errors in
units of it. Held-out rows of published splits, for the guide::

    OMP_NUM_THREADS=1 python tests/benchmarks/unlike_experts.py DIRECTORY [NAMES]

with a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmoe import MixtureOfExpertsRegressor

NAMES = ["concrete", "energy", "power_plant", "cps1985", "pwlinear", "abalone", "mcycle"]
N_SPLITS = {"mcycle": 10}
FOLDS = KFold(5, shuffle=True, random_state=0)


def unlike():
    """Four unlike regressors that take tables of numbers and strings."""

    def behind_encoder(model):
        strings = make_column_selector(dtype_include=[object, "string", "category"])
        numbers = make_column_selector(dtype_include="number")
        encoder = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), strings),
            (StandardScaler(), numbers),
        )
        return make_pipeline(encoder, model)

    net = MLPRegressor(max_iter=400, random_state=0)
    return [
        ("ridge", behind_encoder(RidgeCV(np.logspace(-3, 3, 13)))),
        ("boosting", behind_encoder(HistGradientBoostingRegressor(random_state=0))),
        ("forest", behind_encoder(RandomForestRegressor(100, random_state=0))),
        ("net", TransformedTargetRegressor(behind_encoder(net), transformer=StandardScaler())),
    ]


class StackWithScale:
    """A stack, a scale for each row, and Student's t."""

    def fit(self, X, y):
        start = time.process_time()
        predictions = np.column_stack(
            [cross_val_predict(expert, X, y, cv=FOLDS) for _, expert in unlike()]
        )
        self.experts = [expert.fit(X, y) for _, expert in unlike()]
        self.final = RidgeCV().fit(predictions, y)
        self.seconds = time.process_time() - start  # what StackingRegressor does
        residuals = y - self.final.predict(predictions)
        Z = np.asarray(pd.get_dummies(X), dtype=float)
        log_square = np.log(residuals**2 + 1e-6 * np.mean(residuals**2))
        boosting = HistGradientBoostingRegressor(
            max_iter=60, learning_rate=0.05, max_leaf_nodes=6, l2_regularization=5.0,
            min_samples_leaf=max(8, len(y) // 40), early_stopping=False, random_state=0,
        )  # fmt: skip
        log_scale = 0.5 * cross_val_predict(boosting, Z, log_square, cv=FOLDS)
        self.t = stats.t.fit(residuals / np.exp(log_scale), floc=0.0)
        self.columns, self.boosting = pd.get_dummies(X).columns, boosting.fit(Z, log_square)
        return self

    def predict_dist(self, X):
        dummies = pd.get_dummies(X).reindex(columns=self.columns, fill_value=0)
        log_scale = 0.5 * self.boosting.predict(np.asarray(dummies, dtype=float))
        mean = self.final.predict(np.column_stack([e.predict(X) for e in self.experts]))
        return stats.t(self.t[0], mean, self.t[2] * np.exp(log_scale))


def scores(y, mean, distribution):
    """RMSE, log-score, CRPS, coverage and mean width of 90 % intervals."""
    low, high = distribution.ppf(0.05), distribution.ppf(0.95)
    return (
        np.sqrt(np.mean((y - mean) ** 2)),
        distribution.logpdf(y).mean(),
        np.mean(_crps(y, distribution)),
        np.mean((low <= y) & (y <= high)),
        np.mean(high - low),
    )


def _crps(y, distribution):
    """By the pinball losses of a hundred quantiles."""
    levels = (np.arange(100) + 0.5) / 100
    quantiles = np.stack([distribution.ppf(level) for level in levels], axis=1)
    errors = y[:, None] - quantiles
    return 2 * np.mean(np.maximum(levels * errors, (levels - 1) * errors), axis=1)


def main(directory, names):
    sys.path.insert(0, directory)
    from load import load

    warnings.simplefilter("ignore")
    print(f"{'':12}{'':8}   RMSE  log-score   CRPS  cover  width  CPU s")
    for name in names:
        X, y, tests, _ = load(name)
        y = y.astype(float)
        n_splits = N_SPLITS.get(name, 5)
        if not tests:
            rng = np.random.RandomState(0)
            tests = [rng.permutation(len(y))[: len(y) // 10] for _ in range(n_splits)]
        mixtures = {"mixture": unlike(), "diverse": "diverse"}
        results = {"stack": [], **{model: [] for model in mixtures}}
        for test in tests[:n_splits]:
            train = np.setdiff1d(np.arange(len(y)), test)
            recipe = StackWithScale().fit(X.iloc[train], y[train])
            distribution = recipe.predict_dist(X.iloc[test])
            found = scores(y[test], distribution.mean(), distribution)
            results["stack"].append((*found, recipe.seconds))
            for model, experts in mixtures.items():
                start = time.process_time()
                moe = MixtureOfExpertsRegressor(experts, random_state=0)
                moe.fit(X.iloc[train], y[train])
                of_mixture = time.process_time() - start
                distribution = moe.predict_dist(X.iloc[test])
                found = scores(y[test], moe.predict(X.iloc[test]), distribution)
                results[model].append((*found, of_mixture))
        for model, found in results.items():
            mean = np.mean(found, axis=0)
            print(
                f"{name:12}{model:8}{mean[0]:7.3g}{mean[1]:11.3f}{mean[2]:7.3g}{mean[3]:7.2f}"
                f"{mean[4]:7.3g}{mean[5]:7.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or NAMES)
