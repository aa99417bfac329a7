"""The general EM problem: experts + gate + likelihood over arrays of n rows and K experts."""

import copy

import numpy as np

from ._compat import n_openmp_threads
from ._cross_fitted_gate import CrossFittedGate
from ._kernels._estep import e_step
from ._routing import Routes, keep_best

SERVING_STEPS = 20  # E-steps at most that fit the scales to the routes of predictions
SERVING_POOLED_ROWS = 1.0
SAME_DENSITY = 1e-6  # in log-density, for every row: two experts that no data will part


class Mixture:
    """A mixture in training.

    Parameters
    ----------
    experts : object
        With the protocol at the head of ``_experts.py``.
    gate : BaseGate
        Trained on ``Z`` and soft labels; belongs to this object.
    likelihood : object
        From ``likelihoods.py``, started; belongs to this object.
    Z : array-like of n_samples rows
        What the gate sees.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target, or class numbers.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_inner : int
        E-steps, each with an update of scales and gate, for one refit of the experts.
    neighbours : callable
        ``neighbours(loss, mass)`` -> rows around a place of high loss, for dead experts.
    load_prior : ndarray of shape (n_experts,) or None
        Prior counts of a Dirichlet prior on the mean gate probabilities; None for no prior.
    exposure : ndarray of shape (n_samples,) or None
        Factors of the predictions; None for ones.
    subjects : Subjects or None
        Rows that share an expert; None for rows on their own.
    top_k : int or None
        Each row keeps its ``top_k`` largest responsibilities; the objective is then the bound
        ``log sum_k pi_k f_k`` over those k, which rises as the likelihood does without
        truncation (J. Lücke and J. Eggert, "Expectation truncation and the benefits of
        preselection in training generative models", JMLR 11 (2010) 2855-2900).
    gate_folds : list of (train, test) or None
        The gate is trained without a fold for the rows of it; None where it has seen all.

    Attributes
    ----------
    noise : ndarray of shape (n_samples, n_experts) or None
        Added to the logarithms that are ranked for the top k.
    working : ndarray of shape (n_samples, n_experts) or None
        Factors of the responsibilities with which experts are fitted, where the likelihood is
        robust and has seen predictions.
    spread : ndarray of shape (n_samples, 1) or None
        Factors of the scales, where these depend on the row.
    working_exposure : ndarray of shape (n_samples, n_experts) or None
        By which the target is divided, and weights are multiplied, when experts are fitted.
    """

    noise = None
    working = working_exposure = None
    spread = None

    def __init__(
        self, experts, gate, likelihood, Z, y, weight, *, n_inner, neighbours, load_prior=None,
        exposure=None, subjects=None, top_k=None, gate_folds=None,
    ):  # fmt: skip
        self.experts, self.gate, self.likelihood = experts, gate, likelihood
        self.Z, self.y, self.weight = Z, y, weight
        self.n_inner, self.neighbours = n_inner, neighbours
        self.load_prior, self.top_k = load_prior, top_k
        self.exposure, self.subjects = exposure, subjects
        self.gate_weight = weight if subjects is None else subjects.row_weight
        if gate.takes_load_prior:
            gate._load_prior = load_prior
        if gate_folds is not None:
            self.gate = CrossFittedGate(gate, gate_folds)
        self.gate_proba = None
        self.n_revived = None  # for each expert, once there are any

    def start(self, resp):
        """Take responsibilities (n, K) to start from."""
        resp = resp if self.subjects is None else self.subjects.average(resp)
        self.resp = np.ascontiguousarray(resp, dtype=np.float64)
        self.working = self.working_exposure = None
        if self.exposure is not None:
            self.working_exposure = np.repeat(self.exposure[:, None], resp.shape[1], axis=1)
        return self

    def fork(self):
        """A mixture on the same data that trains on its own."""
        twin = copy.copy(self)
        twin.experts = copy.copy(self.experts)
        twin.gate, twin.likelihood = copy.copy(self.gate), copy.copy(self.likelihood)
        return twin

    def on_rows(self, sample):
        """A mixture of the same parts on some of the rows, with weights of the same sum.

        Parameters
        ----------
        sample : TrainingData
            With ``rows``, their numbers.
        """
        twin = self.fork()
        twin.experts = self.experts.on_rows(sample.rows, sample.weight)
        twin.Z, twin.y, twin.weight = sample.Z, sample.y, sample.weight
        twin.gate_weight, twin.exposure = sample.weight, sample.exposure
        twin.neighbours = type(self.neighbours)(sample)
        return twin

    def adopt(self, other):
        """Take the parameters of a mixture of the same parts, trained on some of the rows."""
        self._take_parts(other)
        self.resp = np.broadcast_to(0.0, (len(self.y), other.resp.shape[1]))
        self._e_step()

    def _take_parts(self, other):
        self.experts.restore(other.experts.state())
        self.gate, self.likelihood = copy.copy(other.gate), copy.copy(other.likelihood)

    def step(self):
        """One EM iteration: refit the experts, then scales, gate and E-step; the objective."""
        if getattr(self.experts, "shared", None) is not None:
            self.experts.precision = getattr(self.likelihood, "precision_", 1.0)
        self.experts.fit(self.resp, self.working, self.working_exposure)
        return self.settle()

    @property
    def means(self):
        """Predictions of the experts, times the exposure."""
        predictions = self.experts.predictions
        return predictions if self.exposure is None else predictions * self.exposure[:, None]

    def _of_rows(self):
        """What the likelihood is told about the rows besides targets and predictions."""
        return {} if self.spread is None else {"spread": self.spread}

    def squared_errors(self):
        """Of each row (n,), in units of the scales of the experts that it belongs to."""
        squares = ((self.y[:, None] - self.means) / self.likelihood.scale_) ** 2
        squares = squares.mean(axis=2) if squares.ndim == 3 else squares
        squares = (self.resp * squares).sum(axis=1)
        return squares * (self.weight.sum() / max(self.weight @ squares, 1e-300))

    def settle(self):
        """Scales, gate and E-step around the experts as they are; the objective."""
        for inner_step in range(self.n_inner):
            self.likelihood.update(
                self.y,
                self.means,
                self.resp * self.weight[:, None],
                self.experts.penalty,
                **self._of_rows(),
            )
            if inner_step == 0 or not self.gate.is_costly:
                self.gate.fit(self.Z, self._labels_in_step(inner_step), self.gate_weight)
            self._e_step()
        return self.objective

    def _labels_in_step(self, inner_step):
        """Soft labels for the gate, (n, K), or an array of them for each of its folds.

        A model of a fold that sees the responsibilities of the others learns from these what
        gates that saw its fold made of it. So each one runs EM of its own, from proportions on
        and around the experts as they are. What cannot afford the steps for that, and would
        memorise its responsibilities, has those of all folds.
        """
        if not isinstance(self.gate, CrossFittedGate) or self.gate.is_costly:
            return self._gate_labels()
        if inner_step == 0:
            self.gate.begin()
            mass = self.gate_weight @ self.resp
            log_gate = np.log(np.maximum(mass / mass.sum(), 1e-300))
            return self._own_labels(
                np.tile(log_gate, (len(self.resp), 1)), self.expert_log_density()
            )
        each = self.gate.log_proba_of_each(self.Z)
        return (self._own_labels(log_gate, self.log_density) for log_gate in each)

    def _own_labels(self, log_gate, log_density):
        log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
        resp, *_ = self._posterior(log_gate, log_density, self.top_k, self.noise)
        return self._with_prior(resp, np.exp(log_gate))

    def _gate_labels(self):
        """Soft labels for the gate that agree with the last E-step."""
        proba = self.resp if self.gate_proba is None else self.gate_proba
        return self._with_prior(self.resp, proba)

    def finished_gate(self, original):
        """A copy of the gate, trained on all rows, with its own settings in place of EM's.

        Parameters
        ----------
        original : gate or classifier
            What has these settings, if it is of the same class.
        """
        folded = isinstance(self.gate, CrossFittedGate)
        gate = copy.copy(self.gate.gate if folded else self.gate)
        if type(original) is type(gate):
            gate.set_params(**original.get_params(deep=False))
        if folded:
            gate.fit(self.Z, self._gate_labels(), sample_weight=self.gate_weight)
        return gate

    def _with_prior(self, resp, proba):
        """Responsibilities, and pseudo-responsibilities of the prior on the loads.

        The prior adds ``sum_k load_prior_k log(load_k)`` to the objective. Jensen's inequality
        gives it a lower bound that touches at the gate as it is, and which the gate raises when
        it takes each row's part in an expert's load for responsibility.
        """
        if self.load_prior is None or self.gate.takes_load_prior:
            return resp
        mass = self.gate_weight @ proba
        return resp + self.load_prior * proba / np.where(mass > 0, mass, 1.0)

    def _e_step(self):
        log_gate = self.gate._log_proba_of_checked(self.Z)
        log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
        if log_gate.shape != self.resp.shape or np.isnan(log_gate).any():
            raise ValueError(
                f"The gate {self.gate} returned NaN, or probabilities of shape {log_gate.shape} "
                f"where {self.resp.shape} is needed."
            )
        log_density = self.expert_log_density()
        log_likelihood = self._share_rows(log_gate, log_density, self.top_k, self.noise)
        self.log_density, self.gate_proba = log_density, np.exp(log_gate)
        self._set_load()
        if self.gate.objective == "joint":
            log_likelihood += self.gate_weight @ self.gate.score_samples(self.Z)
        if self.load_prior is not None and not self.gate.takes_load_prior:
            log_likelihood += self.load_prior @ np.log(np.maximum(self.load, 1e-300))
        self.objective = (log_likelihood + self.log_prior()) / self.weight.sum()
        self._set_working()

    def _set_working(self):
        """Weights and exposures that the likelihood wants for the next fit of the experts."""
        if hasattr(self.likelihood, "working_weights"):
            self.working = self.likelihood.working_weights(self.y, self.means)
        elif self.spread is not None and self.experts.in_sample:  # least squares of unequal errors
            self.working = np.repeat(1 / self.spread**2, self.resp.shape[1], axis=1)
        if hasattr(self.likelihood, "working_exposure"):
            working = self.likelihood.working_exposure(self.y, self.means)
            if self.exposure is not None:
                working = working * self.exposure[:, None]
            self.working_exposure = working

    def _set_load(self):
        self.load = self.gate_weight @ self.gate_proba / self.gate_weight.sum()

    def log_prior(self):
        """Log-prior of gate and experts, what penalties take from the log-likelihood."""
        of_experts = self.likelihood.log_prior(self.experts.penalty) + self.experts.own_log_prior
        return self.gate.log_prior() + of_experts

    def expert_log_density(self):
        """Log-density of each row under each expert, (n, K)."""
        log_density = self.likelihood.log_density(self.y, self.means, **self._of_rows())
        for k, own in self.experts.own_log_density.items():
            log_density[:, k] = own
        return log_density

    def _share_rows(self, *args):
        """Set responsibilities and log-densities of the rows; the log-likelihood."""
        self.resp, self.log_norm, log_likelihood = self._posterior(*args)
        return log_likelihood

    def _posterior(self, log_gate, log_density, top_k=None, noise=None):
        """Responsibilities (n, K), log-densities of the rows (n,), and the log-likelihood."""
        subjects, weight = self.subjects, self.weight
        if subjects is not None:
            log_gate, log_density = subjects.log_gate(log_gate), subjects.weighted_sum(log_density)
            noise = None if noise is None else subjects.log_gate(subjects.average(noise))
            weight = subjects.counts
        log_density = keep_best(log_gate, log_density, top_k, noise)
        resp, log_norm = np.empty_like(log_gate), np.empty(len(log_gate))
        log_likelihood = e_step(log_gate, log_density, weight, resp, log_norm, n_openmp_threads())
        if subjects is not None:
            resp, log_norm = subjects.of_rows(resp), subjects.spread(log_norm)
        return resp, log_norm, log_likelihood

    def _served(self, proba):
        """Log-probabilities (n, K) of the gate, as predictions that have a top k use it."""
        log_gate = np.log(np.maximum(proba, 1e-300))
        if self.top_k is None:
            return log_gate
        routes = Routes(log_gate, self.top_k)
        return routes.spread(routes.log_weights, fill=-np.inf)

    def load_under(self, gate):
        """Mean probability (K,) that the finished gate gives to each expert."""
        if not isinstance(self.gate, CrossFittedGate):
            return self.load
        log_gate = self._served(np.exp(gate._log_proba_of_checked(self.Z)))
        return self.gate_weight @ np.exp(log_gate) / self.gate_weight.sum()

    def serve(self):
        """Fit the scales to the mixture that predictions speak of: the top k of the gate.

        In training the top k are chosen in knowledge of the target; a prediction that goes to
        the wrong expert is an error which the scales have to cover. It falls on few rows, so
        small experts borrow from the others. The responsibilities and log-densities of the rows
        are then those of that mixture too.
        """
        if self.top_k is None:
            return
        trained = self.resp
        log_gate = self._served(self.gate_proba)
        best = -np.inf
        for _ in range(SERVING_STEPS):
            log_density = self.expert_log_density()
            value = self._share_rows(log_gate, log_density) / self.weight.sum()
            if not value > best + 1e-8:
                break
            best = value
            mass = self.weight @ self.resp
            weights = np.where(mass > 0, self.resp, trained) * self.weight[:, None]
            self.likelihood.update(
                self.y,
                self.means,
                weights,
                self.experts.penalty,
                pooled_rows=SERVING_POOLED_ROWS,
                **self._of_rows(),
            )
        self.gate_proba = np.exp(log_gate)
        self._set_load()

    def effective_rows(self):
        """Weight of the rows of each expert, (K,)."""
        return self.weight @ self.resp

    def dead(self):
        """Numbers of the experts with next to no rows, and of copies of others."""
        n_experts = len(self.load)
        enough = min(self.experts.minimum_rows, 0.1 * self.weight.sum() / n_experts)
        few = self.effective_rows() < enough
        return np.flatnonzero(few | (self.load < 0.01 / n_experts) | self._copies())

    def _copies(self):
        """Whether a heavier expert has the same density everywhere, so that both stay alike."""
        copies = np.zeros(len(self.load), dtype=bool)
        order = np.argsort(-self.load, kind="stable")
        for i, k in enumerate(order):
            difference = np.abs(self.log_density[:, order[:i]] - self.log_density[:, [k]])
            copies[k] = i > 0 and difference.max(axis=0).min() < SAME_DENSITY
        return copies

    def revive(self):
        """Hand each dead expert the rows around a place of high loss; whether there were any."""
        dead = self.dead()
        if not len(dead):
            return False
        loss = -self.log_norm
        resp = self.resp.copy()
        for k in dead:
            rows = self.neighbours(loss, self.weight.sum() / (2 * resp.shape[1]))
            resp[rows] *= 0.1
            resp[rows, k] += 0.9
            loss = loss.copy()
            loss[rows] = (
                self.weight @ loss / self.weight.sum()
            )  # the next dead expert goes elsewhere
        working, working_exposure = self.working, self.working_exposure
        self.start(resp)
        if working is not None:
            self.working = working.copy()
            self.working[:, dead] = 1.0
        if working_exposure is not None:
            working_exposure = working_exposure.copy()
            working_exposure[:, dead] = 1.0 if self.exposure is None else self.exposure[:, None]
            self.working_exposure = working_exposure
        n_revived = np.zeros(resp.shape[1], dtype=int) if self.n_revived is None else self.n_revived
        self.n_revived = n_revived + np.isin(np.arange(resp.shape[1]), dead)
        return True

    def blocks(self):
        """What reports are made of, block after block of rows.

        Yields
        ------
        rows : slice
            Which rows.
        resp, gate_proba : ndarray of shape (n_rows, n_experts)
            Responsibilities and gate probabilities.
        means : ndarray of shape (n_rows, n_experts) or (..., n_outputs)
            Predictions of the experts, times the exposure.
        """
        yield slice(None), self.resp, self.gate_proba, self.means

    def begin_stream(self, order, estimators, gate):
        """Experts that go on with ``learn_batch``, or None, and the gate ready to do so.

        Parameters
        ----------
        order : ndarray of shape (n_experts,)
            New expert ``j`` is old expert ``order[j]``.
        estimators : list of estimators
            The fitted experts, in the new order.
        gate : BaseGate
            The fitted gate, in the new order.
        """
        experts = self.experts.streaming(self.resp, order, estimators)
        if experts is not None:
            gate.begin_stream(self.Z, self._gate_labels()[:, order], self.weight)
        return experts

    def state(self):
        """All that ``restore`` needs."""
        return {
            "experts": self.experts.state(),
            "gate": copy.copy(self.gate),
            "likelihood": copy.copy(self.likelihood),
            "arrays": (
                self.resp,
                self.log_norm,
                self.log_density,
                self.gate_proba,
                self.objective,
                self.load,
                self.working,
                self.working_exposure,
                self.spread,
            ),
        }

    def restore(self, state):
        """Back to an earlier state."""
        self.experts.restore(state["experts"])
        self.gate = copy.copy(state["gate"])
        self.likelihood = copy.copy(state["likelihood"])
        (
            self.resp,
            self.log_norm,
            self.log_density,
            self.gate_proba,
            self.objective,
            self.load,
            self.working,
            self.working_exposure,
            self.spread,
        ) = state["arrays"]
