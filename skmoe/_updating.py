"""Changes of a fitted mixture: batches of a stream, and experts that come and go."""

import copy
import warnings
from dataclasses import replace
from itertools import count
from numbers import Integral

from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline

from ._base import BaseMixtureOfExperts, unchanged_on_error
from ._data import NO_METADATA
from ._em.callbacks import FitTasks
from ._em.gate_parts import GateParts
from ._em.parts import Parts
from ._em.settings import Settings
from ._experts.fitting import learns_batches, split_last
from ._experts.folds import Splitting
from ._experts.traits import draw_seeds, has_oob_prediction, is_frozen
from ._parameters import check_expert, check_fitted, check_rows
from ._rows.answers import in_memory
from ._tables.mixed import check_accepts
from ._updates import growing
from ._updates.stream import Buffer, learn_batch
from .exceptions import ExpertCollapseWarning, ScaleFloorWarning, warn_user
from .gates import BaseGate, ConstantGate


def check_batch(mixture, *given, **how):
    """``check_rows`` of new rows for a mixture that goes on; a ValueError if these are trials."""
    likelihood = mixture._likelihood()
    if likelihood.takes_subjects:
        raise ValueError(f"With {likelihood} a mixture learns by fit alone: fit it anew.")
    rows = check_rows(mixture, *given, **how)
    if rows.exposure is not None:
        raise ValueError("After fit a mixture learns from single trials only: fit it anew.")
    return rows


STREAM_EXPERTS = 4  # for which rows are collected, where their number is to be chosen


class UpdatableMixture(BaseMixtureOfExperts):
    """Methods that make another mixture of a fitted one."""

    _stream = None  # what the last fit left for a stream to go on from
    _grows = True  # whether experts can be added to the last fit

    # Streams --------------------------------------------------------------------------------

    @property
    def _has_number(self):
        """Whether parameters say how many experts there are."""
        return self._is_list or self.n_experts != "auto"

    def _learns_streams(self):
        """For ``available_if``: True, or an AttributeError that says which part cannot."""
        try:
            obstacle = self._stream_obstacle()
        except (TypeError, ValueError):
            return True  # parameters that partial_fit, as fit, complains about
        if obstacle:
            raise AttributeError(f"This mixture has no partial_fit: {obstacle}.")
        return True

    def _stream_obstacle(self):
        _, templates = self._expert_list()
        if self.training not in ("auto", "em"):
            return f"training={self.training!r} looks at all rows at once; set training='em'"
        if self._likelihood().takes_subjects:
            return f"{self._likelihood()} is known to fit alone"
        if self._shared_effects():
            return "shared_effects are known to fit alone"
        if not self._solves(templates[0]):
            for template in templates:
                if not learns_batches(template):
                    return f"the expert {template} has none, and is not solved in closed form"
        gate = self._default_gate() if self.gate is None or len(templates) == 1 else self.gate
        _, gate = split_last(gate)
        if isinstance(gate, BaseGate) and not gate.learns_batches:
            return f"the gate {gate} has no learn_batch"
        if not isinstance(gate, BaseGate) and not learns_batches(gate):
            return f"the gate {gate} has none"
        likelihood = self._likelihood()
        if not likelihood.learns_batches:
            return f"the likelihood {likelihood} has no learn_batch"
        return None

    def _solves(self, template):
        """Whether the default ``cv`` has linear experts solved all at once."""
        if self._is_list or not (self.cv is False or self.cv == "auto"):
            return False
        return (
            self.experts is None or self._family().penalty_of(split_last(template)[1]) is not None
        )

    def _learn(self, X, y, sample_weight, classes=None):
        with unchanged_on_error(self):
            if self.__sklearn_is_fitted__() and self._buffer is None:
                self._learn_batch(X, y, sample_weight)
            else:
                self._fit_buffer(X, y, sample_weight, classes)
        return self

    def _fit_buffer(self, X, y, sample_weight, classes):
        """Collect the first rows; refit when they have doubled, or are enough, and forget them."""
        reset = self._buffer is None
        if reset:
            self._buffer = Buffer(classes)  # which says to _check_target what classes there are
        rows = check_batch(self, X, y, sample_weight, reset=reset, known=False, may_be_empty=True)
        buffer = self._buffer = self._buffer.extended(rows.X, self._labels(rows.y), rows.weight)
        self.n_samples_seen_ = float(buffer.weight.sum())
        n_experts = len(self._expert_list()[0]) if self._has_number else STREAM_EXPERTS
        folds = self.cv if isinstance(self.cv, Integral) else 0
        if not buffer.can_be_fitted(max(2, n_experts, folds)):
            return
        complete = buffer.is_complete(n_experts)
        if not (complete or buffer.is_due()):
            return
        with warnings.catch_warnings():
            if not complete:  # the next batch may put it right
                warnings.simplefilter("ignore", ExpertCollapseWarning)
                warnings.simplefilter("ignore", ScaleFloorWarning)
                warnings.simplefilter("ignore", ConvergenceWarning)
            tasks = FitTasks(self, buffer.X, buffer.y, buffer.weight)
            self._fit(buffer.X, buffer.y, buffer.weight, NO_METADATA, {}, tasks)
        self._buffer = None if complete else buffer.after_refit()

    def _learn_batch(self, X, y, sample_weight):
        if self._stream is None and self._changed_by is not None:
            raise TypeError(
                f"After {self._changed_by} a mixture cannot go on with partial_fit: there are no "
                "sums over the rows that its experts were fitted on."
            )
        if self._stream is None:
            raise TypeError(
                "This fit cannot go on with partial_fit, which knows no subjects; and groups, "
                "sparse data or other parameters asked for experts without partial_fit. Fit again, "
                "with dense data, without subject and groups, and with training='em'."
            )
        rows = check_batch(self, X, y, sample_weight)
        model, self._stream, self.expert_load_ = learn_batch(
            self._model, self._stream, rows, self.expert_load_, self.forget_factor
        )
        self._set_model(model)
        self.n_samples_seen_ = self._stream.seen
        self._changed_by = self._changed_by or "partial_fit"

    # Experts that come and go ---------------------------------------------------------------

    @in_memory("pass a sample of the rows")
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
        and there is no ``bic`` or ``aic`` until the next fit. ``partial_fit`` goes on with the old
        sums and those of the new rows, where the new expert is linear or has ``partial_fit``.

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
            If rows, name or expert cannot be used, or the experts are pooled, as by default: fit
            with ``training="em"`` first. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.abs(X[:, 0]) + 0.01 * np.sin(200 * X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(
        ...     n_experts=2, training="em", random_state=0
        ... ).fit(X, y)
        >>> X_new = np.linspace(4, 5, 50)[:, None]
        >>> moe = moe.add_expert(X_new, 10 - X_new[:, 0], replay=(X[::10], y[::10]))
        >>> moe.predict([[-1.0], [4.5]]).round(2)
        array([1. , 5.5])
        """
        check_fitted(self)
        with unchanged_on_error(self):
            self._add_expert(X, y, expert, name, sample_weight, replay)
        return self

    @in_memory("pass a sample of the rows")
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
        >>> noise = 0.01 * np.sin(200 * X[:, 0])
        >>> moe = moe.fit(X, np.abs(X[:, 0]) + (X[:, 0] > 1) + noise)
        >>> list(moe.remove_expert("expert2").named_experts_)
        ['expert0', 'expert1']
        """
        check_fitted(self)
        with unchanged_on_error(self):
            self._remove_expert(name, X, y, sample_weight)
        return self

    @in_memory("pass a sample of the rows")
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
            If there is no such expert, the rows cannot be used, or the experts are pooled, as by
            default: fit with ``training="em"`` first. The mixture is then as it was before.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.ensemble import RandomForestRegressor
        >>> from skmoe import MixtureOfExpertsRegressor
        >>> X = np.linspace(-2, 2, 200)[:, None]
        >>> y = np.where(X[:, 0] < 0, -X[:, 0], np.sin(3 * X[:, 0]))
        >>> y += 0.01 * np.sin(200 * X[:, 0])
        >>> moe = MixtureOfExpertsRegressor(
        ...     n_experts=2, training="em", random_state=0
        ... ).fit(X, y)
        >>> curved = max(
        ...     moe.named_experts_, key=lambda k: moe.named_experts_[k].coef_[0]
        ... )
        >>> forest = RandomForestRegressor(20, random_state=0)
        >>> moe = moe.replace_expert(curved, forest, X, y)
        >>> type(moe.named_experts_[curved]).__name__
        'RandomForestRegressor'
        """
        check_fitted(self)
        with unchanged_on_error(self):
            self._replace_expert(name, estimator, X, y, sample_weight)
        return self

    def _add_expert(self, X, y, expert, name, sample_weight, replay):
        self._check_likelihood_is_that_of_fit()
        if self._likelihood().keeps_order:
            raise ValueError(
                "add_expert needs one likelihood for all: the list has none for the new expert."
            )
        name = self._free_name(name)
        rows = check_batch(self, X, y, sample_weight)
        template = self._new_template(name, expert, rows.X)
        draw_seed, fold_seed, expert_seed = draw_seeds(self.random_state, 3)
        old = self._old_rows(rows.X, replay, draw_seed)
        if old is None:
            warn_user(
                "Without rows of the old regimes the new expert takes over everywhere: pass some "
                "of them as replay=(X_old, y_old). The gate cannot generate any.",
                UserWarning,
            )
        templates = [FrozenEstimator(copy.copy(self)), template]
        update = growing.add_expert(
            self._model,
            rows,
            old,
            self._parts_beside([f"before_{name}", name], templates, self._gate_now(rows)),
            self._splitting_beside(templates, fold_seed),
            Settings.of(self),
            expert_seed,
            report_weights=sample_weight is not None,
        )
        n_before, weight = len(self.experts_), float(rows.weight.sum())
        stream = self._stream if self._buffer is None else None  # which lacks rows of the buffer
        self._set_changed("add_expert", update)
        self.n_samples_seen_ += weight
        gate = split_last(self.gate_)[1]
        if stream is not None and update.new_stream is not None and gate.learns_batches:
            self._stream = stream.grown(update.new_stream, n_before, weight)

    def _remove_expert(self, name, X, y, sample_weight):
        self._check_has_no_zero_component()
        k = self._number(name)
        if (X is None) != (y is None):
            raise ValueError("remove_expert takes both X and y, or neither.")
        if len(self.experts_) == 1:
            raise ValueError(f"The expert {name!r} is the only one left; a mixture needs one.")
        if X is None:
            update = growing.remove_expert(self._model, k, self.expert_load_)
        else:
            rows = check_batch(self, X, y, sample_weight)
            (seed,) = draw_seeds(self.random_state, 1)
            update = growing.remove_and_retrain(
                self._model,
                k,
                rows,
                self._new_gate(rows, len(self.experts_) - 1),
                self._splitting_beside([], seed),
                Settings.of(self),
            )
        self._set_changed("remove_expert", update)

    def _replace_expert(self, name, estimator, X, y, sample_weight):
        self._check_likelihood_is_that_of_fit()
        k, names = self._number(name), list(self.named_experts_)
        rows = check_batch(self, X, y, sample_weight)
        estimator = self._as_expert(estimator)
        check_expert(self, name, estimator)
        check_accepts(f"The expert {type(estimator).__name__}", estimator, rows.X)
        templates = [FrozenEstimator(expert) for expert in self.experts_]
        templates[k] = estimator
        fold_seed, expert_seed = draw_seeds(self.random_state, 2)
        update = growing.replace_expert(
            self._model,
            k,
            rows,
            self._parts_beside(names, templates, self._new_gate(rows, len(names))),
            self._splitting_beside(templates, fold_seed),
            Settings.of(self),
            expert_seed,
            report_weights=sample_weight is not None,
        )
        self._set_changed("replace_expert", update)

    # What the changes are made of -----------------------------------------------------------

    def _number(self, name):
        names = list(self.named_experts_)
        if name not in names:
            raise ValueError(f"There is no expert {name!r}; the names are {names}.")
        return names.index(name)

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
        if expert is None and self._is_list:
            raise ValueError(
                "expert=None is one more like the others, but those are unlike ones: pass the "
                "estimator to add."
            )
        if expert is None:
            expert = self._default_expert() if self.experts is None else self.experts
            encoders = [split_last(e)[0] for e in self.experts_ if isinstance(e, Pipeline)]
            if self.experts is None and encoders:  # a table's, which knows the old categories
                expert = make_pipeline(FrozenEstimator(encoders[0]), expert)
        expert = self._as_expert(expert)
        check_expert(self, name, expert)
        check_accepts(f"The expert {type(expert).__name__}", expert, X)
        return expert

    def _old_rows(self, X, replay, seed):
        """Rows that stand for all rows seen so far; None without any."""
        if replay is not None:
            if not isinstance(replay, (tuple, list)) or len(replay) != 2:
                raise ValueError("replay must be a pair (X_old, y_old).")
            old = check_batch(self, *replay)
        elif not isinstance(self.gate_, Pipeline) and self.gate_.can_sample:
            old = growing.generate_rows(self._model, X, seed)
        else:
            return None
        return replace(old, weight=old.weight * (self.n_samples_seen_ / old.weight.sum()))

    def _gate_now(self, rows):
        """The fitted gate as parts; of a mixture of one expert, what ``fit`` would make for two."""
        encoder, last = split_last(self.gate_)
        (seed,) = draw_seeds(self.random_state, 1)
        parts = GateParts.adapt(
            self.gate, self._default_gate(), rows, 2, seed, report_weights=False
        )
        if len(self.experts_) > 1:
            return replace(parts, given=last, encoder=encoder)
        parts.fit_encoder(rows.X, rows.y)
        return parts

    def _new_gate(self, rows, n_experts):
        """An unfitted gate behind the fitted transformers."""
        if n_experts == 1:
            return GateParts(ConstantGate(), ConstantGate())
        (seed,) = draw_seeds(self.random_state, 1)
        parts = GateParts.adapt(self.gate, self._default_gate(), rows, n_experts, seed)
        return replace(parts, encoder=split_last(self.gate_)[0])

    def _parts_beside(self, names, templates, gate):
        """Parts of which at most one expert is trained."""
        return Parts(
            model_class=self._model_class,
            names=names,
            templates=templates,
            family=self._family(),
            is_default=False,
            is_list=True,
            gate=gate,
            likelihood=self._likelihood(),
            classes=self._classes,
        )

    def _splitting_beside(self, templates, seed):
        trained = [template for template in templates if not is_frozen(template)]
        cv = self.cv if self.cv is False or isinstance(self.cv, Integral) else "auto"
        if isinstance(self.cv, str) and self.cv == "oob" and all(map(has_oob_prediction, trained)):
            cv = "oob"
        return Splitting(cv, {}, None, seed, is_classifier(self))

    def _check_likelihood_is_that_of_fit(self):
        self._check_has_no_zero_component()
        if self.likelihood_.averages_experts:
            raise ValueError(
                "Pooled experts are learned together, and none can be added or replaced. Fit with "
                "training='em', or fit again on all rows."
            )
        if not self._grows:
            raise ValueError(
                "Stacks and specialists have experts that can be removed, but not added or "
                "replaced: gate and scales were learned from what those of fit predict out of "
                "fold. Fit again with other experts, or with training='em'."
            )
        asked, fitted = type(self._likelihood()), type(self.likelihood_)
        if asked is not fitted:
            raise ValueError(
                f"The likelihood was {fitted.__name__} in fit and is {asked.__name__} now: a new "
                "expert needs that of the others. Set it back, or fit again."
            )

    def _check_has_no_zero_component(self):
        if self.likelihood_.zero_expert is not None:
            raise ValueError(
                "Experts beside a zero component cannot be added, removed or replaced: fit again "
                "with other experts."
            )

    def _set_changed(self, method, update):
        """Take another model, and drop what spoke of the last fit alone."""
        self._set_model(update.model)
        self.expert_load_ = update.load
        self.n_expert_fits_ += update.n_fits
        self._buffer = self._stream = self._training_report = None
        self.__dict__.pop("n_distinct_experts_", None)
        self._changed_by = method
        for warning in update.warnings:
            warn_user(*warning)
