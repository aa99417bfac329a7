"""Template of both mixtures: from what users give to fitted attributes."""

import copy
import warnings
from abc import abstractmethod
from contextlib import contextmanager, nullcontext
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from . import _starts
from ._answers import FittedMixture
from ._callbacks import FitTasks
from ._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
    routing_enabled,
)
from ._experts import EstimatorExperts, OutOfBag, has_own_density, seed_estimator
from ._folds import DEFAULT_FOLDS, make_folds
from ._linear import is_linear
from ._linear_mixture import LinearMixture
from ._logistic_mixture import LogisticMixture
from ._mixture import Mixture
from ._online import StreamLearner
from ._parameters import ExpertParameters
from ._report import ExpertReport, describe_experts, distinct_optima
from ._routing import count_loads, evenness
from ._subjects import Subjects, check_subject
from ._tables import (
    check_accepts,
    column_numbers,
    default_encoder,
    describe_columns,
    is_table,
)
from ._training import INNER_STEPS, MixtureTraining
from ._training_data import TrainingData
from ._weights import takes_sample_weight
from .exceptions import ExpertCollapseWarning, IgnoredWeightsWarning, ScaleFloorWarning
from .gates import BaseGate, ClassifierGate, ConstantGate, SoftmaxGate
from .inference._summary import InferringMixture
from .likelihoods._scaled import fence

ONE_PASS = (LinearMixture, LogisticMixture)  # problems of one pass over the rows an iteration


class BaseMixtureOfExperts(
    CallbackSupportMixin,
    MixtureTraining,
    StreamLearner,
    InferringMixture,
    FittedMixture,
    ExpertParameters,
):
    """Template of both mixtures; MixtureOfExpertsRegressor describes the parameters.

    A subclass says what its target is: ``_default_expert``, ``_check_target``,
    ``_unfitted_likelihood``, ``_start_likelihood``, ``_linear_experts`` and ``_finish_linear``.
    """

    _parameter_constraints = {
        "experts": [HasMethods(["fit"]), list, None],
        "n_experts": [Interval(Integral, 1, None, closed="left"), None],
        "gate": [HasMethods(["fit", "predict_proba"]), None],
        "cv": ["cv_object", StrOptions({"auto", "oob", "prefit"}), "boolean"],
        "ensemble": ["boolean"],
        "min_responsibility": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "top_k": [Interval(Integral, 1, None, closed="left"), None],
        "router_noise": [Interval(Real, 0, None, closed="left")],
        "load_balance": [Interval(Real, 0, None, closed="left")],
        "target_load": ["array-like", None],
        "init": [StrOptions({"auto", *_starts.STARTS}), callable],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "forget_factor": [Interval(Real, 0, 1, closed="right")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    @abstractmethod
    def _check_target(self, y):
        """Target as the mixture computes with it: floats, or class numbers."""

    @abstractmethod
    def _unfitted_likelihood(self):
        """What ``_start_likelihood`` starts, with default settings."""

    @abstractmethod
    def _start_likelihood(self, data, n_experts, *, in_sample, linear):
        """A likelihood that has seen the target."""

    @abstractmethod
    def _linear_experts(self, design, data, n_experts, *, penalty, prior):
        """Experts of ``_linear.py`` for this kind of target."""

    @abstractmethod
    def _solved_penalty(self, estimator):
        """Penalty of an expert that ``_linear_experts`` can stand for, or None."""

    def _default_gate(self):
        return SoftmaxGate()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, *, exposure=None, subject=None, **params):
        """Fit experts and gate by EM.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. Strings and missing values pass to experts and gates that take them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a row of weight 2 counts as two rows. None is a weight of one for each.
        exposure : array-like of shape (n_samples,), default=None
            For likelihoods of counts: how long, or how much, each row was watched. Experts then
            predict counts for each unit of exposure; an offset of a log-linear model is the
            logarithm of an exposure. None is an exposure of one for each row.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject, such as all visits of a patient, share one expert: their
            densities are multiplied before the experts are compared. The gate may only see what
            is the same for all of them. Folds keep a subject together. A row of weight 2 is a row
            that its subject has twice. None is every row on its own.
        **params : dict
            ``groups`` (n_samples,): rows of one group stay in one fold.

        Returns
        -------
        self : object
            The fitted mixture.

        Raises
        ------
        ValueError
            If data or parameters cannot be used. The mixture is then as it was before.
        """
        tasks = FitTasks(self, X, y, sample_weight)
        with unchanged_on_error(self):
            self._buffer = None
            self._fit(X, y, sample_weight, exposure, subject, params, tasks)
        return self

    def _learn(self, X, y, sample_weight, classes=None):
        with unchanged_on_error(self):
            self._partial_fit(X, y, sample_weight, classes)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "experts_")  # partial_fit may so far have collected rows only

    def _fit(self, X, y, sample_weight, exposure, subject, params, tasks):
        names, templates = self._expert_list()
        self._check_gate()
        split_params = self._split_params(params, sample_weight)
        self._check_given(y)
        previous = self._previous_responsibilities(
            len(names), X, y, sample_weight=sample_weight, exposure=exposure, subject=subject
        )
        X = self._check_X(X, reset=True)
        y = self._check_target(y)
        check_consistent_length(X, y)
        weight = self._check_weight(sample_weight, X, y, len(names))
        subject, exposure = check_subject(subject, X), self._check_exposure(exposure, X)
        templates = self._check_parts(templates, X)
        fold_seed, gate_seed, start_seed, expert_seed = (
            int(seed) for seed in check_random_state(self.random_state).randint(2**31 - 1, size=4)
        )
        prefix, gate = self._split_gate(
            X, len(names), gate_seed, uneven=np.ptp(weight[weight > 0]) > 0
        )
        if previous is not None:
            gate = self._previous_gate(gate)
        data = self._training_data(X, y, weight, prefix, exposure, len(names))
        if subject is not None:
            data.subjects = Subjects(subject, weight)
        solved = self._buffer is not None or bool(self._shared_effects())  # which folds are not
        folds = make_folds(
            self.cv,
            templates,
            X,
            y,
            split_params,
            n_rows=np.inf if solved else weight.sum(),
            subject=subject,
            stratify=isinstance(self, ClassifierMixin),
            seed=fold_seed,
        )
        max_iter = self._max_iterations(folds, len(names))
        tasks.begin(max_iter)
        linear = self._make_linear(templates, data, folds, expert_seed)
        if linear is None and self._shared_effects():
            raise ValueError(
                "shared_effects needs linear experts: the default ones, one LinearRegression or "
                "Ridge, or the generalised linear model of the likelihood, with dense columns and "
                "cv='auto' or False."
            )
        if linear is None:
            transformer = design = None
            experts = self._make_experts(names, templates, data, folds, expert_seed)
            working = experts.side_by_side(self.n_jobs)
        else:
            experts, transformer, design = linear
            working = nullcontext()
        likelihood = self._start_likelihood(
            data, len(names), in_sample=folds is None, linear=linear is not None
        )
        load_prior = self._load_prior(
            len(names), weight if subject is None else data.subjects.counts
        )
        top_k = self._truncation(len(names))
        parts = experts, gate, likelihood, data.Z, data.X if transformer is None else design
        of_rows = {"load_prior": load_prior, "subjects": data.subjects, "top_k": top_k}
        one_pass = (kind for kind in ONE_PASS if kind.covers(*parts, **of_rows))
        problem = next(one_pass, Mixture)(
            experts,
            gate,
            likelihood,
            data.Z,
            y,
            weight,
            n_inner=1 if folds is None else INNER_STEPS,
            neighbours=_starts.Neighbours(data),
            exposure=data.exposure,
            gate_folds=self._gate_folds(gate, folds, X, y, fold_seed, subject),
            **of_rows,
        )
        fitted_now = partial(
            self._fitted_now, problem, names, templates, transformer, design, prefix, folds
        )
        ends, paths = self._start(problem, data, len(names), previous, start_seed)
        unlike = folds is not None or isinstance(self.experts, list)
        with working:
            if linear is None and unlike and previous is None and len(names) > 1:
                self._start_flexible(problem, problem.resp)
            blurred = self._run_blurred(problem, data, max_iter, start_seed)
            run = self._run(problem, max_iter - len(blurred), folds, tasks, fitted_now)
            run.objectives[:0] = blurred
            run.objectives += self._learn_spread(problem, data, split_params, subject, fold_seed)
            estimators = self._finish(problem, templates, transformer, design)
        self._set_fitted(problem, run, names, estimators, prefix, folds, ends)
        self.start_lower_bounds_ = paths
        self._starts_go_on = linear is not None
        tasks.end()

    # Data -----------------------------------------------------------------------------------

    def _split_params(self, params, sample_weight):
        if routing_enabled():
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            return routed.splitter.split
        unknown = sorted(set(params) - {"groups"})
        if unknown:
            raise TypeError(f"fit takes groups besides X, y and sample_weight; got {unknown}.")
        return {key: value for key, value in params.items() if value is not None}

    def _check_given(self, y):
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )

    def _check_weight(self, sample_weight, X, y, n_experts):
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        n_used = np.count_nonzero(weight)
        if n_used == 0:
            raise ValueError("sample_weight is zero for every row; one at least must be positive.")
        if n_used < n_experts:
            raise ValueError(
                f"Found n_samples={n_used} rows of positive weight, fewer than "
                f"n_experts={n_experts}. Give more rows, or ask for fewer experts."
            )
        return weight

    def _load_prior(self, n_experts, weight):
        """Prior counts of the experts, or None where the load is left to the data."""
        target = np.full(n_experts, 1.0) if self.target_load is None else self.target_load
        target = np.asarray(target, dtype=np.float64)
        if target.shape != (n_experts,) or not (np.isfinite(target) & (target > 0)).all():
            raise ValueError(
                f"target_load must be {n_experts} positive numbers, one for each expert; got "
                f"{self.target_load!r}."
            )
        if self.load_balance == 0 and self.target_load is not None:
            self._warn(
                UserWarning, "target_load has no effect while load_balance is 0: raise it to 0.01."
            )
        if self.load_balance == 0 or n_experts == 1:
            return None
        return self.load_balance * weight.sum() * target / target.sum()

    def _check_parts(self, templates, X):
        """Experts that can take X, encoded where ``experts=None`` meets a mixed table."""
        if self.gate is not None:
            check_accepts(f"The gate {type(self.gate).__name__}", self.gate, X)
        if self.experts is None and is_table(X) and any(describe_columns(X)):
            template = make_pipeline(default_encoder(X), templates[0])
            return [template] * len(templates)
        for template in dict.fromkeys(templates):
            check_accepts(f"The expert {type(template).__name__}", template, X)
        return templates

    def _split_gate(self, X, n_experts, seed, *, uneven):
        """Unfitted transformers before the gate, or None, and the gate that EM trains."""
        if n_experts == 1:
            return None, ConstantGate()
        gate = self._default_gate() if self.gate is None else self.gate
        gate = seed_estimator(gate, np.random.RandomState(seed))
        prefix = None
        if self.gate is None and any(describe_columns(X)):
            prefix = make_pipeline(default_encoder(X))
        elif isinstance(gate, Pipeline):
            prefix = Pipeline(gate.steps[:-1]) if len(gate) > 1 else None
            gate = gate.steps[-1][1]
        if not isinstance(gate, BaseGate):
            if uneven and not takes_sample_weight(gate):
                self._warn(
                    IgnoredWeightsWarning,
                    f"The gate {gate} takes no sample_weight and is fitted without it.",
                )
            return prefix, ClassifierGate(gate, random_state=seed)
        return prefix, step_by_step(gate)

    def _gate_folds(self, gate, folds, X, y, seed, subject=None):
        """Folds without which the gate is trained: those of experts, or its own; None for none."""
        if isinstance(folds, OutOfBag):
            return folds.folds
        if isinstance(folds, list):
            return folds
        is_flexible = gate.is_costly and not is_linear(getattr(gate, "classifier", gate))
        if self.cv is False or not is_flexible:
            return None
        n_folds = min(DEFAULT_FOLDS, len(y) if subject is None else len(np.unique(subject)))
        return make_folds(n_folds, [], X, y, {}, subject=subject, stratify=False, seed=seed)

    def _training_data(self, X, y, weight, prefix, exposure, n_experts):
        Z = X if prefix is None else prefix.fit_transform(X, y)
        seen = None
        if not isinstance(self, ClassifierMixin):
            likelihood = self._unfitted_likelihood()
            if hasattr(likelihood, "start_target") or hasattr(likelihood, "expert_target"):
                likelihood.start(y, weight, n_experts)  # which refuses what it cannot take
            if hasattr(likelihood, "start_target"):
                seen = likelihood.start_target(y if exposure is None else y / exposure)
            else:
                seen = self._for_experts(y, likelihood)
            if hasattr(likelihood, "working_weights"):
                seen = np.clip(seen, *fence(seen, weight))
        return TrainingData(X, y, weight, Z, seen, exposure)

    # Experts --------------------------------------------------------------------------------

    def _make_linear(self, templates, data, folds, seed):
        """Experts that are solved all at once, transformer and what it made of X; or None."""
        if isinstance(self.experts, list) or folds is not None:
            return None
        template, transformer = templates[0], None
        penalty = self._linear_penalty(template)
        if penalty is None:
            return None
        if isinstance(template, Pipeline) and len(template) > 1:
            transformer = seed_estimator(Pipeline(template.steps[:-1]), np.random.RandomState(seed))
        design = data.X
        if transformer is not None:
            design = transformer.fit_transform(design, data.y)
        if sparse.issparse(design):
            return None
        experts = self._linear_experts(
            check_array(
                design,
                dtype=[np.float64, np.float32],
                input_name="The design of linear experts",
            ),
            data,
            len(templates),
            penalty=penalty,
            prior=self.experts is None,
        )
        if self._shared_effects():
            if getattr(self._unfitted_likelihood(), "covariance", "diag") != "diag":
                raise ValueError("shared_effects needs outputs that err alone: covariance='diag'.")
            names = getattr(design, "columns", getattr(self, "feature_names_in_", None))
            if transformer is not None and not hasattr(design, "columns"):
                names = transformer.get_feature_names_out()
            experts.share(column_numbers(self._shared_effects(), design.shape[1], names))
        return experts, transformer, design

    def _shared_effects(self):
        """Columns with one coefficient for all experts, as they were given."""
        return []

    def _linear_penalty(self, template):
        """Penalty of an expert that is solved in ``_linear.py``, or None."""
        if self.experts is None:
            return self._default_alpha
        last = template.steps[-1][1] if isinstance(template, Pipeline) else template
        return self._solved_penalty(last)

    def _make_experts(self, names, templates, data, folds, seed):
        random_state = np.random.RandomState(seed)
        seeded = [seed_estimator(template, random_state) for template in templates]
        for estimator in seeded:  # a mixture goes on with its regimes, and does not seek new ones
            if has_own_density(estimator) and "warm_start" in estimator.get_params(deep=False):
                estimator.set_params(warm_start=True)
        threshold = self.min_responsibility
        if threshold == "auto":
            threshold = 0.0 if folds is None else min(0.1, 0.5 / len(names))
        experts = EstimatorExperts(
            names,
            seeded,
            data.X,
            self._labels(data.y),
            data.weight,
            target=getattr(self._unfitted_likelihood(), "expert_target", None),
            folds=folds,
            min_responsibility=threshold,
            ensemble=self.ensemble,
            classes=getattr(self, "classes_", None),
            alike=not isinstance(self.experts, list),
        )
        deaf = [name for name, hears in zip(names, experts.weighted, strict=True) if not hears]
        if deaf and np.ptp(data.weight[data.weight > 0]) > 0:
            warnings.warn(
                f"The experts {deaf} take no sample_weight and are fitted without it; scales and "
                "gate use it.",
                IgnoredWeightsWarning,
                stacklevel=5,
            )
        return experts

    def _labels(self, y):
        """Target as the experts are fitted on it."""
        return self.classes_[y] if isinstance(self, ClassifierMixin) else y

    def _for_experts(self, y, likelihood=None):
        """Targets, or means of them, on the scale of the experts; None is the fitted likelihood."""
        likelihood = self.likelihood_ if likelihood is None else likelihood
        return likelihood.expert_target(y) if hasattr(likelihood, "expert_target") else y

    # Fitted attributes ----------------------------------------------------------------------

    def _finish(self, problem, templates, transformer, design):
        """Fitted estimators, each whole: transformers included."""
        if isinstance(problem.experts, EstimatorExperts):
            return problem.experts.finish(problem.resp, problem.working, problem.working_exposure)
        is_pipeline = isinstance(templates[0], Pipeline)
        last = [clone(t.steps[-1][1] if is_pipeline else t) for t in templates]
        fitted = self._finish_linear(problem.experts, last)
        for estimator in fitted:  # a transformer may give names, or take them away
            validate_data(estimator, design, skip_check_array=True)
        if not is_pipeline:
            return fitted
        before = [] if transformer is None else transformer.steps
        last_name = templates[0].steps[-1][0]
        return [Pipeline([*before, (last_name, estimator)]) for estimator in fitted]

    def _fitted_now(self, problem, names, templates, transformer, design, prefix, folds):
        """Attributes that the mixture would have if EM stopped here, but for those of the run."""
        problem = problem.fork()
        fitted = copy.copy(self)
        estimators = fitted._finish(problem, templates, transformer, design)
        fitted._set_parts(problem, names, estimators, prefix, folds)
        return vars(fitted)

    def _set_parts(self, problem, names, estimators, prefix, folds):
        """Set what predictions and densities need; returns the order of the experts."""
        gate = problem.finished_gate(self._original_gate())
        problem.serve()
        likelihood = copy.copy(problem.likelihood)
        load = problem.load_under(gate)
        order = self._order(gate, likelihood, load)
        if order is not None:
            gate.reorder(order)
            likelihood.reorder(order)
        else:
            order = np.arange(len(names))
        estimators = [estimators[k] for k in order]
        self.experts_ = estimators
        self.named_experts_ = Bunch(**dict(zip(names, estimators, strict=True)))
        self.gate_ = self._behind(prefix, gate)
        self.likelihood_ = likelihood
        self.expert_load_ = load[order]
        self.lower_bound_ = problem.objective
        self._log_prior = problem.log_prior()
        self._y_shape = problem.y.shape[1:]
        self._n_parameters = self._count_parameters(problem, gate, likelihood)
        oof = ("oof_score_", "oof_log_density_", "oof_responsibilities_")
        if folds in (None, "prefit"):
            for name in oof:
                self.__dict__.pop(name, None)
        else:
            self.oof_log_density_ = problem.log_norm
            self.oof_responsibilities_ = problem.resp[:, order]
            self.oof_score_ = float(np.average(problem.log_norm, weights=problem.weight))
        return order

    def _original_gate(self):
        """The gate as it was given, without transformers."""
        original = self._default_gate() if self.gate is None else self.gate
        return original.steps[-1][1] if isinstance(original, Pipeline) else original

    def _behind(self, prefix, gate):
        """The gate behind its transformers, if there are any."""
        if prefix is None:
            return gate
        last_name = self.gate.steps[-1][0] if isinstance(self.gate, Pipeline) else "gate"
        return Pipeline([*prefix.steps, (last_name, gate)])

    def _set_fitted(self, problem, run, names, estimators, prefix, folds, ends):
        dead = problem.dead()
        order = self._set_parts(problem, names, estimators, prefix, folds)
        load = self.expert_load_
        dead = np.flatnonzero(np.isin(order, dead))
        self.lower_bounds_ = run.objectives
        self.n_iter_ = len(run.objectives)
        self.n_expert_fits_ = problem.experts.n_fits
        self.converged_ = run.converged
        self._training_report = self._report_training(problem, names, order, ends)
        self._begin_stream(problem, order)
        if len(dead):
            self._warn(
                ExpertCollapseWarning,
                f"The experts {[names[k] for k in dead]} ended with next to no rows, or as copies "
                f"of others (loads {[round(float(load[k]), 4) for k in dead]}). Ask for fewer "
                "experts, or try another n_init or random_state.",
            )
        floored = np.flatnonzero(getattr(self.likelihood_, "at_floor_", np.zeros(0)))
        floored = np.setdiff1d(floored, dead)
        if len(floored):
            self._warn(
                ScaleFloorWarning,
                f"The scales of the experts {[names[k] for k in floored]} ended at their floor. "
                "Unless the target is free of noise, they learned their rows by heart, and "
                "intervals for new rows are too narrow: use cv=5, fewer experts or more rows.",
            )
        if folds in (None, "prefit") and not (run.converged or run.interrupted):
            self._warn(
                ConvergenceWarning,
                f"EM stopped after max_iter={self.max_iter} iterations before it met "
                f"tol={self.tol}. Raise max_iter or tol.",
            )

    def _report_training(self, problem, names, order, ends):
        """An ExpertReport on the training rows, of which it looks at one block at a time."""
        loads = np.zeros((2, len(names)))

        def blocks():
            for rows, resp, gate_proba, predictions in problem.blocks():
                weight, gate_proba = problem.weight[rows], gate_proba[:, order]
                loads[:] += count_loads(gate_proba, weight, problem.top_k)
                loss = self._losses(problem.y[rows], predictions[:, order])
                yield resp[:, order], gate_proba, loss, weight

        columns, overlap = describe_experts(
            names,
            blocks(),
            self._error_from_loss,
            self.likelihood_,
            None if problem.n_revived is None else problem.n_revived[order],
        )
        return ExpertReport(
            columns, overlap, distinct_optima(ends), evenness(*loads, problem.weight.sum())
        )

    def _order(self, gate, likelihood, load):
        """Clones by falling load; None where the order means something or cannot be changed."""
        if isinstance(self.experts, list) or self.target_load is not None:
            return None
        if gate.keeps_order or type(gate).reorder is BaseGate.reorder:
            return None
        if getattr(likelihood, "keeps_order", False):
            return None
        return np.argsort(-load, kind="stable")

    @staticmethod
    def _warn(category, message):
        warnings.warn(message, category, stacklevel=6)

    @staticmethod
    def _count_parameters(problem, gate, likelihood):
        """Free parameters, or None where they cannot be counted."""
        if isinstance(problem.experts, EstimatorExperts) or not hasattr(gate, "n_parameters_"):
            return None
        if likelihood.n_parameters_ is None:
            return None
        return problem.experts.n_parameters() + likelihood.n_parameters_ + gate.n_parameters_


def step_by_step(gate):
    """Let every ``fit`` of a gate make one step from where the last one ended; the gate."""
    if {"warm_start", "max_iter"} <= set(gate.get_params(deep=False)):
        gate.set_params(warm_start=True, max_iter=1)
    return gate


@contextmanager
def unchanged_on_error(estimator):
    """Whatever is raised, the estimator's attributes are then what they were before."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
