"""Four unlike classifiers, mixed, beside a StackingClassifier of them.

Held-out rows of published splits, for the guide::

    OMP_NUM_THREADS=1 python tests/benchmarks/unlike_classifiers.py DIRECTORY [NAMES]

with a directory of data sets whose ``load.py`` has ``load(name)``, as in ``tests/conftest.py``.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmoe import MixtureOfExpertsClassifier

NAMES = ["titanic", "german_credit", "vehicle", "banana", "mammographic", "movement_libras"]
N_SPLITS = 5
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def unlike():
    """Four unlike classifiers that take tables of numbers and strings, with holes."""

    def behind_encoder(model):
        strings = make_column_selector(dtype_include=[object, "string", "category", "bool"])
        numbers = make_column_selector(dtype_include="number")
        one_hot = make_pipeline(
            SimpleImputer(strategy="most_frequent"),
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        )
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        return make_pipeline(make_column_transformer((one_hot, strings), (scaled, numbers)), model)

    return [
        ("logistic", behind_encoder(LogisticRegression(max_iter=1000))),
        ("boosting", behind_encoder(HistGradientBoostingClassifier(random_state=0))),
        ("forest", behind_encoder(RandomForestClassifier(100, random_state=0))),
        ("net", behind_encoder(MLPClassifier(max_iter=400, random_state=0))),
    ]


def main(directory, names):
    sys.path.insert(0, directory)
    from load import load

    warnings.simplefilter("ignore")
    print(f"{'':18}{'':8}log-loss  accuracy  CPU s")
    for name in names:
        X, y, tests, _ = load(name)
        results = {"stack": [], "mixture": []}
        for test in tests[:N_SPLITS]:
            train = np.setdiff1d(np.arange(len(y)), test)
            models = {
                "stack": StackingClassifier(unlike(), LogisticRegression(max_iter=1000), cv=FOLDS),
                "mixture": MixtureOfExpertsClassifier(unlike(), random_state=0),
            }
            for kind, model in models.items():
                start = time.process_time()
                model.fit(X.iloc[train], y[train])
                seconds = time.process_time() - start
                loss = log_loss(y[test], model.predict_proba(X.iloc[test]), labels=model.classes_)
                results[kind].append((loss, model.score(X.iloc[test], y[test]), seconds))
        for kind, found in results.items():
            loss, accuracy, seconds = np.mean(found, axis=0)
            print(f"{name:18}{kind:8}{loss:8.4f}{accuracy:10.3f}{seconds:7.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or NAMES)
