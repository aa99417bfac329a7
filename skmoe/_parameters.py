"""Parameters and rows of a mixture, validated; tags, metadata routing, HTML."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    is_classifier,
    is_regressor,
)
from sklearn.linear_model import LinearRegression
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
    QuickParameters,
    ShowsBelow,
    VisualBlock,
    check_feature_names,
    check_n_features,
)
from ._data import NO_METADATA, Bounds, Rows, check_subject
from ._experts.diverse import diverse_experts
from ._experts.families import MOST_SPARSE_COLUMNS, are_solved_sparse
from ._experts.zero import with_zero
from ._rows.files import is_out_of_core
from ._tables.known import fill_missing, kinds_of, match_kinds, medians_of
from ._tables.mixed import HEAVIEST, accepts, check_sizes, check_table
from ._tables.vectors import check_numbers, check_weights
from .exceptions import SmallWeightsWarning, warn_user

FEW_COLUMNS = 20  # as many as a gate has use for
MOST_TRIALS = 1e15  # beyond, incomplete Beta functions lose their digits
LIGHT_ROW = 0.1  # weights around less than this were hardly meant as numbers of rows


class ExpertParameters(
    ShowsBelow, MetaEstimatorMixin, QuickParameters, BaseComposition, BaseEstimator
):
    """``get_params`` and ``set_params`` for ``experts``, an estimator or a list of named ones.

    "diverse" stands for a list, of which the parameters cannot be set.

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
            given = params.get(part, getattr(self, part))
            if nested and (given is None or isinstance(given, str)):
                raise ValueError(
                    f"{nested[0]} cannot be set while {part} is {given!r}: give {part}={example} "
                    "or what you want to tune."
                )
        if isinstance(params.get("experts", self.experts), list):
            self._set_params("experts", **params)
            return self
        return BaseEstimator.set_params(self, **params)

    @property
    def _is_list(self):
        """Whether ``experts`` is a list of named ones, or stands for one."""
        return isinstance(self.experts, list | str)

    def _given_experts(self, y=None, sample_weight=None):
        """``experts``, and in place of "diverse" a list, which depends on what is to be fitted."""
        if isinstance(self.experts, str):
            return diverse_experts(isinstance(self, ClassifierMixin), y, sample_weight)
        return self.experts

    def _expert_list(self, y=None, sample_weight=None, n_experts=None):
        """Names and unfitted estimators of the experts, without the dropped ones; checked.

        ``y`` and ``sample_weight`` are as ``fit`` was given them, or None. ``n_experts`` is the
        number of clones; None is that of the parameter, or one where it is to be chosen.
        """
        if self._is_list:
            names, estimators = self._named_experts(self._given_experts(y, sample_weight))
        else:
            estimator = self._default_expert() if self.experts is None else self.experts
            if n_experts is None:
                n_experts = self.n_experts if isinstance(self.n_experts, Integral) else 1
            names = [f"expert{k}" for k in range(n_experts)]
            estimators = [estimator] * n_experts
        estimators = [self._as_expert(estimator) for estimator in estimators]
        for name, estimator in zip(names, estimators, strict=True):
            check_expert(self, name, estimator)
        if isinstance(self.gate, type):
            raise TypeError(f"gate must be an estimator; {self.gate!r} is a class: call it.")
        return with_zero(self._zero_expert(), names, estimators)

    def _zero_expert(self):
        """Name of a last expert that always predicts zero, or None."""
        return None

    def _named_experts(self, experts):
        if not experts or not all(
            isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
            for item in experts
        ):
            raise ValueError(
                "experts must be an estimator or a non-empty list of (name, estimator) tuples; "
                f"got {experts!r}."
            )
        self._validate_names([name for name, _ in experts])
        kept = [(name, estimator) for name, estimator in experts if estimator != "drop"]
        if not kept:
            raise ValueError("All experts are 'drop'; at least one must stay.")
        if isinstance(self.n_experts, Integral) and self.n_experts != len(kept):
            what = (
                f"the list has {len(kept)} experts that are not 'drop'"
                if isinstance(self.experts, list)
                else f"experts={self.experts!r} stands for {len(kept)} experts"
            )
            raise ValueError(f"n_experts={self.n_experts}, but {what}. Leave n_experts at 'auto'.")
        return [list(column) for column in zip(*kept, strict=True)]

    # Rows -----------------------------------------------------------------------------------

    _column_kinds = {}  # what the columns of a table held in fit
    _medians = None  # of the columns, where none was without a value in fit

    @abstractmethod
    def _check_target(self, y):
        """Target as the mixture computes with it: floats, or class numbers. Learns classes."""

    @abstractmethod
    def _check_known_target(self, y):
        """The same for a fitted mixture."""

    def _counted(self, y, trials):
        """Target and trials, where y may hold both; as they are, where it may not."""
        return y, trials

    def _as_expert(self, estimator):
        """An expert of this target, made of what the user gave."""
        return self._family().as_expert(estimator)

    def _check_weight(self, sample_weight, X, y):
        """Weights (n_samples,) to learn with."""
        if sample_weight is None:
            return np.ones(X.shape[0])
        weight = check_weights(sample_weight, X, ensure_non_negative=True)
        check_sizes(weight, "sample_weight", smallest=True, limit=HEAVIEST)
        return weight

    def __sklearn_is_fitted__(self):
        return hasattr(self, "experts_")  # partial_fit may so far have collected rows only

    # Tags -----------------------------------------------------------------------------------

    def _parts(self):
        """Experts and gate whose tags count, without those that ``None`` adapts to the table."""
        if self._is_list:
            experts = [e for _, e in self._given_experts() if hasattr(e, "fit")]
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
        parts = [] if self.experts is None else experts  # the default ones are solved here
        parts = [*parts, self._default_gate() if gate is None else gate]
        return [part for part in parts if not accepts(part, "sparse")]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            experts, gate = self._parts()
            choosers = experts + ([] if gate is None else [gate])
            tags.input_tags.sparse = not self._dense_parts()
            tags.input_tags.allow_nan = all(accepts(e, "allow_nan") for e in choosers)
            adapts = isinstance(self.experts, str) and not isinstance(self, ClassifierMixin)
            tags.target_tags.multi_output = adapts or all(
                get_tags(e).target_tags.multi_output for e in experts
            )
        except (TypeError, ValueError, AttributeError):
            pass  # parts that are no estimators: fit says so
        if self.training in ("stack", "specialists"):
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

    def _html_below(self):
        """The plan of the last fit, below the diagram."""
        plan = vars(self).get("plan_")
        return "" if plan is None else plan._repr_html_()

    def _sk_visual_block_(self):
        fitted = self.__sklearn_is_fitted__()  # what None stood for, encoders included, is known
        if self._is_list:
            names, experts = zip(*self._given_experts(), strict=True)
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
    mixture, X, y, sample_weight=None, metadata=NO_METADATA, *, reset=False, known=True,
    may_be_empty=False,
):  # fmt: skip
    """Rows to learn from, some of them of positive weight unless they ``may_be_empty``.

    ``reset`` learns the columns anew; the target is ``known`` to a fitted mixture, or not.
    """
    check_given(mixture, y)
    X = check_X(mixture, X, reset=reset)
    y, trials = mixture._counted(y, metadata.trials)
    y, bounds = check_bounds(mixture, y, metadata.upper)
    y = mixture._check_known_target(y) if known else mixture._check_target(y)
    check_consistent_length(X, y)
    if bounds is not None and not (
        np.isfinite(bounds.lower).any() and np.isfinite(bounds.upper).any()
    ):
        raise ValueError(
            "Every target is censored on the same side, so that nothing says how far away they "
            "are: some must be observed, or have two finite bounds."
        )
    weight = mixture._check_weight(sample_weight, X, y)
    n_used = np.count_nonzero(weight)
    if n_used == 0 and not may_be_empty:
        raise ValueError("sample_weight is zero for every row; one at least must be positive.")
    warn_of_small_weights(weight.sum(), weight @ weight, n_used)
    return _rows_of(mixture, X, y, weight, metadata._replace(trials=trials), bounds)


def check_enough_rows(rows, n_experts):
    """Raise a ValueError if rows of positive weight are fewer than experts."""
    n_used = np.count_nonzero(rows.weight)
    if n_used < n_experts:
        raise ValueError(
            f"Found n_samples={n_used} rows of positive weight, fewer than "
            f"n_experts={n_experts}. Give more rows, or ask for fewer experts."
        )


def check_known_rows(mixture, X, y, sample_weight=None, metadata=NO_METADATA):
    """Rows for a fitted mixture to look at."""
    check_fitted(mixture)
    check_given(mixture, y)
    X = check_X(mixture, X)
    y, trials = mixture._counted(y, metadata.trials)
    y, bounds = check_bounds(mixture, y, metadata.upper)
    y = mixture._check_known_target(y)
    check_consistent_length(X, y)
    weight = check_weights(sample_weight, X)
    return _rows_of(mixture, X, y, weight, metadata._replace(trials=trials), bounds)


def _rows_of(mixture, X, y, weight, metadata, bounds):
    exposure = check_exposure(mixture, metadata.exposure, X, metadata.trials, y)
    return Rows(X, y, weight, exposure, check_subject(metadata.subject, X), bounds)


def check_given(mixture, y):
    """Raise a ValueError if there is no target."""
    if y is None:
        raise ValueError(
            f"This {type(mixture).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )


def check_X(mixture, X, *, reset=False):
    """X as a table or array; ``reset`` learns the number and names of the columns."""
    if sparse.issparse(X):
        _check_takes_sparse(mixture, X, reset)
        if not reset and mixture.likelihood_.averages_experts:
            X = X.toarray()  # as pooled experts have seen it in fit
    if is_out_of_core(X):
        raise TypeError(
            f"This method takes rows in memory; fit, predict and the like take {type(X).__name__}."
        )
    X = check_table(X, sparse_ok=True, strings_ok=mixture._strings_ok)
    check_sizes(X, "X", smallest=reset)
    check_feature_names(mixture, X, reset=reset)
    check_n_features(mixture, X, reset=reset)
    if reset:
        mixture._column_kinds, mixture._medians = kinds_of(X), None
        if mixture.gate is None and (mixture.experts is None or isinstance(mixture.experts, str)):
            mixture._medians = medians_of(X)
    return fill_missing(match_kinds(X, mixture._column_kinds), mixture._medians)


def _check_takes_sparse(mixture, X, reset):
    """Raise a TypeError that says which experts and gates take these sparse rows."""
    dense = mixture._dense_parts()
    n_samples, n_columns = X.shape
    if dense:
        part = f"experts={mixture.experts!r}" if isinstance(mixture.experts, str) else dense[0]
        what = f"Sparse data was passed, but {part} needs dense data"
    elif reset and mixture.experts is None and not are_solved_sparse(X.shape):
        what = (
            f"Sparse data of {n_samples} rows and {n_columns} columns was passed; the default "
            f"experts take fewer than {MOST_SPARSE_COLUMNS} columns, and fewer than there are rows"
        )
    else:
        return
    last = mixture._default_expert()
    last = getattr(last, "classifier", last)  # of rates
    name = "Ridge" if type(last) is LinearRegression else type(last).__name__
    gate = "SoftmaxGate()"
    if n_columns > FEW_COLUMNS:
        gate = f"make_pipeline(TruncatedSVD({FEW_COLUMNS}), {gate})"
    size = n_samples * n_columns * 8 / 2**30
    raise TypeError(
        f"{what}. Give experts and a gate that take it, such as experts={name}() and gate={gate}; "
        f"X.toarray() would take {size:.2g} GB."
    )


def check_exposure(mixture, exposure, X, trials=None, y=None):
    """Exposure (n_samples,) of each row, or trials, in which y are successes; or None."""
    if mixture._likelihood().takes_trials or trials is not None:
        return check_trials(mixture, exposure, X, trials, y)
    if exposure is None:
        return None
    if not mixture._likelihood().takes_exposure:
        raise ValueError(
            "exposure is for likelihoods of counts, such as likelihood='poisson'; this "
            f"{type(mixture).__name__} has none of them."
        )
    exposure = numbers_of_rows("exposure", exposure, X)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError("exposure must be positive and finite in every row.")
    check_sizes(exposure, "exposure", smallest=True)
    return exposure


def numbers_of_rows(name, values, X):
    """Numbers (n_samples,), one for each row of X."""
    values = check_numbers(name, values)
    try:
        values = column_or_1d(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} needs a number for each row: {error}") from error
    check_consistent_length(X, values)
    return values


def check_single_trials(mixture, y):
    """Raise a ValueError if y, which a score compares with rates, counts successes."""
    if mixture._likelihood().takes_trials and np.max(y, initial=0.0) > 1:
        raise ValueError(
            "Predictions without trials are rates, and y has more than one success in a row: this "
            "score takes rates, with the trials as sample_weight, or single trials."
        )


def check_trials(mixture, exposure, X, trials, y):
    """Trials (n_samples,) of each row, or None for a single one."""
    if not mixture._likelihood().takes_trials:
        raise ValueError(
            f"trials are for likelihood='binomial'; this {type(mixture).__name__} has another."
        )
    if exposure is not None:
        raise ValueError("likelihood='binomial' takes trials in place of an exposure.")
    if trials is not None:
        trials = numbers_of_rows("trials", trials, X)
        possible = (trials > 0) & (trials <= MOST_TRIALS) & (trials == np.floor(trials))
        if not possible.all():
            raise ValueError("trials must be whole numbers from 1 to 1e15 in every row.")
    if y is not None and not ((y >= 0) & (y <= (1 if trials is None else trials))).all():
        raise ValueError(
            "Successes must be between 0 and the trials of their row: pass trials=, or y with a "
            "column of successes and one of failures. Without, each row is one trial."
        )
    if y is not None and (y != np.floor(y)).any():
        raise ValueError("Successes must be whole numbers: give these and trials, not rates.")
    return trials


def check_bounds(mixture, y, upper):
    """The target as a finite one, and the bounds of what is censored in it, or None.

    Raises a ValueError if there is no such target: NaN, an upper bound below y, or a row without a
    finite bound.
    """
    if upper is None:
        return y, None
    if not mixture._likelihood().takes_upper:
        raise ValueError(
            "upper, for censored targets, needs likelihood='gaussian', 'log_normal', 'student_t' "
            "or 'gamma', without a scale that depends on the row; this "
            f"{type(mixture).__name__} has another."
        )
    if np.ndim(y) > 1 and np.shape(y)[1] > 1:
        raise ValueError(f"upper is for one output; y has shape {np.shape(y)}.")
    y = column_or_1d(check_numbers("y", y), dtype=np.float64)
    upper = numbers_of_rows("upper", upper, y)
    for name, values in (("y", y), ("upper", upper)):
        if np.isnan(values).any():
            row = np.flatnonzero(np.isnan(values))[0]
            raise ValueError(f"{name} is NaN in row {row}; an unknown bound is infinite.")
    wrong = np.flatnonzero(upper < y)
    if len(wrong):
        row = wrong[0]
        raise ValueError(
            f"upper must be at least y; row {row} has y={y[row]:.6g} and upper={upper[row]:.6g}."
        )
    unknown = np.flatnonzero(~np.isfinite(y) & ~np.isfinite(upper))
    if len(unknown):
        raise ValueError(f"Row {unknown[0]} has no finite bound: y or upper must be finite.")
    bounds = Bounds(y, upper)
    check_sizes(np.where(np.isfinite(upper), upper, 0.0), "upper", smallest=True)
    return bounds.points, bounds if (y < upper).any() else None


def check_responsibilities(responsibilities, n_rows, n_experts, kind="expert"):
    """Responsibilities (n_samples, n_experts) that a user gave, or those of regimes."""
    responsibilities = np.asarray(responsibilities, dtype=np.float64)
    shape = (n_rows, n_experts)
    if responsibilities.shape != shape:
        raise ValueError(
            f"responsibilities have shape {responsibilities.shape}; {shape} is needed, a row for "
            f"each of X and a column for each {kind}."
        )
    return responsibilities


def check_fitted(mixture):
    """check_is_fitted, but that asks all experts for their tags: longer than a row takes."""
    if not mixture.__sklearn_is_fitted__():
        check_is_fitted(mixture)


def check_classes(classes):
    """Raise a ValueError where there is one class only."""
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()[0]!r}; a classifier needs two at least."
        )


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
    """Raise a TypeError or ValueError unless an estimator can be an expert."""
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
