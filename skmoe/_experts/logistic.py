"""Logistic experts, all K of them at once, on one design of standardised columns."""

import copy
from functools import cached_property

import numpy as np

from .._numerics import multinomial
from .base import LinearExperts


class LogisticExperts(LinearExperts):
    """Penalised multinomial logistic regression for K experts, a Newton step or two at a time.

    See ``LinearExperts`` for the parameters; ``classes`` are the labels of the classes.
    """

    n_newton = 2
    n_first_newton = 20  # from nothing: a start, and warm_start, then begin at their optimum
    longest_drift = 0.1  # of the functions, until their curvature is taken anew
    _curvature = _factors = None  # for steps from sums
    _drift = 0.0

    def __init__(self, X, y, weight, n_experts, *, classes, **settings):
        self.classes = classes
        self.n_classes = len(classes)
        self.run_settings = {"longest_expert_drift": self.longest_drift, "n_classes": len(classes)}
        super().__init__(X, y, weight, n_experts, **settings)
        # Two classes have one coefficient w in scikit-learn and -w/2, w/2 here.
        self.column_penalty = np.append((2.0 if self.n_classes == 2 else 1.0) * self.alpha, 0.0)
        self.set_coef(np.zeros((n_experts, len(self.column_penalty), self.n_classes)))

    @property
    def labels(self):
        """Class of each row, (n_samples, n_classes) of zeros and ones."""
        return np.eye(self.n_classes)[self.y]

    @property
    def functions(self):
        """Coefficients of the classes' linear functions, (n_experts, n_classes, p)."""
        return self.coef.swapaxes(1, 2)

    def learn_sums(self, sums, size=1.0):
        penalty = self.column_penalty
        coef = self.coef.copy()
        if self.wants_curvature:
            each = [multinomial.hessian_of_pairs(grams, self.n_classes) for grams in sums.gram]
            self._curvature = np.stack(each)
            self._drift = 0.0
            self._factors = None
        if self._factors is None:
            each = self._curvature.copy()
            self._factors = [multinomial.factor_hessian(hessian, penalty) for hessian in each]
        squares = 0.0
        for k, factor in enumerate(self._factors):
            slope = sums.cross[k] - penalty[:, None] * coef[k]
            step, decrement = multinomial.newton_direction(factor, slope)
            part = size * multinomial.shortening(step, sums.rows_gram).min()
            coef[k] += part * step
            squares += part * decrement
        self._drift_by(squares)
        self.set_coef(coef)

    def begin_run(self, run, *, is_given):
        """Give functions and curvature, if there is one, to a LinearRun."""
        run.take_classes(self.functions, None if is_given else self._curvature)
        run.expert_drift = self._drift

    def end_run(self, run):
        """Take functions and curvature from a LinearRun."""
        functions, self._curvature = run.of_classes()
        self._factors = None
        self._drift = run.expert_drift
        self.set_coef(functions.swapaxes(1, 2))

    def set_functions(self, functions):
        change = (functions - self.functions).reshape(self.n_experts, -1, 1)
        curvature = self._curvature.reshape(self.n_experts, change.shape[1], -1)
        self._drift_by(np.vdot(change, curvature @ change))
        self.set_coef(functions.swapaxes(1, 2))

    def _drift_by(self, squares):
        mass = 0.5 * np.einsum("kcc->", self._curvature[:, :, -1, :, -1])
        self._drift += np.sqrt(max(squares, 0.0) / max(mass, 1e-300))

    def curvature_of_each(self):
        """Curvature of the penalised log-likelihood of each expert, (n_experts, C p, C p)."""
        penalty = np.tile(self.column_penalty, self.n_classes)
        return self._curvature.reshape(-1, len(penalty), len(penalty)) + np.diag(penalty)

    @property
    def wants_curvature(self):
        """Whether the next step from sums asks for the curvature where it begins."""
        return self._curvature is None or self._drift > self.longest_drift

    def forget_curvature(self):
        self._curvature = self._factors = None

    def fit(self, resp, working=None, exposure=None, target=None):
        """A few Newton steps on the labels with weights ``resp``."""
        labels = self.labels
        begun = self.coef.any()
        settings = {"max_iter": self.n_newton if begun else self.n_first_newton, "tol": 1e-10}
        self.n_fits += self.n_experts
        coef = np.empty_like(self.coef)
        for k in range(self.n_experts):
            targets = labels * (resp[:, k] * self.weight)[:, None]
            coef[k], *_ = multinomial.fit(
                self.design, targets, self.coef[k], self.column_penalty, **settings
            )
        self.set_coef(coef)

    def streaming(self, resp, order, fitted):
        if resp is None:
            # As ``multinomial.curvature`` would have them.
            bounds = 2 * np.einsum("kcpcq->kcpq", self._curvature)
        else:
            masses = (resp * self.weight[:, None]).T
            given = zip(masses, self.predictions.transpose(1, 0, 2), strict=True)
            bounds = np.stack([multinomial.curvature(self.design, *each) for each in given])
        twin = self.without_rows()
        twin.bounds = bounds
        twin.forget_curvature()
        return twin.select(order)

    def select(self, order):
        twin = copy.copy(self)
        twin.n_experts = len(order)
        twin.coef = self.coef[order]
        twin.bounds = self.bounds[order]
        return twin

    def learn_batch(self, X, y, weights, *, keep, gain):
        """One step for ``keep`` times what was seen so far and ``gain`` times a batch.

        Returns experts with ``predictions`` for the batch; ``weights`` (n, K) are responsibilities
        times those of the rows.
        """
        twin = copy.copy(self)
        twin._take(X, y)
        labels = twin.labels
        steps = []
        for k, weight in enumerate(weights.T):
            steps.append(
                multinomial.stream_step(
                    twin.design,
                    labels * weight[:, None],
                    self.coef[k],
                    self.column_penalty,
                    self.bounds[k],
                    keep=keep,
                    gain=gain,
                )
            )
        coef, bounds = zip(*steps, strict=True)
        twin.set_coef(np.stack(coef))
        twin.bounds = np.stack(bounds)
        twin.n_fits += self.n_experts
        return twin

    def predict_standardised(self, columns):
        """Probabilities (n_rows, n_experts, n_classes) for rows of standardised columns."""
        logits = self.functions_of(columns, self.coef)
        log_proba = multinomial.log_softmax(logits.reshape(-1, self.n_classes))
        return np.exp(log_proba).reshape(logits.shape)

    @cached_property
    def predictions(self):
        log_proba = [multinomial.log_softmax(self.design @ coef) for coef in self.coef]
        return np.exp(np.stack(log_proba, axis=1))

    def _set_penalty(self):
        self.penalty = 0.5 * np.einsum("j,kjc->k", self.column_penalty, self.coef**2)

    def state(self):
        return self.coef, self._curvature, self._factors, self._drift

    def restore(self, state):
        coef, self._curvature, self._factors, self._drift = state
        self.set_coef(coef)

    def finish(self, templates):
        for template, coef in zip(templates, self.coef, strict=True):
            raw, intercept = self.raw(coef)
            raw = raw.T
            if self.n_classes == 2:
                raw = raw[1:] - raw[:1]
                intercept = intercept[1:] - intercept[:1]
            template.coef_ = raw
            template.intercept_ = intercept
            template.classes_ = self.classes
            template.n_features_in_ = len(self.scale)
            template.n_iter_ = np.array([self.n_fits // self.n_experts], dtype=np.int32)
        return templates

    @property
    def n_functions(self):
        """Linear functions of the columns in each expert; those of the classes sum to zero."""
        return self.n_classes - 1
