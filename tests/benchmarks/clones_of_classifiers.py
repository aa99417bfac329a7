"""Clones of a classifier beside a generalist, against one of them alone, calibrated alike.

Held-out rows of published splits, for the guide::

    OMP_NUM_THREADS=1 python tests/benchmarks/clones_of_classifiers.py DIRECTORY [NAMES]

with a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from skmoe import MixtureOfExpertsClassifier

NAMES = ["mammographic", "titanic", "german_credit", "vehicle", "banana"]
KINDS = {
    "tree": DecisionTreeClassifier(min_samples_leaf=5, random_state=0),
    "forest": RandomForestClassifier(40, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
}
MOST_ROWS, N_SPLITS = 600, 2


def planted(name, seed, n=500, n_new=1000):
    """Rows to fit and to test: labels by one column, turned round on a chessboard, or nowhere."""
    rng = np.random.RandomState(seed)
    X = rng.uniform(-2, 2, size=(n + n_new, 4))
    turned = (name == "chessboard") & (X[:, 0] * X[:, 1] < 0)
    log_odds = 3 * np.where(turned, -X[:, 2], X[:, 2])
    y = (rng.uniform(size=n + n_new) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return X[:n], y[:n], X[n:], y[n:]


def splits(name, load):
    """The same of published splits, of at most ``MOST_ROWS`` rows to fit."""
    table, y, tests, _ = load(name)
    table = pd.get_dummies(table)
    X = np.asarray(table.fillna(table.median()), dtype=float)
    for i, test in enumerate(tests[:N_SPLITS]):
        train = np.setdiff1d(np.arange(len(y)), test)
        train = np.random.RandomState(i).permutation(train)[:MOST_ROWS]
        yield X[train], y[train], X[test], y[test]


def main(directory, names):
    sys.path.insert(0, directory)
    from load import load

    warnings.simplefilter("ignore")
    print(f"{'':14}{'':10}{'log-loss, of one':>18}{'accuracy, of one':>18}  kept  fits")
    for name in names:
        is_planted = name in ("chessboard", "one function")
        cells = map(planted, [name] * N_SPLITS, range(N_SPLITS))
        tables = list(cells if is_planted else splits(name, load))
        for kind, classifier in KINDS.items():
            found = []
            for X, y, X_new, y_new in tables:
                moe, one = (
                    MixtureOfExpertsClassifier(classifier, n_experts, random_state=0).fit(X, y)
                    for n_experts in (3, 1)
                )
                losses = [
                    log_loss(y_new, each.predict_proba(X_new), labels=each.classes_)
                    for each in (moe, one)
                ]
                hits = [each.score(X_new, y_new) for each in (moe, one)]
                found.append((*losses, *hits, moe.specialisation_.kept, moe.n_expert_fits_))
            loss, loss_1, hit, hit_1, kept, fits = np.mean(found, axis=0)
            print(
                f"{name:14}{kind:10}{loss:9.3f}{loss_1:9.3f}{hit:9.3f}{hit_1:9.3f}{kept:6.1f}"
                f"{fits:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or [*NAMES, "chessboard", "one function"])
