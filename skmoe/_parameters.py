"""Parameters and rows of a mixture, validated; tags, metadata routing, HTML."""

from abc import abstractmethod
from numbers import Integral

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    is_classifier,
    is_regressor,
)
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.model_selection import GroupKFold
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from ._compat import BaseComposition, QuickParameters, VisualBlock, name_estimators
from ._doors import ready
from ._experts.fitting import offers
from ._tables.known import check_weights
from ._tables.mixed import HEAVIEST, accepts, check_sizes
from .gates import ForestGate, SoftmaxGate
from .gates._base import linear_columns_of

STACKS = (StackingClassifier, StackingRegressor)


class ExpertParameters(MetaEstimatorMixin, QuickParameters, BaseComposition, BaseEstimator):
    """``get_params`` and ``set_params`` for ``experts``, an estimator or a list of several.

    "diverse" stands for a list, of which the parameters cannot be set.
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
            ``experts__alpha`` for a single expert, ``forest__max_depth`` for one of a list.

        Examples
        --------
        >>> moe.get_params()["n_experts"]
        2
        """
        if isinstance(self.experts, list):
            return self._get_params("_pairs", deep=deep)
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

        Examples
        --------
        >>> moe.set_params(n_experts=3).n_experts
        3
        """
        for part, current, example in (
            ("experts", self.experts, "Ridge()"),
            ("gate", self.gate, "SoftmaxGate()"),
        ):
            nested = [key for key in params if key.startswith(f"{part}__")]
            given = params.get(part, current)
            if nested and (given is None or isinstance(given, str | list)):
                if isinstance(given, list):
                    kind = "a list: begin with a name"
                else:
                    kind = repr(given)
                raise ValueError(f"{nested[0]} needs {part}={example} or the like, not {kind}.")
        if isinstance(params.get("experts", self.experts), list):
            self.experts = params.pop("experts", self.experts)
            self._set_params("_pairs", **params)
            return self
        return BaseEstimator.set_params(self, **params)

    @property
    def _pairs(self):
        """``experts``, of a list without names with those that ``make_pipeline`` would give."""
        is_bare = isinstance(self.experts, list) and not any(
            isinstance(each, tuple | list) for each in self.experts
        )
        if is_bare:
            return name_estimators(self.experts)
        return self.experts

    @_pairs.setter
    def _pairs(self, pairs):
        self.experts = pairs

    @abstractmethod
    def _solver(self):
        """What solves linear experts of this target: LinearSolver."""

    @abstractmethod
    def _likelihood(self):
        """The likelihood as the parameters describe it, unstarted."""

    def _default_expert(self):
        wide = self._wide_expert
        if wide is None:
            return self._solver().default_expert
        return wide

    def _default_gate(self, training="em"):
        if training == "specialists":
            return ForestGate()
        return SoftmaxGate()

    @property
    def _classifies(self):
        return isinstance(self, ClassifierMixin)  # tags take longer than a few iterations

    @property
    def _encodes(self):
        """Whether experts and gate encode what they see of a table."""
        is_chosen = self.experts is None or isinstance(self.experts, str)
        gate = self.gate
        is_blind = not getattr(gate, "sees_rows", True)  # proportions, of no columns
        return is_chosen and (gate is None or is_blind or linear_columns_of(gate) is not None)

    @property
    def _is_list(self):
        """Whether ``experts`` is a list, or stands for one."""
        return isinstance(self.experts, list | str)

    def _given_experts(self, y=None, sample_weight=None):
        """``experts``, and in place of "diverse" a list, which depends on what is to be fitted."""
        if isinstance(self.experts, str):
            if self._classifies:
                lines = None
            else:
                lines = type(self)()
            leaf = ready(f"experts={self.experts!r}")
            return leaf.diverse.diverse_experts(self._classifies, y, sample_weight, lines)
        return self._pairs

    def _expert_list(self, y=None, sample_weight=None, n_experts=None):
        """Names and unfitted estimators of the experts, without the dropped ones; checked.

        ``y`` and ``sample_weight`` are as ``fit`` was given them, or None. ``n_experts`` is the
        number of clones; None is that of the parameter, or one where it is to be chosen.
        """
        if self._is_list:
            names, estimators = self._named_experts(self._given_experts(y, sample_weight))
        else:
            if self.experts is None:
                estimator = self._default_expert()
            else:
                estimator = self.experts
            if n_experts is None:
                if isinstance(self.n_experts, Integral):
                    n_experts = self.n_experts
                else:
                    n_experts = 1
            names = [f"expert{k}" for k in range(n_experts)]
            estimators = [estimator] * n_experts
        estimators = [self._solver().as_expert(estimator) for estimator in estimators]
        for name, estimator in zip(names, estimators, strict=True):
            check_expert(self, name, estimator)
        if isinstance(self.gate, type):
            raise TypeError(f"gate must be an estimator; {self.gate!r} is a class: call it.")
        return names, estimators

    def _named_experts(self, experts):
        if not experts or not all(
            isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
            for item in experts
        ):
            raise ValueError(
                "experts must be an estimator or a non-empty list, of estimators alone or of "
                f"(name, estimator) tuples alone; got {experts!r}."
            )
        self._validate_names([name for name, _ in experts])
        kept = [(name, estimator) for name, estimator in experts if estimator != "drop"]
        if not kept:
            raise ValueError("All experts are 'drop'; at least one must stay.")
        if isinstance(self.n_experts, Integral) and self.n_experts != len(kept):
            raise ValueError(
                f"n_experts={self.n_experts}, but the list has {len(kept)}: leave it at 'auto'."
            )
        return [list(column) for column in zip(*kept, strict=True)]

    # Rows -----------------------------------------------------------------------------------

    _wide_expert = None  # the default one of the last X, if that was wide
    _column_kinds = {}  # what the columns of a table held in fit
    _medians = None  # medians of the columns, where none had missing values in fit

    @abstractmethod
    def _check_target(self, y, known=False):
        """Target as the mixture computes with it: floats, or class numbers.

        Learns classes, unless the target is ``known`` to a fitted mixture.
        """

    def _counted(self, y, trials):
        """Target and trials, where y may hold both; as they are, where it may not."""
        return y, trials

    def _check_weight(self, sample_weight, X, y):
        """Weights (n_samples,) to learn with."""
        if sample_weight is None:
            return np.ones(X.shape[0])
        weight = check_weights(sample_weight, X, ensure_non_negative=True)
        check_sizes(weight, "sample_weight", smallest=True, limit=HEAVIEST)
        return weight

    def __sklearn_is_fitted__(self):
        return "experts_" in vars(self)  # partial_fit may so far have collected rows only

    # Tags -----------------------------------------------------------------------------------

    def _parts(self):
        """Experts, and the gate if there is one, whose tags count; two lists."""
        if self._is_list:
            experts = [e for _, e in self._given_experts() if offers(e, "fit")]
        else:
            experts = [self._default_expert() if self.experts is None else self.experts]
        return experts, [] if self.gate is None else [self.gate]

    def _strings_ok(self):
        """Whether experts and gate take arrays of strings."""
        return self.experts is not None and all(
            accepts(e, "string") for e in sum(self._parts(), [])
        )

    def _dense_parts(self):
        """Experts and gate that take no sparse matrix."""
        experts, gate = self._parts()
        if self.experts is None:
            parts = []
        else:
            parts = experts  # the default ones are solved here
        return [e for e in parts + (gate or [self._default_gate()]) if not accepts(e, "sparse")]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        try:
            experts, gate = self._parts()
            tags.input_tags.sparse = not self._dense_parts()
            imputes = self.experts is None or isinstance(self.experts, str)
            if imputes:
                given = gate
            else:
                given = experts + gate
            tags.input_tags.allow_nan = all(accepts(e, "allow_nan") for e in given)
            adapts = isinstance(self.experts, str) and not self._classifies
            tags.target_tags.multi_output = adapts or all(
                get_tags(e).target_tags.multi_output for e in experts
            )
        except (TypeError, ValueError, AttributeError):
            pass  # parts that are no estimators: fit raises the error
        if self.training in ("stack", "specialists"):
            tags.target_tags.multi_output = False
        return tags

    def get_metadata_routing(self):
        """Get metadata routing of this object.

        Returns
        -------
        routing : MetadataRouter
            ``sample_weight`` for the mixture itself; ``groups`` for the splitter in ``cv``.

        Examples
        --------
        >>> moe.get_metadata_routing().consumes("fit", ["sample_weight"])
        set()
        """
        splits = offers(self.cv, "split") and not isinstance(self.cv, str)
        if splits:
            splitter = self.cv
        else:
            splitter = GroupKFold()  # what an integer becomes with groups
        mapping = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(splitter=splitter, method_mapping=mapping)

    def _html_repr(self):
        plan = vars(self).get("plan_")  # of the last fit, below the diagram
        return super()._html_repr() + ("" if plan is None else plan._repr_html_())

    def _sk_visual_block_(self):
        fitted = self.__sklearn_is_fitted__()  # what None stood for, encoders included, is known
        if self._is_list:
            names, experts = zip(*self._given_experts(), strict=True)
        else:
            expert = self.experts
            if expert is None:
                if fitted:
                    expert = self.experts_[0]
                else:
                    expert = self._default_expert()
            names = ("experts",)
            experts = (expert,)
        experts_block = VisualBlock("parallel", experts, names=names, dash_wrapped=False)
        gate = self.gate
        if gate is None:
            if fitted:
                gate = self.gate_
            else:
                gate = self._default_gate()
        gate_block = VisualBlock("parallel", [gate], names=["gate"], dash_wrapped=False)
        return VisualBlock("serial", (experts_block, gate_block), dash_wrapped=False)


def check_expert(mixture, name, estimator):
    """Raise a TypeError or ValueError unless an estimator can be an expert."""
    classifies = mixture._classifies
    if classifies:
        method = "predict_proba"
    else:
        method = "predict"
    lacking = [m for m in ("fit", method) if not offers(estimator, m)]
    if isinstance(estimator, STACKS) and estimator.final_estimator is None:
        lacking = []  # a stack with its default on top has the method once it is fitted
    if isinstance(estimator, type) or lacking:
        wrap = "; a classifier gets it from CalibratedClassifierCV" * classifies
        if isinstance(estimator, type):
            why = "is a class: call it"
        else:
            why = f"lacks {lacking}{wrap}"
        raise TypeError(f"Expert {name!r} needs fit and {method}; {estimator!r} {why}.")
    if is_regressor(estimator) if classifies else is_classifier(estimator):
        if classifies:
            kind = "classifier"
        else:
            kind = "regressor"
        kind += f" (others are for MixtureOfExperts{'Regressor' if classifies else 'Classifier'})"
        raise ValueError(f"Expert {name!r} should be a {kind}; got {estimator!r}.")
