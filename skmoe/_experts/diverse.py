"""Unlike experts for ``experts="diverse"``, with parameters for small tables."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DIVERSE = "diverse"
PROCESS_ROWS = 1_000  # a Gaussian process takes time by their cube
RIDGE_PENALTIES = tuple(np.logspace(-3, 3, 13).tolist())
NET_PENALTY = 1.0  # keeps a net from fitting the noise of a few hundred rows


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


def diverse_experts(classifies, y=None, sample_weight=None):
    """Named estimators, unfitted, that take numbers, missing ones too.

    ``y`` and ``sample_weight`` are as ``fit`` was given them; None is few rows. With few rows, of
    equal weight, there is a Gaussian process among the estimators, which takes no weights.
    """
    shape = np.shape(y)
    few = not shape or shape[0] < PROCESS_ROWS
    equal = sample_weight is None or np.ptp(np.asarray(sample_weight, dtype=float)) == 0
    experts = _classifiers() if classifies else _regressors(len(shape) > 1 and shape[1] > 1)
    if few and equal:
        experts.append(("process", _behind_scaler(_process(classifies))))
    return experts


def _regressors(several_outputs):
    boosting = HistGradientBoostingRegressor()
    net = ScaledTarget(MLPRegressor(alpha=NET_PENALTY, max_iter=2000), transformer=StandardScaler())
    return [
        ("ridge", _behind_scaler(RidgeCV(RIDGE_PENALTIES))),
        ("boosting", MultiOutputRegressor(boosting) if several_outputs else boosting),
        ("forest", RandomForestRegressor()),
        ("net", _behind_scaler(net)),
    ]


def _classifiers():
    return [
        ("logistic", _behind_scaler(LogisticRegression(max_iter=1000))),
        ("boosting", HistGradientBoostingClassifier()),
        ("forest", RandomForestClassifier()),
        ("net", _behind_scaler(MLPClassifier(alpha=NET_PENALTY, max_iter=2000))),
    ]


def _process(classifies):
    kernel = ConstantKernel() * RBF()
    if classifies:
        return GaussianProcessClassifier(kernel)
    return GaussianProcessRegressor(kernel + WhiteKernel(), normalize_y=True)


def _behind_scaler(estimator):
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler(), estimator)
