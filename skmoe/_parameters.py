"""Parameters and rows of a mixture, validated; tags, metadata routing, HTML."""

from abc import abstractmethod

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    is_classifier,
    is_regressor,
)
from sklearn.model_selection import GroupKFold
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from ._compat import (
    BaseComposition,
    VisualBlock,
    check_feature_names,
    check_n_features,
    check_sample_weight,
)
from ._data import Rows, check_subject
from ._rows.files import is_elsewhere
from ._tables.mixed import HEAVIEST, accepts, check_sizes, check_table
from .exceptions import SmallWeightsWarning, warn_user

DEFAULT_N_EXPERTS = 4
LIGHT_ROW = 0.1  # weights around less than this were hardly meant as numbers of rows


class ExpertParameters(MetaEstimatorMixin, BaseComposition, BaseEstimator):
    """``get_params`` and ``set_params`` for ``experts``, an estimator or a list of named ones.

    Subclasses say with ``_default_expert()`` and ``_default_gate()`` what ``None`` stands for.
    """

    def get_params(self, deep=True):
        """Get the parameters, those of the experts and the gate included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of the experts and the gate.

        Returns
        -------
        params : dict
            ``experts__alpha`` for a single expert, ``forest__max_depth`` for a named one.
        """
        if isinstance(self.experts, list):
            return self._get_params("experts", deep=deep)
        return BaseEstimator.get_params(self, deep=deep)

    def set_params(self, **params):
        """Set parameters, those of the experts and the gate included.

        Parameters
        ----------
        **params : dict
            As ``get_params`` names them; ``forest="drop"`` leaves an expert of a list out.

        Returns
        -------
        self : object
            The mixture.
        """
        for part, example in (("experts", "Ridge()"), ("gate", "SoftmaxGate()")):
            nested = [key for key in params if key.startswith(f"{part}__")]
            if nested and params.get(part, getattr(self, part)) is None:
                raise ValueError(
                    f"{nested[0]} cannot be set while {part} is None: give {part}={example} or "
                    "what you want to tune."
                )
        if isinstance(params.get("experts", self.experts), list):
            self._set_params("experts", **params)
            return self
        return BaseEstimator.set_params(self, **params)

    def _expert_list(self):
        """Names and unfitted estimators of the experts, without the dropped ones; checked."""
        if isinstance(self.experts, list):
            names, estimators = self._named_experts()
        else:
            estimator = self._default_expert() if self.experts is None else self.experts
            n_experts = DEFAULT_N_EXPERTS if self.n_experts is None else self.n_experts
            names = [f"expert{k}" for k in range(n_experts)]
            estimators = [estimator] * n_experts
        for name, estimator in zip(names, estimators, strict=True):
            check_expert(self, name, estimator)
        if isinstance(self.gate, type):
            raise TypeError(f"gate must be an estimator; {self.gate!r} is a class: call it.")
        return names, estimators

    def _named_experts(self):
        if not self.experts or not all(
            isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
            for item in self.experts
        ):
            raise ValueError(
                "experts must be an estimator or a non-empty list of (name, estimator) tuples; "
                f"got {self.experts!r}."
            )
        self._validate_names([name for name, _ in self.experts])
        kept = [(name, estimator) for name, estimator in self.experts if estimator != "drop"]
        if not kept:
            raise ValueError("All experts are 'drop'; at least one must stay.")
        if self.n_experts is not None and self.n_experts != len(kept):
            raise ValueError(
                f"n_experts={self.n_experts}, but the list has {len(kept)} experts that are not "
                "'drop'. Leave n_experts at None with a list."
            )
        return [list(column) for column in zip(*kept, strict=True)]

    # Rows -----------------------------------------------------------------------------------

    @abstractmethod
    def _check_target(self, y):
        """Target as the mixture computes with it: floats, or class numbers. Learns classes."""

    @abstractmethod
    def _check_known_target(self, y):
        """The same for a fitted mixture."""

    def _check_weight(self, sample_weight, X, y):
        """Weights (n_samples,) to learn with."""
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_sizes(weight, "sample_weight", smallest=True, limit=HEAVIEST)
        return weight

    def __sklearn_is_fitted__(self):
        return hasattr(self, "experts_")  # partial_fit may so far have collected rows only

    # Tags -----------------------------------------------------------------------------------

    def _parts(self):
        """Experts and gate whose tags count, without those that ``None`` adapts to the table."""
        if isinstance(self.experts, list):
            experts = [e for _, e in self.experts if hasattr(e, "fit")]
        else:
            experts = [self._default_expert() if self.experts is None else self.experts]
        return experts, self.gate

    def _strings_ok(self):
        """Whether arrays of strings may pass, because nobody has to read them as numbers."""
        experts, gate = self._parts()
        choosers = experts + ([] if gate is None else [gate])
        return self.experts is not None and all(accepts(e, "string") for e in choosers)

    def _dense_parts(self):
        """Experts and gate that take no sparse matrix."""
        experts, gate = self._parts()
        parts = experts + [self._default_gate() if gate is None else gate]
        return [e for e in parts if self.experts is None or not accepts(e, "sparse")]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            experts, gate = self._parts()
            choosers = experts + ([] if gate is None else [gate])
            tags.input_tags.sparse = not self._dense_parts()
            tags.input_tags.allow_nan = all(accepts(e, "allow_nan") for e in choosers)
            tags.target_tags.multi_output = all(
                get_tags(e).target_tags.multi_output for e in experts
            )
        except (TypeError, ValueError, AttributeError):
            pass  # parts that are no estimators: fit says so
        if self.specialisation == 0:
            tags.input_tags.sparse = tags.target_tags.multi_output = False
        return tags

    def get_metadata_routing(self):
        """Get metadata routing of this object.

        Returns
        -------
        routing : MetadataRouter
            ``sample_weight`` for the mixture itself; ``groups`` for the splitter in ``cv``.
        """
        splits = hasattr(self.cv, "split") and not isinstance(self.cv, str)
        splitter = self.cv if splits else GroupKFold()  # what an integer becomes with groups
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=splitter,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
        )

    def _sk_visual_block_(self):
        fitted = self.__sklearn_is_fitted__()  # what None stood for, encoders included, is known
        if isinstance(self.experts, list):
            names, experts = zip(*self.experts, strict=True)
        else:
            expert = self.experts
            if expert is None:
                expert = self.experts_[0] if fitted else self._default_expert()
            names, experts = ("experts",), (expert,)
        experts_block = VisualBlock("parallel", experts, names=names, dash_wrapped=False)
        gate = self.gate
        if gate is None:
            gate = self.gate_ if fitted else self._default_gate()
        gate_block = VisualBlock("parallel", [gate], names=["gate"], dash_wrapped=False)
        return VisualBlock("serial", (experts_block, gate_block), dash_wrapped=False)


def check_rows(
    mixture, X, y, sample_weight=None, exposure=None, subject=None, *, reset=False, known=True,
    n_experts=1,
):  # fmt: skip
    """Rows to learn from, at least ``n_experts`` of them of positive weight.

    ``reset`` learns the columns anew; the target is ``known`` to a fitted mixture, or not.
    """
    check_given(mixture, y)
    X = check_X(mixture, X, reset=reset)
    y = mixture._check_known_target(y) if known else mixture._check_target(y)
    check_consistent_length(X, y)
    weight = mixture._check_weight(sample_weight, X, y)
    n_used = np.count_nonzero(weight)
    if n_used == 0 and n_experts:
        raise ValueError("sample_weight is zero for every row; one at least must be positive.")
    if n_used < n_experts:
        raise ValueError(
            f"Found n_samples={n_used} rows of positive weight, fewer than "
            f"n_experts={n_experts}. Give more rows, or ask for fewer experts."
        )
    warn_of_small_weights(weight.sum(), weight @ weight, n_used)
    return Rows(X, y, weight, check_exposure(mixture, exposure, X), check_subject(subject, X))


def check_known_rows(mixture, X, y, sample_weight=None, exposure=None, subject=None):
    """Rows for a fitted mixture to look at."""
    check_fitted(mixture)
    check_given(mixture, y)
    X = check_X(mixture, X)
    y = mixture._check_known_target(y)
    check_consistent_length(X, y)
    weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    return Rows(X, y, weight, check_exposure(mixture, exposure, X), check_subject(subject, X))


def check_given(mixture, y):
    """Raise a ValueError if there is no target."""
    if y is None:
        raise ValueError(
            f"This {type(mixture).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def check_X(mixture, X, *, reset=False):
    """X as a table or array; ``reset`` learns the number and names of the columns."""
    if sparse.issparse(X) and mixture._dense_parts():
        raise TypeError(
            f"Sparse data was passed, but {mixture._dense_parts()[0]} needs dense data. Give "
            "experts and a gate that take sparse data, such as Ridge and SoftmaxGate, or use "
            "X.toarray()."
        )
    if is_elsewhere(X):
        raise TypeError(
            f"This method takes rows in memory; fit, predict and the like take {type(X).__name__}."
        )
    X = check_table(X, sparse_ok=True, strings_ok=mixture._strings_ok)
    check_sizes(X, "X", smallest=reset)
    check_feature_names(mixture, X, reset=reset)
    check_n_features(mixture, X, reset=reset)
    return X


def check_exposure(mixture, exposure, X):
    """Exposure (n_samples,) of each row, or None."""
    if exposure is None:
        return None
    if not mixture._likelihood().takes_exposure:
        raise ValueError(
            "exposure is for likelihoods of counts, such as likelihood='poisson'; this "
            f"{type(mixture).__name__} has none of them."
        )
    exposure = column_or_1d(exposure, dtype=np.float64)
    check_consistent_length(X, exposure)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError("exposure must be positive and finite in every row.")
    check_sizes(exposure, "exposure", smallest=True)
    return exposure


def check_responsibilities(responsibilities, n_rows, n_experts):
    """Responsibilities (n_samples, n_experts) that a user gave."""
    responsibilities = np.asarray(responsibilities, dtype=np.float64)
    shape = (n_rows, n_experts)
    if responsibilities.shape != shape:
        raise ValueError(
            f"responsibilities have shape {responsibilities.shape}; {shape} is needed, a row for "
            "each of X and a column for each expert."
        )
    return responsibilities


def check_fitted(mixture):
    """check_is_fitted, but that asks all experts for their tags: longer than a row takes."""
    if not mixture.__sklearn_is_fitted__():
        check_is_fitted(mixture)


def warn_of_small_weights(total, squares, n_used):
    """Say so where weights, of this sum and sum of squares, can hardly be meant as row counts."""
    if total > 0 and squares / total < LIGHT_ROW:  # the mean weight of a unit of weight
        warn_user(
            f"sample_weight sums to {total:.3g} over {n_used} rows, which "
            "then count as so few rows beside penalties and priors: a row of weight 2 counts as "
            "two. Divide sample_weight by its mean if each row is one observation.",
            SmallWeightsWarning,
        )


def check_expert(mixture, name, estimator):
    """Raise a TypeError or ValueError unless an estimator can be an expert.

    Parameters
    ----------
    mixture : BaseMixtureOfExperts
        Whose expert it is to be.
    name : str
        Of the expert.
    estimator : object
        Unfitted or fitted.
    """
    method = "predict_proba" if isinstance(mixture, ClassifierMixin) else "predict"
    lacking = [m for m in ("fit", method) if not hasattr(estimator, m)]
    if getattr(estimator, "final_estimator", "") is None and hasattr(type(estimator), method):
        lacking = []  # a stack with its default on top has the method once it is fitted
    if isinstance(estimator, type) or lacking:
        raise TypeError(
            f"Expert {name!r} must be an estimator with fit and {method}; {estimator!r} "
            + ("is a class: call it." if isinstance(estimator, type) else f"lacks {lacking}.")
        )
    classifies = isinstance(mixture, ClassifierMixin)
    if is_regressor(estimator) if classifies else is_classifier(estimator):
        kind = "classifier" if classifies else "regressor"
        raise ValueError(f"Expert {name!r} should be a {kind}; got {estimator!r}.")
