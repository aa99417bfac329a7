"""Experts that come and go after ``fit``, while the others stay as they are."""

import copy
import warnings
from dataclasses import replace
from itertools import count
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._answers import posterior
from ._base import step_by_step, unchanged_on_error
from ._em import run_em
from ._experts import has_oob_prediction, is_frozen
from ._folds import make_folds
from ._mixture import Mixture
from ._online import split_last, stack_rows
from ._routing import Routes, keep_best
from ._tables import check_accepts, describe_columns, is_table
from ._training import CROSS_FITTED_PATIENCE, INNER_STEPS
from ._training_data import TrainingData
from .exceptions import ExpertCollapseWarning, IgnoredWeightsWarning
from .gates import BaseGate, ClassifierGate, ConstantGate, SoftmaxGate, TreeGate
from .likelihoods import PerExpert

ROBUST_REFITS = 5  # of a new expert, with working weights of the last
GENERATED_ROWS = 2000  # that stand for all old rows, where the gate can generate them


class FixedDensities:
    """Experts and likelihood in one, of which nothing is trained: the gate alone is.

    Parameters
    ----------
    log_density : ndarray of shape (n_samples, n_experts)
        Of each row under each expert.
    """

    penalty = own_log_prior = 0.0

    def __init__(self, log_density):
        self.predictions, self.own_log_density = log_density, {}

    def fit(self, resp, working, exposure):
        """Nothing to fit."""

    def update(self, y, prediction, weights, penalty):
        """Nothing to update."""

    def log_density(self, y, prediction):
        """What was given."""
        return prediction

    def log_prior(self, penalty):
        """No prior."""
        return 0.0

    def state(self):
        """No state."""

    def restore(self, state):
        """No state."""


class Addition(Mixture):
    """An old mixture and a new expert, to which rows that are known to be old never belong.

    Were these shared by EM as new rows are, the new expert could learn the noise of a few replay
    rows, each of which stands for many.

    Parameters
    ----------
    is_new : ndarray of bool of shape (n_samples,)
        The rows that EM shares.
    """

    def __init__(self, *args, is_new, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_new = is_new
        self.start(np.column_stack([~is_new, is_new]))

    def _posterior(self, log_gate, log_density, *args):
        log_density = log_density.copy()
        log_density[~self.is_new, 1] = -np.inf
        return super()._posterior(log_gate, log_density, *args)


class GrowingMixture:
    """``add_expert``, ``remove_expert`` and ``replace_expert`` of a fitted mixture."""

    def add_expert(self, X, y, expert=None, *, name=None, sample_weight=None, replay=None):
        """Add an expert for new rows; all others stay as they are.

        The old mixture goes, whole, behind one new logistic decision: old or new. This decision
        and the new expert, with its scale, are all that is trained, by EM. The old experts,
        their scales and the proportions in which the old gate shares rows among them do not
        change. ``gate_`` becomes a :class:`~skmoe.gates.TreeGate`.

        The decision has to know where the old rows were. A few of them are enough: in
        ``replay`` they stand for all old rows, and the new expert never learns from them. Without,
        rows are generated where the gate can do so (a :class:`~skmoe.gates.GaussianGate` without
        transformers); where it cannot, the new expert takes over everywhere, and a warning says
        so.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. ``lower_bounds_``,
        ``n_iter_`` and the like stay those of the last fit, ``oof_*`` attributes are deleted,
        and there is no ``partial_fit``, ``bic`` or ``aic`` until the next fit.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target; of a classifier, of classes that it knows.
        expert : estimator, default=None
            Estimator to add, cross-fitted where ``fit`` would cross-fit it; a ``FrozenEstimator``
            is taken as it is. None is one more like the others, where they are clones.
        name : str, default=None
            Its name. None is the first of ``expert0``, ``expert1`` and so on that is free.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the new rows. None is a weight of one for each.
        replay : (X_old, y_old), default=None
            Some of the rows that the mixture was trained on, drawn at random; about seven for each
            column will do. Each stands for ``n_samples_seen_ / len(y_old)`` rows.

        Returns
        -------
        self : object
            The mixture, with one expert more, the last.

        Raises
        ------
        ValueError
            If rows, name or expert cannot be used. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.abs(X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
        >>> X_new = np.linspace(4, 5, 50)[:, None]
        >>> moe = moe.add_expert(X_new, 10 - X_new[:, 0], replay=(X[::10], y[::10]))
        >>> moe.predict([[-1.0], [4.5]]).round(2)
        array([1. , 5.5])
        """
        check_is_fitted(self)
        with unchanged_on_error(self):
            self._add_expert(X, y, expert, name, sample_weight, replay)
        return self

    def remove_expert(self, name, X=None, y=None, sample_weight=None):
        """Remove an expert; the others and their scales stay.

        Without rows the gate shares what was the expert's among the others in their old
        proportions. With rows a new gate is trained on them, by EM around the experts as they
        are; give it rows of all regimes, as for ``fit``.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. See ``add_expert`` for what
        becomes of the other fitted attributes.

        Parameters
        ----------
        name : str
            A name in ``named_experts_``.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Rows to train the gate on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        self : object
            The mixture, with one expert less.

        Raises
        ------
        ValueError
            If there is no such expert, or no other. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> moe = MixtureOfExpertsRegressor(n_experts=3, random_state=0)
        >>> moe = moe.fit(X, np.abs(X[:, 0]) + (X[:, 0] > 1))
        >>> list(moe.remove_expert("expert2").named_experts_)
        ['expert0', 'expert1']
        """
        check_is_fitted(self)
        with unchanged_on_error(self):
            self._remove_expert(name, X, y, sample_weight)
        return self

    def replace_expert(self, name, estimator, X, y, sample_weight=None):
        """Put another expert in the place of one; the others and their scales stay.

        The new one is fitted once, on the rows that the old one answered for, weighted by
        responsibility, and cross-fitted where ``fit`` would do so. A ``FrozenEstimator`` is
        taken as it is. Then a new gate is trained on the rows, by EM around the experts as they
        are.

        The parameters of the mixture do not change: ``clone`` gives a mixture of the experts
        that it was made with, and ``fit`` begins with these again. See ``add_expert`` for what
        becomes of the other fitted attributes.

        Parameters
        ----------
        name : str
            A name in ``named_experts_``; place and name stay.
        estimator : estimator
            The new expert.
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows of all regimes, as for ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. None is a weight of one for each row.

        Returns
        -------
        self : object
            The mixture.

        Raises
        ------
        ValueError
            If there is no such expert, or the rows cannot be used. The mixture is then as it
            was before.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.where(X[:, 0] < 0, -X[:, 0], np.sin(3 * X[:, 0]))
        >>> moe = MixtureOfExpertsRegressor(n_experts=2, random_state=0).fit(X, y)
        >>> curved = max(moe.named_experts_, key=lambda k: moe.named_experts_[k].coef_[0])
        >>> moe = moe.replace_expert(curved, RandomForestRegressor(20, random_state=0), X, y)
        >>> type(moe.named_experts_[curved]).__name__
        'RandomForestRegressor'
        """
        check_is_fitted(self)
        with unchanged_on_error(self):
            self._replace_expert(name, estimator, X, y, sample_weight)
        return self

    # Adding ---------------------------------------------------------------------------------

    def _add_expert(self, X, y, expert, name, sample_weight, replay):
        if isinstance(self._unfitted_likelihood(), PerExpert):
            raise ValueError(
                "add_expert needs one likelihood for all: the list has none for the new expert."
            )
        name = self._free_name(name)
        X, y, weight = self._check_rows(X, y, sample_weight)
        template = self._new_template(name, expert, X)
        new_weight = weight.sum()
        is_new = np.ones(len(y), dtype=bool)
        draw_seed, *seeds = self._draw_seeds(3)
        old = self._old_rows(X, replay, draw_seed)
        if old is not None:
            X, y = stack_rows(X, old[0]), np.concatenate([y, old[1]])
            weight = np.append(weight, old[2])
            is_new = np.append(is_new, np.zeros(len(old[1]), dtype=bool))
        else:
            warnings.warn(
                "Without rows of the old regimes the new expert takes over everywhere: pass some "
                "of them as replay=(X_old, y_old). The gate cannot generate any.",
                UserWarning,
                stacklevel=3,
            )
        prefix, last = self._gate_parts(X, y)
        Z = X if prefix is None else prefix.transform(X)
        data = TrainingData(X, y, weight, Z)
        gate = _decision(last, Z)
        folds, experts = self._make_beside(
            [f"before_{name}", name],
            [FrozenEstimator(copy.copy(self)), template],
            replace(data, weight=weight * is_new),
            seeds,
            told=sample_weight is not None,
        )
        settings = gate.get_params(deep=False)
        problem = Addition(
            experts,
            step_by_step(gate),
            self._start_likelihood(data, 2, in_sample=folds is None, linear=False),
            Z,
            y,
            weight,
            n_inner=1 if folds is None else INNER_STEPS,
            neighbours=None,
            is_new=is_new,
        )
        problem.spread = self._of_rows(X).get("spread")
        with experts.side_by_side(self.n_jobs):
            self._iterate(problem, folds)
            _, fitted = experts.finish(problem.resp, problem.working, problem.working_exposure)
        rows = problem.weight @ problem.resp[:, 1]
        if rows < min(experts.minimum_rows, 0.1 * new_weight):
            warnings.warn(
                f"The expert {name!r} ended with next to no rows ({rows:.3g} by weight): the old "
                "mixture accounts for the new rows as well.",
                ExpertCollapseWarning,
                stacklevel=3,
            )
        within = None if len(self.experts_) == 1 else last
        tree = TreeGate.from_fitted(problem.gate.set_params(**settings), [within, None])
        self._set_changed(
            "add_expert",
            [*self.named_experts_, name],
            [*self.experts_, fitted],
            self._behind(prefix, tree),
            self.likelihood_.extended(problem.likelihood, 1),
        )
        self._set_load(X, weight)
        self.n_samples_seen_ += float(new_weight)
        self.n_expert_fits_ += experts.n_fits

    def _free_name(self, name):
        taken = list(self.named_experts_)
        if name is None:
            return next(free for k in count() if (free := f"expert{k}") not in taken)
        if not isinstance(name, str):
            raise TypeError(f"The name of an expert must be a string; got {name!r}.")
        if name in taken:
            raise ValueError(f"There is an expert {name!r} already; the names are {taken}.")
        self._validate_names([name])
        return name

    def _new_template(self, name, expert, X):
        """The unfitted expert to add, able to read what the others read."""
        if expert is None and isinstance(self.experts, list):
            raise ValueError(
                "expert=None is one more like the others, but experts is a list of unlike ones: "
                "pass the estimator to add."
            )
        if expert is None:
            expert = self._default_expert() if self.experts is None else self.experts
            encoders = [split_last(e)[0] for e in self.experts_ if isinstance(e, Pipeline)]
            if self.experts is None and encoders:  # a table's, which knows the old categories
                expert = make_pipeline(FrozenEstimator(encoders[0]), expert)
        self._check_expert(name, expert)
        check_accepts(f"The expert {type(expert).__name__}", expert, X)
        return expert

    def _old_rows(self, X, replay, seed):
        """Rows, target and weights that stand for all rows seen so far; None without any."""
        if replay is not None:
            if not isinstance(replay, (tuple, list)) or len(replay) != 2:
                raise ValueError("replay must be a pair (X_old, y_old).")
            X_old, y_old, weight = self._check_rows(*replay, None)
        elif hasattr(self.gate_, "sample"):
            random_state = np.random.RandomState(seed)
            X_old, _ = self.gate_.sample(GENERATED_ROWS, random_state)
            if is_table(X):
                X_old = type(X)(X_old, columns=X.columns)
            y_old, weight = self._draw_target(X_old, random_state), np.ones(GENERATED_ROWS)
        else:
            return None
        return X_old, y_old, weight * (self.n_samples_seen_ / weight.sum())

    def _gate_parts(self, X, y):
        """Fitted transformers before the gate, or None, and the gate behind them.

        A mixture of one expert has neither: then what ``fit`` would make for two.
        """
        if len(self.experts_) > 1:
            return split_last(self.gate_)
        prefix, _ = self._split_gate(X, 2, 0, uneven=False)
        return None if prefix is None else prefix.fit(X, y), self._original_gate()

    # Removing and replacing -----------------------------------------------------------------

    def _remove_expert(self, name, X, y, sample_weight):
        k = self._number(name)
        if (X is None) != (y is None):
            raise ValueError("remove_expert takes both X and y, or neither.")
        if len(self.experts_) == 1:
            raise ValueError(f"The expert {name!r} is the only one left; a mixture needs one.")
        keep = np.delete(np.arange(len(self.experts_)), k)
        likelihood = copy.copy(self.likelihood_)
        likelihood.reorder(keep)
        if X is None:
            gate, load = self._gate_without(keep), self.expert_load_[keep]
        else:
            X, y, weight = self._check_rows(X, y, sample_weight)
            log_gate, log_density = self._all_log_densities(X, y)
            gate = self._train_gate(X, y, weight, log_gate[:, keep], log_density[:, keep])
        names = list(self.named_experts_)
        self._set_changed(
            "remove_expert",
            [names[j] for j in keep],
            [self.experts_[j] for j in keep],
            gate,
            likelihood,
        )
        if X is None:
            self.expert_load_ = load / load.sum()
        else:
            self._set_load(X, weight)

    def _gate_without(self, keep):
        """The gate over some of the experts, in their old proportions."""
        prefix, last = split_last(self.gate_)
        last = copy.copy(last)
        last.reorder(keep)
        return self._behind(prefix, last.simplified() if isinstance(last, TreeGate) else last)

    def _replace_expert(self, name, estimator, X, y, sample_weight):
        k, names = self._number(name), list(self.named_experts_)
        X, y, weight = self._check_rows(X, y, sample_weight)
        self._check_expert(name, estimator)
        check_accepts(f"The expert {type(estimator).__name__}", estimator, X)
        log_gate, log_density = self._all_log_densities(X, y)
        resp, _ = posterior(log_gate, keep_best(log_gate, log_density, self.top_k))
        data = TrainingData(X, y, weight, Z=None)
        templates = [FrozenEstimator(expert) for expert in self.experts_]
        templates[k] = estimator
        folds, experts = self._make_beside(
            names, templates, data, self._draw_seeds(2), told=sample_weight is not None
        )
        start = self._start_likelihood(data, len(names), in_sample=folds is None, linear=False)
        is_robust, working = hasattr(start, "working_weights"), None
        with experts.side_by_side(self.n_jobs):
            for _ in range(ROBUST_REFITS if is_robust else 1):
                experts.fit(resp, working)
                start.update(y, experts.predictions, resp * weight[:, None], **self._of_rows(X))
                if is_robust:
                    working = start.working_weights(y, experts.predictions)
            fitted = experts.finish(resp, working)[k]
        own = start.log_density(y, experts.predictions, **self._of_rows(X))[:, k]
        log_density[:, k] = experts.own_log_density.get(k, own)
        order = np.arange(len(names))
        order[k] = len(names)
        likelihood = self.likelihood_.extended(start, k)
        likelihood.reorder(order)
        self._set_changed(
            "replace_expert",
            names,
            [fitted if j == k else expert for j, expert in enumerate(self.experts_)],
            self._train_gate(X, y, weight, log_gate, log_density),
            likelihood,
        )
        self._set_load(X, weight)
        self.n_expert_fits_ += experts.n_fits

    def _number(self, name):
        names = list(self.named_experts_)
        if name not in names:
            raise ValueError(f"There is no expert {name!r}; the names are {names}.")
        return names.index(name)

    def _all_log_densities(self, X, y):
        """Log-probabilities of the gate and log-densities under every expert, both (n, K)."""
        log_gate = np.ascontiguousarray(self.gate_.predict_log_proba(X), dtype=np.float64)
        return log_gate, self._route_log_density(X, y, Routes(log_gate))

    def _train_gate(self, X, y, weight, log_gate, log_density):
        """A new gate around experts of fixed densities, which starts from where the old one is."""
        n_experts = log_gate.shape[1]
        if n_experts == 1:
            return ConstantGate().fit(X, np.ones((len(y), 1)))
        prefix, _ = split_last(self.gate_)
        uneven = np.ptp(weight[weight > 0]) > 0
        (seed,) = self._draw_seeds(1)
        _, gate = self._split_gate(X, n_experts, seed, uneven=uneven)
        other_sizes = isinstance(gate, TreeGate) and gate.sizes is not None
        other_sizes = other_sizes and np.sum(gate.sizes) != n_experts
        if other_sizes:
            gate.sizes = None
        log_density = np.ascontiguousarray(log_density)
        resp, _ = posterior(log_gate, keep_best(log_gate, log_density, self.top_k))
        fixed = FixedDensities(log_density)
        fits = self.target_load is None or len(self.target_load) == n_experts
        problem = Mixture(
            fixed,
            gate,
            fixed,
            X if prefix is None else prefix.transform(X),
            y,
            weight,
            n_inner=1,
            neighbours=None,
            load_prior=self._load_prior(n_experts, weight) if fits else None,
            top_k=self._truncation(n_experts),
            gate_folds=self._gate_folds(gate, "prefit", X, y, seed),
        )
        self._iterate(problem.start(resp), "prefit", stacklevel=5)
        gate = problem.finished_gate(self._original_gate())
        if other_sizes:
            gate.sizes = None
        return self._behind(prefix, gate)

    # Of all three ---------------------------------------------------------------------------

    def _check_rows(self, X, y, sample_weight):
        """Rows, target and weights, checked as those of ``fit`` are."""
        self._check_given(y)
        X = self._check_X(X)
        y = self._check_known_target(y)
        check_consistent_length(X, y)
        return X, y, self._check_weight(sample_weight, X, y, n_experts=1)

    def _draw_seeds(self, size):
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=size)
        return [int(seed) for seed in seeds]

    def _make_beside(self, names, templates, data, seeds, *, told):
        """Folds, and experts of which all are frozen but at most one.

        What takes no weights is only reported where the user gave some: those of replay rows
        matter little to an expert that gets next to none of them.
        """
        asked, fitted = type(self._unfitted_likelihood()), type(self.likelihood_)
        if asked is not fitted:
            raise ValueError(
                f"The likelihood was {fitted.__name__} in fit and is {asked.__name__} now: a new "
                "expert needs that of the others. Set it back, or fit again."
            )
        trained = [template for template in templates if not is_frozen(template)]
        cv = self.cv if self.cv is False or isinstance(self.cv, Integral) else "auto"
        if isinstance(self.cv, str) and self.cv == "oob" and all(map(has_oob_prediction, trained)):
            cv = "oob"
        fold_seed, expert_seed = seeds
        folds = make_folds(
            cv, templates, data.X, data.y, {}, n_rows=data.weight.sum(),
            stratify=is_classifier(self), seed=fold_seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            if not told:
                warnings.simplefilter("ignore", IgnoredWeightsWarning)
            experts = self._make_experts(names, templates, data, folds, expert_seed)
        experts.alike = False
        return folds, experts

    def _iterate(self, problem, folds, stacklevel=4):
        rises = folds in (None, "prefit") and not problem.gate.is_costly
        run = run_em(
            problem,
            max_iter=self._max_iterations(folds, problem.resp.shape[1]),
            tol=self.tol,
            patience=1 if rises else CROSS_FITTED_PATIENCE,
        )
        if folds in (None, "prefit") and not run.converged:
            warnings.warn(
                f"EM stopped after max_iter={self.max_iter} iterations before it met "
                f"tol={self.tol}. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _set_changed(self, method, names, experts, gate, likelihood):
        """Take other parts, and drop what spoke of the last fit alone."""
        self.experts_ = experts
        self.named_experts_ = Bunch(**dict(zip(names, experts, strict=True)))
        self.gate_, self.likelihood_ = gate, likelihood
        for name in ("oof_score_", "oof_log_density_", "oof_responsibilities_"):
            self.__dict__.pop(name, None)
        self._buffer = self._stream = self._training_report = None
        self._changed_by = method

    def _set_load(self, X, weight):
        self.expert_load_ = weight @ self.gate_proba(X) / weight.sum()


def _decision(last, Z):
    """An unfitted gate between the old mixture and a new expert, like the last one if it can be.

    It is a softmax gate wherever Z are numbers, and one that looks at no row where none did.
    """
    if isinstance(last, TreeGate):
        last = SoftmaxGate() if last.gate is None else last.gate
    if isinstance(last, (SoftmaxGate, ConstantGate)):
        return clone(last)
    if not any(describe_columns(Z)):
        return SoftmaxGate()
    return clone(last) if isinstance(last, BaseGate) else ClassifierGate(clone(last))
