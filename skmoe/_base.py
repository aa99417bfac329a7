"""Template of both mixtures: parameters, validation, and fitted attributes."""

import copy
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Integral, Real

from sklearn.utils.metadata_routing import process_routing

from . import _doors
from ._attributes import attributes_now, begin_later, set_fitted
from ._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    routing_enabled,
    validate_params,
)
from ._data import RowMetadata, is_out_of_core
from ._em.loop import FitTasks, Progress
from ._em.problem import WIDE_WORK, Settings
from ._em.search import NumberThenEM, NumberTrainer
from ._em.starts import STARTS
from ._experts.fitting import FORESTS, draw_seeds, split_last, warn_of_quantiles
from ._experts.folds import Splitting
from ._fitted import FittedMixture
from ._parallel import one_pool
from ._parameters import ExpertParameters
from ._planning.plan import FitRows, make_parts, make_plan, seconds_of, unsure_of
from ._planning.ways import BIC, EVIDENCE, WAYS, specialists_to_try
from ._pooling.trainer import PooledTrainer
from ._reports.described import DescribedMixture
from ._reports.leaks import repeated_rows
from ._stacking.trainer import StackedTrainer
from .exceptions import one_fit, warn_if_long
from .gates import SoftmaxGate


class BaseMixtureOfExperts(CallbackSupportMixin, DescribedMixture, FittedMixture, ExpertParameters):
    """Template of both mixtures, with their common parameters and attributes.

    Subclasses implement what depends on the target: ``_solver``, ``_likelihood``,
    ``_check_target`` and ``_model_class``.

    Parameters
    ----------
    n_experts : int or "auto", default="auto"
        Number of experts. "auto" tries up to eight regression functions and chooses by the
        evidence (pooled experts), by BIC (other linear experts) or by the out-of-fold log-density.
        With one non-linear estimator it is the number of specialists, besides the generalist; 4
        are tried, then 8 if 4 helped. 1 is a single model. For a list leave "auto", its length.
    gate : gate, classifier or Pipeline ending in one, default=None
        Model of the probability of each expert for each row; see :mod:`skmoe.gates`. None is a
        :class:`~skmoe.gates.SoftmaxGate` (for specialists also a forest is tried), with strings
        and missing values encoded. The transformers of a Pipeline are fitted once.
    expert_columns : list of int or str, default=None
        Columns of X for the experts, by number or name, as ``x`` in R's ``y ~ x | z``; with an
        empty list they are constants. None: all columns; experts in a ``FrozenEstimator``
        always see all. For columns of the gate use ``gate=SoftmaxGate(columns=[...])``.
    training : {"auto", "em", "pooled", "stack", "specialists"}, default="auto"
        How experts, gate and scales are learned; see :doc:`/guide/training`. "em" fits experts
        and gate in turn, as in the classical mixture. "pooled" shrinks linear experts towards each
        other, as far as the evidence says. "stack" combines a list by out-of-fold predictions.
        "specialists" adds copies that each learn a region to one estimator. "auto" chooses by
        experts, rows and the other parameters; ``plan`` shows the choice before ``fit``.
    cv : "auto", "oob", "prefit", False, int, splitter or iterable, default="auto"
        Predictions for the E-step. "auto": in-sample for linear models with at least ten rows per
        coefficient, out of bag for bagging ensembles, five folds for all others. "oob": out of
        bag. False: in-sample, which is useless for flexible experts. "prefit": experts are not
        fitted, only gate and scales. Otherwise as in scikit-learn: a number of folds, a splitter
        or an iterable. A number of folds keeps copies of a row together.
    top_k : int, default=None
        Number of experts that predict a row: the most probable ones, renormalised. In training a
        row counts for the k experts of largest responsibility. None, or a number larger than that
        of the experts: all of them. ``set_params(top_k=...)`` also works on a fitted mixture;
        scales and calibration stay those of ``fit``. With 1, rows that the gate sends to the wrong
        expert have low densities.
    n_init : int, default=10
        Number of starts. EM with linear experts, whatever yours are, runs from each. From the best
        results, moves that dissolve one expert and halve another are tried, more of them for a
        larger ``n_init``, and EM continues from the best optimum found.
    max_iter : int, default=500
        Largest number of EM iterations, each with a refit of the experts; 10 if cross-fitted.
    tol : float, default=1e-5
        EM stops when the remaining gain of the objective per unit of weight, extrapolated from
        the last gains, is at most this; with ``top_k``, when one iteration gained at most this,
        with cross-fitted experts, when two in a row did not gain more. A single linear expert, and
        linear experts for censored targets, are always fitted to the maximum.
    warm_start : bool, default=False
        Whether ``fit`` continues from the last solution, with the same number of experts, in
        place of new starts. It has no effect on stacks and specialists.
    forget_factor : float, default=1.0
        For ``partial_fit``: the weight of earlier rows falls by this factor for each later unit
        of weight; 0.999 follows a drift within about a thousand rows, 1.0 forgets nothing. It
        also applies to class shares and calibration, but not to experts with their own
        ``partial_fit``.
    n_jobs : int, default=None
        Jobs for experts, folds and starts. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Random number generator of folds, starts and experts without seeds of their own.
    verbose : int, default=0
        1 prints the plan and a line for each number of experts that is tried, with the seconds so
        far and the next number; 2 also prints each EM run and each iteration.

    Attributes
    ----------
    plan_ : Plan
        What was fitted and why, with the alternatives that were tried; see ``plan``.
    experts_ : list of estimators
        Fitted experts; copies of one estimator are sorted by decreasing load.
    named_experts_ : Bunch
        The same by name; copies are called ``expert0``, ``expert1`` and so on.
    gate_ : gate or Pipeline
        The fitted gate; after ``add_expert`` a :class:`~skmoe.gates.TreeGate` around it.
    likelihood_ : likelihood
        With the fitted scales, or the calibration of each expert.
    expert_load_ : ndarray of shape (n_experts,)
        Mean probability that the gate gives to each expert on the training rows.
    lower_bounds_ : list of float
        Objective after each EM iteration: penalised log-likelihood per unit of weight, out of
        fold where experts are cross-fitted.
    lower_bound_ : float
        Objective of the best iterate, which was kept. For pooled experts it is a bound of the
        logarithm of the evidence, per unit of weight.
    log_evidence_ : dict of int to float
        Log-evidence per row of each number of experts that was tried, only for pooled experts: that
        of the best fit, with the weights of the gate integrated out by Laplace's approximation,
        before experts are combined to regimes.
    model_weights_ : dict
        Only if predictions average over two models: the weight of each number of experts, or, for
        a single expert for classes, of its fits with learned prior variances and "unit variance".
    specialisation_ : Specialisation
        Only if specialists, or EM in place of a stack, were tried: the mean out-of-fold
        log-densities ``score_without`` and ``score_with`` them, their difference ``gain``, its
        ``standard_error``, and whether they were ``kept``.
    start_lower_bounds_ : list of list of float
        Objectives of each EM run, from starts and from moves, with linear experts; EM continued
        from the best. Empty with one start or one expert, and for pooled experts.
    n_iter_ : int
        EM iterations.
    n_expert_fits_ : int
        Fits of single experts that the training took, with those of mixtures that were tried and
        left out: at most ``plan_.most_expert_fits``.
    converged_ : bool
        Whether EM stopped by ``tol``, and not at ``max_iter``. False also if it stopped because the
        objective fell by more than ``tol``, as out-of-fold densities may.
    oof_score_ : float
        Mean out-of-fold log-density, for classes log-probability. Only for out-of-fold predictions,
        like the next two. It is optimistic, since the regimes were chosen on these rows: compare
        mixtures by cross-validating :func:`~skmoe.metrics.log_score`.
    oof_log_density_ : ndarray of shape (n_samples,)
        Out-of-fold log-density of each training row, or log-probability of its class.
    oof_responsibilities_ : ndarray of shape (n_samples, n_experts)
        Out-of-fold responsibilities.
    n_samples_seen_ : float
        Weight of all rows in ``fit`` and ``partial_fit``.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X had strings as names.
    """

    _parameter_constraints = {
        "experts": [HasMethods(["fit"]), list, StrOptions({"diverse"}), None],
        "n_experts": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "gate": [HasMethods(["fit", "predict_proba"]), None],
        "training": [StrOptions({"auto", *WAYS})],
        "expert_columns": [list, None],
        "cv": ["cv_object", StrOptions({"auto", "oob", "prefit"}), "boolean"],
        "top_k": [Interval(Integral, 1, None, closed="left"), None],
        "init": [StrOptions({"auto", *STARTS}), callable],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "forget_factor": [Interval(Real, 0, 1, closed="right")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    class_weight = None  # a parameter of classifiers alone
    _buffer = None  # the first rows of a stream
    _in_stack = {}  # what a stack of which it is an expert sets of the Settings of the next fit

    def __getattr__(self, name):
        """For names that there are not, an AttributeError that says more of some."""
        if name in ("coef_", "intercept_"):
            raise AttributeError(
                f"{type(self).__name__} has no {name}: each expert has its own. coefficients() has "
                f"those of all in a table, experts_[k].{name} those of expert k, if it is linear."
            )
        if name == "labels_":
            raise AttributeError("No labels_: see responsibilities(X, y).argmax(axis=1).")
        if name in ("regimes_", "n_regimes_", "log_evidence_") and "plan_" in vars(self):
            raise AttributeError(f"No {name}: training='pooled' has it (regimes of a numeric y).")
        return object.__getattribute__(self, name)  # which raises what it raised before

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        **params,
    ):
        """Fit experts, gate and likelihood.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features), or Files
            Rows. Strings and missing values are passed to experts and gates that take them. For
            rows out of memory, in Files or Dask collections, see :doc:`/guide/many_rows`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target. None if X is a :class:`~skmoe.rows.Files`, which has the target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a row of weight 2 counts as two rows. None: weights of one.
        exposure : array-like of shape (n_samples,), default=None
            For likelihoods of counts: the time, or amount, that each row was observed. Experts
            then predict counts per unit of exposure; the offset of a log-linear model is the
            logarithm of the exposure. None: an exposure of one for each row.
        trials : array-like of shape (n_samples,), default=None
            For ``likelihood="binomial"``: number of trials of the successes y. None: one for each
            row, or the sum of the two columns of a target of successes and failures.
        subject : array-like of shape (n_samples,), default=None
            Rows of one subject, such as all visits of a patient, share one expert: their
            densities are multiplied before the experts are compared. The gate may only use columns
            that are constant within subjects. Folds keep subjects together. A row of weight 2
            counts as two rows of its subject. None: rows are independent.
        upper : array-like of shape (n_samples,), default=None
            Upper bounds of censored targets, with y as lower bounds: infinite for targets of at
            least y (right-censored), equal to y for observed ones; y = -inf for targets of at
            most ``upper``. Experts are fitted by EM, without pooling, with ``likelihood``
            "gaussian", "log_normal", "student_t", "gamma" or "weibull"; see
            :doc:`/guide/censored`. ``score``, the default of a grid search, treats every y as
            observed: use :func:`~skmoe.metrics.log_score` with ``upper``, or
            ``select_n_experts(..., criterion="cv", upper=upper)``. None: all are observed.
        **params : dict
            ``groups`` (n_samples,): rows of one group stay in one fold.

        Returns
        -------
        self : object
            The fitted mixture.

        Raises
        ------
        ValueError
            If data or parameters cannot be used. The mixture is then unchanged.

        Examples
        --------
        >>> moe = moe.fit(X, y, sample_weight=np.ones(len(y)))
        >>> len(moe.experts_)
        2
        """
        tasks = FitTasks(self, X, y, sample_weight)
        metadata = RowMetadata(exposure, trials, subject, upper)
        with unchanged_on_error(self):
            self._buffer = self._wide_expert = None
            if is_out_of_core(X):
                others = metadata._asdict() | params
                rows = _doors.rows().rows_of_fit(self, X, y, sample_weight, others)
            else:
                if routing_enabled():
                    routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
                    params = routed.splitter.split
                elif set(params) - {"groups"}:
                    unknown = sorted(set(params) - {"groups"})
                    raise TypeError(
                        f"fit takes groups besides X, y and sample_weight; got {unknown}."
                    )
                params = {key: value for key, value in params.items() if value is not None}
                rows = FitRows.of(self, X, y, sample_weight, metadata, params)
            self._fit(rows, tasks)
        return self

    def _fit(self, rows, tasks):
        """From FitRows to attributes; ``tasks`` are callbacks."""
        begin_later(self)
        plan = make_plan(self, rows)
        self.plan_ = replace(plan, request=None)  # for callbacks, until it is fitted
        if plan.request.is_wide:
            most_work = WIDE_WORK
        else:
            most_work = rows.most_work
        settings = replace(Settings.of(self), most_work=most_work)
        warn_of_quantiles(plan.request.templates)
        if self.verbose:
            print(plan, flush=True)
        fold_seed, gate_seed, *seeds = draw_seeds(self.random_state, 4)
        rows.adapt(plan)
        parts = make_parts(self, plan, rows.adapted, gate_seed)
        data = rows.training_data(parts)
        plain = None
        if plan.is_number_of_plain:  # with the default gate, which has rows of its own
            if plan.number_by == EVIDENCE:
                of_plain = rows.adapted.dense()
            else:
                of_plain = rows.adapted
            plain_parts = make_parts(self, plan, of_plain, gate_seed, plain=True)
            plain = plain_parts.training_data(of_plain), plain_parts
        if data.subjects is None:
            subjects = None
        else:
            subjects = data.subjects.numbers
        splitting = Splitting(
            self.cv, rows.split_params, subjects, fold_seed, self._classifies, plan.n_rows
        )
        trainer = make_trainer(plan, rows, data, parts, settings, splitting, seeds, plain)
        if not self._in_stack and plan.most_expert_fits is None:  # others warn by their first fits
            quicker = "a number for n_experts, a smaller n_init, fewer rows"
            is_told = self.verbose > 0
            warn_if_long("This fit", seconds_of(plan), quicker, is_told, unsure_of(plan))
        are_forests = all(isinstance(split_last(each)[1], FORESTS) for each in parts.templates)
        most_fits = likely_fits = None
        if not self._in_stack and plan.most_expert_fits is not None:
            most_fits = plan.most_expert_fits
            likely_fits = plan.likely_fits
        if self.verbose:
            say = Progress(settings).say
        else:
            say = None
        with one_pool(self.n_jobs, "threads" if are_forests else None, most_fits, likely_fits, say):
            trained = trainer.train(rows.previous, tasks, partial(attributes_now, self))
        set_fitted(self, plan, trained)
        tasks.end()

    def plan(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        exposure=None,
        trials=None,
        subject=None,
        upper=None,
        groups=None,
    ):
        """What ``fit`` would do with these rows, and why; nothing is fitted.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight, exposure, trials, subject, upper, groups : array-like
            As for ``fit``.

        Returns
        -------
        plan : Plan
            Prints as a table: the way of training, experts, their number, gate and likelihood, each
            with the reason, and the cost: approximate seconds, or the largest number of fits.

        Raises
        ------
        ValueError
            If ``fit`` would raise an error for these parameters or rows before it fits anything.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> MixtureOfExpertsRegressor().plan(X, X[:, 0]).training
        'pooled'
        """
        validate_params(self)
        twin = copy.copy(self)  # validation learns columns and classes
        metadata = RowMetadata(exposure, trials, subject, upper)
        if groups is None:
            split_params = {}
        else:
            split_params = {"groups": groups}
        rows = FitRows.of(twin, X, y, sample_weight, metadata, split_params)
        plan = replace(make_plan(twin, rows), request=None)
        plan.about_rows = lambda: repeated_rows(rows.checked)[1]
        return plan


@contextmanager
def unchanged_on_error(estimator):
    """Whatever is raised, the estimator's attributes are then what they were before."""
    before = vars(estimator).copy()
    try:
        with one_fit():
            yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


# From a plan to what trains ----------------------------------------------------------------------


def make_trainer(plan, rows, data, parts, settings, splitting, seeds, plain=None):
    """What trains a mixture as it was planned.

    ``rows`` are FitRows. ``parts`` has as many experts as are tried at the most. ``seeds`` are of
    starts, and of experts that draw. The number of experts is chosen with ``plain``, (TrainingData,
    Parts), where that is given, and of rows that are not in memory on a sample.

    What is returned may train several and keep one.
    """
    start_seed, expert_seed = seeds
    if plain is None:
        plain = (data, parts)
    plain_data, plain_parts = plain
    make_em = partial(_em_trainer, settings, splitting, seeds)
    by_em = partial(make_em, rows, data, parts, settings.top_k)
    pooled = partial(
        PooledTrainer,
        plain_data,
        plain_parts,
        settings,
        splitting=splitting,
        seed=start_seed,
        expert_seed=expert_seed,
        n_experts=plan.n_experts,
    )
    if plan.training == "pooled":
        if plan.request.top_k is None:
            return pooled()
        return NumberThenEM(pooled(), by_em)
    if plan.training == "em":
        if plan.n_experts is not None:
            return by_em()
        if plan.number_by == EVIDENCE:
            return NumberThenEM(pooled(), by_em, keeps=False)
        if plan.is_number_of_plain:
            top_k = None
        else:
            top_k = settings.top_k
        try_em = partial(make_em, rows.sample(), rows.alone(plain_data), plain_parts, top_k)
        search = NumberTrainer(try_em, plan.most_experts, by_bic=plan.number_by == BIC)
        if rows.many or plan.is_number_of_plain:
            return NumberThenEM(search, by_em, keeps=False, on_sample=rows.many)
        return search
    aims = {}
    if plan.training == "specialists":
        aims["numbers"] = specialists_to_try(plan.n_experts, plan.most_experts)
        aims["keeps_softmax"] = plan.gate == SoftmaxGate.__name__
    elif plan.em_may_follow:
        aims["instead"] = by_em
    return StackedTrainer(
        data,
        parts,
        settings,
        splitting=splitting,
        seed=start_seed,
        folds=splitting.folds(parts.templates, data),
        expert_seed=expert_seed,
        gate=None if plan.is_default_gate else parts.gate,
        **aims,
    )


def _em_trainer(settings, splitting, seeds, rows, data, parts, top_k, n_experts=None, **aims):
    """What trains by EM: a Trainer."""
    if n_experts is not None:
        has_encoder = parts.gate.encoder is not None
        parts = parts.first(n_experts)
        if has_encoder and parts.gate.encoder is None:  # nothing stands before its gate
            data = replace(data, Z=data.X)
    start_seed, expert_seed = seeds
    settings = replace(settings, top_k=top_k)
    problem, folds = rows.problem(data, parts, settings, splitting, expert_seed)
    notes = splitting.why_out_of_fold(parts.templates, data, folds)
    return rows.trainer(
        problem,
        data,
        rows.finished(parts),
        settings,
        splitting=splitting,
        seed=start_seed,
        folds=folds,
        n_rows=rows.n_rows,
        notes=notes,
        **aims,
    )
