"""Unlike experts for ``experts="diverse"``, with parameters for small tables."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .density_forest import DensityForestRegressor
from .smooth import SmoothRegressor

DIVERSE = "diverse"
LINES = "lines"  # the default mixture, which stacks alone have a use for
PROCESS_ROWS = 1_000  # a Gaussian process of classes takes time by their cube
RIDGE_PENALTIES = tuple(np.logspace(-3, 3, 13).tolist())
FEW_TREES, MANY_TREES = 50, 100
MANY_ROWS = 2_000  # of fewer, there are few trees and a smaller net
FEW_ROWS = 500  # of fewer, a tenth is too few to stop a net by
NET_OF_CLASSES = {"alpha": 1.0, "max_iter": 2000}  # a penalty keeps it from fitting their noise
NET_OF_FEW = {**NET_OF_CLASSES, "learning_rate_init": 0.005, "n_iter_no_change": 20}
STOPPED_NET = {"batch_size": 64, "early_stopping": True, "max_iter": 500}
NET_OF_SOME = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005, **STOPPED_NET}
NET_OF_MANY = {"hidden_layer_sizes": (128, 128), "learning_rate_init": 0.003, **STOPPED_NET}


class ScaledTarget(TransformedTargetRegressor):
    """A regressor of the standardised target, whose ``fit`` takes weights.

    Parameters
    ----------
    regressor : estimator
        Takes ``sample_weight``.
    transformer : transformer
        A StandardScaler.
    """

    def __init__(self, regressor=None, *, transformer=None):
        super().__init__(regressor, transformer=transformer)

    def fit(self, X, y, sample_weight=None):
        """Fit; see TransformedTargetRegressor."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return super().fit(X, y, **weights)


def diverse_experts(classifies, y=None, sample_weight=None, lines=None):
    """Named estimators, unfitted, that take numbers, missing ones too.

    ``lines`` is the default mixture, which is one of them where there is one output; None is none.

    ``y`` and ``sample_weight`` are as ``fit`` was given them; None is few rows. With few rows, of
    equal weight, there is a Gaussian process among classifiers, which takes no weights.
    """
    shape = np.shape(y)
    n_rows, several_outputs = shape[0] if shape else 0, len(shape) > 1 and shape[1] > 1
    if not classifies:
        has_lines = lines is not None and not several_outputs
        beside = [(LINES, make_pipeline(_imputer(), lines))] if has_lines else []
        return _regressors(n_rows, several_outputs) + beside
    experts = _classifiers()
    equal = sample_weight is None or np.ptp(np.asarray(sample_weight, dtype=float)) == 0
    if n_rows < PROCESS_ROWS and equal:
        # Imported where they are needed: it takes long.
        from sklearn.gaussian_process import GaussianProcessClassifier
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        process = GaussianProcessClassifier(ConstantKernel() * RBF())
        experts.append(("process", _behind_scaler(process)))
    return experts


def _regressors(n_rows, several_outputs):
    boosting = HistGradientBoostingRegressor()
    trees = FEW_TREES if n_rows < MANY_ROWS else MANY_TREES
    forest = RandomForestRegressor if several_outputs else DensityForestRegressor
    net = ScaledTarget(MLPRegressor(**_net_of(n_rows)), transformer=StandardScaler())
    return [
        ("ridge", _behind_scaler(RidgeCV(RIDGE_PENALTIES))),
        ("boosting", MultiOutputRegressor(boosting) if several_outputs else boosting),
        ("forest", forest(trees)),
        ("net", _behind_scaler(net)),
        ("process", _behind_scaler(SmoothRegressor())),
    ]


def _net_of(n_rows):
    if n_rows < FEW_ROWS:
        return NET_OF_FEW
    return NET_OF_SOME if n_rows < MANY_ROWS else NET_OF_MANY


def _classifiers():
    return [
        ("logistic", _behind_scaler(LogisticRegression(max_iter=1000))),
        ("boosting", HistGradientBoostingClassifier()),
        ("forest", RandomForestClassifier()),
        ("net", _behind_scaler(MLPClassifier(**NET_OF_CLASSES))),
    ]


def _behind_scaler(estimator):
    return make_pipeline(_imputer(), StandardScaler(), estimator)


def _imputer():
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
