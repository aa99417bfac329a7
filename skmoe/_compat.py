"""The only file that touches scikit-learn's private names or looks at versions."""

import copy
import importlib.metadata
from contextlib import nullcontext
from functools import cache

import numpy as np
import sklearn

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7):  # as in pyproject.toml
    raise ImportError(
        f"skmoe needs scikit-learn 1.7 or newer, and found {sklearn.__version__}: "
        "`pip install -U scikit-learn`. `pip check` then names packages that ask for an older one."
    )

from sklearn.base import BaseEstimator
from sklearn.base import _fit_context as fit_context
from sklearn.model_selection import KFold
from sklearn.pipeline import _name_estimators as name_estimators
from sklearn.preprocessing import TargetEncoder
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as n_openmp_threads
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    make_constraint,
    validate_parameter_constraints,
)
from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
from sklearn.utils.metadata_routing import _routing_enabled as routing_enabled
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y, validate_data


def check_y(y, **params):
    """Checked target; the error for missing values says what to do."""
    try:
        return _check_y(y, **params)
    except ValueError as error:
        if "contains NaN" in str(error):
            raise ValueError("Input y contains NaN: drop the rows that have no target.") from error
        raise


def target_encoder(target_type):
    """Unfitted TargetEncoder whose folds are drawn by a fixed seed."""
    if TargetEncoder().shuffle == "deprecated":  # from 1.9 on
        return TargetEncoder(target_type=target_type, cv=KFold(shuffle=True, random_state=0))
    return TargetEncoder(target_type=target_type, random_state=0)


def validate_params(estimator):
    """Raise what ``fit`` of an estimator of scikit-learn would of its parameters."""
    # ``vars`` has what ``get_params`` reads a signature for.
    if not all(
        any(constraint.is_satisfied_by(vars(estimator)[name]) for constraint in constraints)
        for name, constraints in _constraints(type(estimator)).items()
        if name in vars(estimator)
    ):
        BaseEstimator._validate_params(estimator)  # raises the error


@cache
def _constraints(estimator_class):
    """Constraints of each parameter, made."""
    return {
        name: [make_constraint(constraint) for constraint in constraints]
        for name, constraints in estimator_class._parameter_constraints.items()
        if constraints != "no_validation"
    }


class QuickParameters:
    """Mixin that looks up names and constraints of the parameters once for each class.

    scikit-learn reads the signature of ``__init__`` anew for every clone and ``get_params``, and
    makes every constraint anew to validate them, which a fit of a few thousand rows would wait for.
    """

    @classmethod
    @cache
    def _get_param_names(cls):
        return super()._get_param_names()

    _validate_params = validate_params


def learn_columns(estimator, X):
    """Set number and names of the columns, as ``validate_data(..., skip_check_array=True)``."""
    if type(X) is not np.ndarray:
        validate_data(estimator, X, skip_check_array=True)
        return
    estimator.n_features_in_ = X.shape[1]  # and it has no names, for which all else takes long
    vars(estimator).pop("feature_names_in_", None)


def boosted_trees(model):
    """Baseline and trees of a fitted HistGradientBoostingRegressor, before its link.

    Each tree is an array of nodes, with the fields of scikit-learn's ``PREDICTOR_RECORD_DTYPE``.
    """
    return float(model._baseline_prediction.item()), [each.nodes for (each,) in model._predictors]


def input_places(column_transformer, name):
    """Numbers of the columns that one part of a fitted ColumnTransformer takes."""
    return column_transformer._transformer_to_input_indices[name]


try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9
    ProgressBar = ()
    callback_management_context = nullcontext

    class CallbackSupportMixin:
        """Callbacks in versions without them: every call does nothing."""

        def _init_callback_context(self, **kwargs):
            return _NoContext()

    class _NoContext:
        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False


def has_callbacks(estimator):
    """Whether an estimator with CallbackSupportMixin has callbacks, of its own or passed on."""
    return bool(vars(estimator).get("_skl_callbacks"))


def with_callbacks_of(estimator, kind=()):
    """A copy of an estimator that keeps callbacks of this kind alone."""
    twin = copy.copy(estimator)
    callbacks = vars(estimator).get("_skl_callbacks", ())
    vars(twin)["_skl_callbacks"] = [each for each in callbacks if isinstance(each, kind)]
    return twin


# Versions to put into a bug report ---------------------------------------------------------------


OPTIONAL = ("polars", "pyarrow", "dask", "lightgbm", "xgboost", "catboost")  # others' experts, rows


def show_versions():
    """Print the versions of skmoe, of Python and of what they depend on, for bug reports.

    Below those of skmoe stands what ``sklearn.show_versions`` prints.

    Examples
    --------
    >>> from skmoe import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    <BLANKLINE>
    skmoe: ...
    """
    from . import __version__

    print(f"\nskmoe: {__version__}, its kernels on {n_openmp_threads()} threads")
    print("\nOptional packages:")
    for name in OPTIONAL:
        print(f"{name:>13}: {_version(name)}")
    sklearn.show_versions()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
