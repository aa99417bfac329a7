"""The general problem: any experts, gate and likelihood, over arrays of n rows and K experts."""

from functools import partial

import numpy as np

from .._kernels._linear_run import Acceleration
from .._routing import routed
from .cross_fitted_gate import CrossFittedGate, GateSums, steps_from_sums
from .problem import Problem, shallow_copy

ROUTING_STEPS = 20  # E-steps at most that fit the scales to the routes of predictions
ROUTING_POOLED_ROWS = 1.0
CENSORED_FIRST_ROUNDS = 5  # until expected targets of linear experts are off bounds


class GeneralProblem(Problem):
    """A mixture in training; see ``Problem`` for the parameters.

    ``gate_folds``, a list of (train, test): the gate is trained without a fold for the rows of it;
    None where it has seen all.

    Attributes
    ----------
    working : ndarray of shape (n_samples, n_experts) or None
        Factors of the responsibilities with which experts are fitted, where the likelihood is
        robust and has seen predictions.
    working_exposure : ndarray of shape (n_samples, n_experts) or None
        By which the target is divided, and weights are multiplied, when experts are fitted.
    working_target : ndarray of shape (n_samples, n_experts) or None
        Expected targets under each expert, on which it is fitted, where targets are censored.
    row_scale : ndarray of shape (n_samples, 1) or None
        Factors of the scales, where these depend on the row.
    """

    row_scale = gate_proba = _gate_sums = None
    accelerates = True
    of_state = (
        "resp",
        "log_norm",
        "log_density",
        "gate_proba",
        "objective",
        "load",
        "working",
        "working_exposure",
        "working_target",
        "row_scale",
    )

    def __init__(self, experts, gate, likelihood, data, *, gate_folds=None, **settings):
        super().__init__(experts, gate, likelihood, data, **settings)
        if gate_folds is not None:
            self.gate = CrossFittedGate(self.gate, gate_folds, sum_to_one=self.load_prior is None)

    @property
    def gate_weight(self):
        """Weights of the rows for the gate, (n_samples,)."""
        if self.subjects is None:
            return self.weight
        return self.subjects.row_weight

    def start(self, resp):
        self.acceleration = Acceleration()
        if self.subjects is not None:
            resp = self.subjects.average(resp)
        self.resp = np.ascontiguousarray(resp, dtype=np.float64)
        self._forget_working()
        return self

    def _forget_working(self):
        self.working = self.working_exposure = self.working_target = None
        if self.exposure is not None:
            self.working_exposure = np.repeat(self.exposure[:, None], self.resp.shape[1], axis=1)

    def reseed(self, dead):
        before = self.working_data
        names = ("working", "working_exposure", "working_target")
        super().reseed(dead)
        if self.exposure is None:
            exposure = 1.0
        else:
            exposure = self.exposure[:, None]
        anew = 1.0, exposure, self.likelihood.expert_target(self.y)[:, None]
        for name, values, of_dead in zip(names, before, anew, strict=True):
            if values is not None:
                values = values.copy()
                values[:, dead] = of_dead
                setattr(self, name, values)

    def adopt(self, other):
        self._take_parts(other)
        self.resp = np.broadcast_to(0.0, (len(self.y), other.resp.shape[1]))
        self._forget_working()
        self.e_step()

    def step(self):
        """One EM iteration: refit the experts, then scales, gate and E-step; the objective."""
        before = self.objective
        point = self._point()
        # Quick experts are fitted first, so that censored targets are no mere bounds.
        begins = self.bounds is not None and self.working_target is None
        for _ in range(CENSORED_FIRST_ROUNDS * (begins and self.experts.is_solved)):
            self.experts.fit(self.resp, *self.working_data)
            self._update_likelihood(self.resp * self.weight[:, None])
            self._set_working()
        self.experts.precision = self.likelihood.precision_
        if self.likelihood.taken_by_subjects is not None:
            taken = partial(self.likelihood.taken_by_subjects, self.subjects)
            self.experts.taken_by_subjects = taken
        self.experts.fit(self.resp, *self.working_data)
        self.update_around_experts()
        return self._accelerated(before, point)

    def _accelerated(self, before, point):
        """Go farther along EM's last steps where EM is slow and that is better; the objective."""
        self.acceleration.note(self.objective - before)
        if point is None or not self.acceleration.is_late:
            return self.objective
        proposal, _ = self.acceleration.propose(point, self._point() - point, lambda each: each)
        if proposal is not None:
            # Censored targets: where the log-likelihood is convex, the root of EM's steps is
            # a saddle point, and the way from it is the way up.
            em_step = self._point() - point
            if self.bounds is not None and (proposal - point) @ em_step < 0:
                proposal = 2 * point - proposal
            by_em = self.state()
            acceleration = self.acceleration
            self._go_to(proposal)
            if not self.objective > by_em[-1]["objective"]:
                self.restore(by_em)
                self.acceleration = acceleration
                acceleration.reject()
        return self.objective

    def _point(self):
        """Parameters of experts, likelihood and gate, (n_parameters,); None if there are others."""
        gate = self.gate
        is_alone = self.n_inner == 1 and self.top_k is None
        if not (self.accelerates and is_alone and self.objective > -np.inf):
            return None
        if not (gate.is_linear and gate.has_sums):
            return None
        points = [self.experts.point(), self.likelihood.point(), gate.sum_logits().ravel()]
        if any(each is None for each in points):
            return None
        return np.concatenate(points)

    def _go_to(self, point):
        """Set them, and make the E-step."""
        shape = self.gate.sum_logits().shape
        of_experts = len(self.experts.point())
        of_experts, of_likelihood, of_gate = np.split(
            point, [of_experts, len(point) - shape[0] * shape[1]]
        )
        self.experts.go_to(of_experts)
        self.likelihood = self.likelihood.at(of_likelihood)
        self.gate = shallow_copy(self.gate)
        self.gate.set_logits(of_gate.reshape(shape))
        self.e_step()

    def update_around_experts(self):
        """Scales, gate and E-step around the experts as they are; the objective."""
        for inner_step in range(self.n_inner):
            self._update_likelihood(self.resp * self.weight[:, None])
            if inner_step == 0 or not (self.gate.is_costly or np.isnan(self.objective)):
                self._fit_gate(self._labels_in_step(inner_step))
            self.e_step()
        return self.objective

    def _fit_gate(self, labels):
        is_plain = not self.gate.is_cross_fitted and self.load_prior is None
        if is_plain and steps_from_sums(self.gate, self.Z, labels.shape[1]):
            self._gate_sums = self._gate_sums or GateSums(self.Z, self.gate_weight)
            self.gate = self._gate_sums.stepped(self.gate, labels)
        else:
            self.gate.fit(self.Z, labels, sample_weight=self.gate_weight)

    def _update_likelihood(self, weights, **settings):
        given = self.means, weights, self.experts.penalty
        if self.bounds is not None:
            self.likelihood.update_censored(self.bounds, *given, **settings)
        else:
            self.likelihood.update(self.y, *given, **settings, **self._row_arguments())

    def _labels_in_step(self, inner_step):
        """Soft labels for the gate, (n, K), or an array of them for each of its folds.

        A model of a fold that sees the responsibilities of the others learns from these what
        gates that saw its fold made of it. So each one runs EM of its own, from proportions on
        and around the experts as they are. What cannot afford the steps for that, and would
        memorise its responsibilities, has those of all folds.
        """
        if not self.gate.is_cross_fitted or self.gate.is_costly:
            return self._gate_labels()
        if inner_step == 0:
            self.gate.begin()
            mass = self.gate_weight @ self.resp
            log_gate = np.log(np.maximum(mass / mass.sum(), 1e-300))
            log_gate = np.tile(log_gate, (len(self.resp), 1))
            return self._labels_around(log_gate, self.expert_log_density())
        each = (model.log_proba_of_checked(self.Z) for model in self.gate.models)
        return (self._labels_around(log_gate, self.log_density) for log_gate in each)

    def _labels_around(self, log_gate, log_density):
        log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
        resp, *_ = self.posterior(log_gate, log_density, self.top_k)
        return self._with_prior(resp, np.exp(log_gate))

    def _row_arguments(self):
        """Arguments of the likelihood besides targets and predictions."""
        return self.likelihood.row_arguments(self.row_scale, self.exposure, self.subjects)

    def _gate_labels(self):
        """Soft labels for the gate that agree with the last E-step."""
        if self.gate_proba is None:
            proba = self.resp
        else:
            proba = self.gate_proba
        return self._with_prior(self.resp, proba)

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

    # E-step ---------------------------------------------------------------------------------

    def e_step(self):
        """Responsibilities, log-densities, load and objective with the parameters as they are."""
        log_gate = self.gate.log_proba_of_checked(self.Z)
        log_gate = np.ascontiguousarray(log_gate, dtype=np.float64)
        if log_gate.shape != self.resp.shape or np.isnan(log_gate).any():
            raise ValueError(
                f"{self.gate} returned NaN, or shape {log_gate.shape}, not {self.resp.shape}."
            )
        log_density = self.expert_log_density()
        log_likelihood = self._share_rows(log_gate, log_density, self.top_k)
        self.log_density = log_density
        self.gate_proba = np.exp(log_gate)
        self._set_load()
        if self.gate.objective == "joint":
            log_likelihood += self.gate_weight @ self.gate.score_samples(self.Z)
        if self.load_prior is not None and not self.gate.takes_load_prior:
            log_likelihood += self.load_prior @ np.log(np.maximum(self.load, 1e-300))
        self.objective = (log_likelihood + self.log_prior()) / self.weight.sum()
        self._set_working()

    def expert_log_density(self):
        """Log-density of each row under each expert, (n, K)."""
        if self.bounds is not None:
            return self.likelihood.log_probability(self.bounds, self.means)
        log_density = self.likelihood.log_density(self.y, self.means, **self._row_arguments())
        return self.experts.with_own(log_density)

    def _share_rows(self, *args):
        """Set responsibilities and log-densities of the rows; the log-likelihood."""
        self.resp, self.log_norm, log_likelihood = self.posterior(*args)
        return log_likelihood

    def _set_working(self):
        """Weights, exposures and targets that the next fit of the experts takes."""
        if self.bounds is not None:
            expected = self.likelihood.expected_target(self.bounds, self.means)
            self.working_target, self.working = expected
            return
        working, working_exposure = self.likelihood.working_data(self.y, self.means)
        if working is not None:
            self.working = working
        elif self.row_scale is not None and self.experts.in_sample:  # least squares, unequal errors
            self.working = np.repeat(1 / self.row_scale**2, self.resp.shape[1], axis=1)
        if working_exposure is not None:
            if self.exposure is None:
                factor = 1.0
            else:
                factor = self.exposure[:, None]
            self.working_exposure = working_exposure * factor

    def _set_load(self):
        self.load = self.gate_weight @ self.gate_proba / self.gate_weight.sum()

    def finished_gate(self, given):
        gate = super().finished_gate(given)
        if self.gate.is_cross_fitted:
            gate.fit(self.Z, self._gate_labels(), sample_weight=self.gate_weight)
        return gate

    def load_under(self, gate):
        if not self.gate.is_cross_fitted:
            return self.load
        log_gate = routed(np.exp(gate.log_proba_of_checked(self.Z)), self.top_k)
        return self.gate_weight @ np.exp(log_gate) / self.gate_weight.sum()

    def fit_to_routing(self):
        """Fit the scales to the mixture that predicts: the top k of the gate.

        In training the top k are chosen in knowledge of the target; a prediction that goes to
        the wrong expert is an error which the scales have to cover. It falls on few rows, so
        small experts borrow from the others. The responsibilities and log-densities of the rows
        are then those of that mixture too.
        """
        if self.top_k is None:
            return
        trained = self.resp
        log_gate = routed(self.gate_proba, self.top_k)
        best = -np.inf
        for _ in range(ROUTING_STEPS):
            value = self._share_rows(log_gate, self.expert_log_density()) / self.weight.sum()
            if not value > best + 1e-8:
                break
            best = value
            mass = self.weight @ self.resp
            weights = np.where(mass > 0, self.resp, trained) * self.weight[:, None]
            self._update_likelihood(weights, pooled_rows=ROUTING_POOLED_ROWS)
        self.gate_proba = np.exp(log_gate)
        self._set_load()

    # Attributes of the problem --------------------------------------------------------------

    def squared_errors(self):
        """Squared error of each row (n,), in units of the scales of its experts."""
        squares = ((self.y[:, None] - self.means) / self.likelihood.scale_) ** 2
        if squares.ndim == 3:
            squares = squares.mean(axis=2)
        squares = (self.resp * squares).sum(axis=1)
        return squares * (self.weight.sum() / max(self.weight @ squares, 1e-300))

    def streaming_experts(self, order, estimators):
        return self.experts.streaming(self.resp, order, estimators)

    def begin_gate_stream(self, gate, order):
        gate.begin_stream(self.Z, self._gate_labels()[:, order], self.weight)
