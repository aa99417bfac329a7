"""The only file that touches scikit-learn's private names or looks at versions."""

from functools import cache

from sklearn.base import _fit_context as fit_context
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as n_openmp_threads
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
from sklearn.utils.metadata_routing import _routing_enabled as routing_enabled
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _check_y as check_y


def validate_params(estimator):
    """Raise what ``fit`` of an estimator of scikit-learn would of its parameters."""
    estimator._validate_params()


class NamesParameters:
    """Mixin that looks up the names of the parameters once for each class.

    scikit-learn reads the signature of ``__init__`` anew for every clone and ``get_params``, which
    a fit of a few thousand rows would wait for.
    """

    @classmethod
    @cache
    def _get_param_names(cls):
        return super()._get_param_names()


def input_places(column_transformer, name):
    """Numbers of the columns that one part of a fitted ColumnTransformer takes."""
    return column_transformer._transformer_to_input_indices[name]


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Stands where scikit-learn has no callbacks: there is nobody to tell."""

        def _init_callback_context(self, **kwargs):
            return _Unheard()

    class _Unheard:
        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False


def has_callbacks(estimator):
    """Whether an estimator with CallbackSupportMixin has callbacks, of its own or passed on."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


__all__ = [
    "BaseComposition",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "NamesParameters",
    "Options",
    "StrOptions",
    "VisualBlock",
    "check_matplotlib_support",
    "check_feature_names",
    "check_n_features",
    "check_sample_weight",
    "check_y",
    "fit_context",
    "has_callbacks",
    "input_places",
    "n_openmp_threads",
    "routing_enabled",
    "validate_params",
    "validate_parameter_constraints",
]
