"""The logistic EM problem: logistic experts of two classes, softmax or constant gate.

As in ``_linear_mixture.py``, one EM iteration is one pass over the rows. The M-step is generalised:
from the sums of a pass, experts and gate make one Newton step of the bound that EM raises. Where
the log-likelihood itself then falls, the step was too long, and is halved.
"""

import numpy as np
from scipy import special

from ._linear import LogisticExperts
from ._linear_mixture import ROUNDING, SMALLEST_STEP, LinearMixture, _twin
from .likelihoods import Categorical

FIRST_GAIN = 1e-10  # per unit of weight; by less, given responsibilities have been learned


class LogisticMixture(LinearMixture):
    """A mixture of logistic experts in training; see ``Mixture``, and ``covers`` for which ones."""

    _rows_gram = None

    @staticmethod
    def _covers_experts(experts, likelihood):
        if type(experts) is not LogisticExperts or type(likelihood) is not Categorical:
            return False
        calibrates = likelihood.temperature or likelihood.smoothing or likelihood.epsilon != 0
        return experts.n_classes == 2 and not calibrates

    def on_rows(self, sample):
        """A mixture of the same parts on some of the rows; see ``Mixture``."""
        twin = super().on_rows(sample)
        twin._rows_gram = None
        twin.experts.forget_curvature()
        return twin

    def _take_parts(self, other):
        super()._take_parts(other)
        self.experts.forget_curvature()

    def step(self):
        """One EM iteration, one pass over the rows but where the step was too long."""
        self._forget_arrays()
        self.experts.n_fits += self.experts.n_experts
        if self.given is None:
            self._ascend(None)
        else:
            self._learn_given()
        self.likelihood.take_mass(self.sums.mass)
        self.objective = self._total() / self.weight.sum()
        return self.objective

    def _learn_given(self):
        """M-step for the given responsibilities, then an E-step.

        The experts go to their optimum, as linear ones do. The gate makes one step: at its own
        optimum it would be sharp around starts that are so.
        """
        resp = self.given
        self.experts.forget_curvature()
        self.sums = self._pass(resp)
        pairs, self.sums.pairs = self.sums.pairs, None
        for _ in range(self.experts.n_first_newton):
            if self._ascend(resp, with_gate=False) <= FIRST_GAIN * self.weight.sum():
                break
        self.sums.pairs = pairs
        self._ascend(resp)
        self.given = None
        self._take_pass()

    def _ascend(self, resp, *, with_gate=True):
        """Newton step of the experts, and of the gate, that raises what ``_total`` is; the gain."""
        sums, gate, experts = self.sums, self.gate, self.experts
        before, size = self._total(), 1.0
        least = before - max(ROUNDING, np.finfo(experts.rows.X.dtype).eps) * abs(before)
        while size >= SMALLEST_STEP:
            self.experts = _twin(experts)
            self.experts.learn_sums(sums, size)
            if with_gate:
                self.gate = _twin(gate)
                self.gate.learn_sums(sums, size)
            self.sums = self._pass(resp, with_curvature=with_gate and self.gate.wants_curvature)
            self._load_from_sums()
            if self._total() >= least:
                return self._total() - before
            size /= 2
        self.sums, self.gate, self.experts = sums, gate, experts
        self._load_from_sums()
        return 0.0

    def _total(self):
        """Penalised log-likelihood, or what the M-step raises for given responsibilities."""
        return self.sums.value + self.log_prior()

    def _pass(self, resp, with_curvature=None):
        if with_curvature is None:
            with_curvature = self.gate.wants_curvature
        if self._rows_gram is None:  # where all is 0, every curvature is a quarter
            nothing = np.zeros_like(self.experts.log_odds)
            at_zero = self._run_kernel(nothing, None, False, logistic=True)
            self._rows_gram = 4 * at_zero.gram.sum(axis=0)
        sums = self._run_kernel(
            self.experts.log_odds, resp, with_curvature, logistic=True,
            with_grams=self.experts.wants_curvature,
        )  # fmt: skip
        sums.mass, sums.squares = sums.squares[:, 0], None
        sums.rows_gram = self._rows_gram
        return sums

    def _predictions_for(self, columns):
        log_odds = self.experts.log_odds.T
        log_odds = columns @ log_odds[:-1] + log_odds[-1]
        return special.expit(np.stack([-log_odds, log_odds], axis=2))

    def begin_stream(self, order, estimators, gate):
        """Experts that go on with ``learn_batch``; the gate has its curvature already."""
        return self.experts.streaming_from_sums(order)
