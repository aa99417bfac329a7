"""Starts and EM: how a fit of a mixture goes from responsibilities to its best iterate."""

import copy

import numpy as np
from scipy import optimize
from sklearn.pipeline import Pipeline, make_pipeline

from . import _starts
from ._em import run_em
from ._experts import EstimatorExperts, seed_estimator
from ._folds import make_folds
from ._mixture import Mixture
from ._spread import learn_spread
from ._tables import check_accepts, default_encoder, describe_columns
from .gates import ConstantGate, SoftmaxGate

CROSS_FITTED_ITERATIONS = 10  # at most; experts are what costs
CROSS_FITTED_PATIENCE = 2
INNER_STEPS = 10  # E-steps for one refit of cross-fitted experts, or around frozen ones
REVIVALS = 3  # rounds of re-seeding in one run
BLURRED_SHARE = 0.6  # of ten iterations, with router_noise
SURROGATE_ALPHA = 1.0  # L2 of the linear experts that only choose a start for others


class MixtureTraining:
    """Starts and iterations of both mixtures; ``_base.py`` says in what order."""

    def _previous_responsibilities(self, n_experts, X, y, **rows):
        """Where ``warm_start`` goes on from, or None."""
        if not self.warm_start or not hasattr(self, "experts_") or self._buffer is not None:
            return None
        if len(self.experts_) != n_experts:
            raise ValueError(
                f"warm_start=True needs as many experts as the mixture has now, "
                f"{len(self.experts_)}; n_experts is {n_experts}."
            )
        return self.responsibilities(X, y, **rows)

    def _previous_gate(self, gate):
        """The last fit's gate with the settings of ``gate``, if it can go on from its weights."""
        last = self.gate_.steps[-1][1] if isinstance(self.gate_, Pipeline) else self.gate_
        if type(last) is not type(gate) or not gate.get_params(deep=False).get("warm_start"):
            return gate
        return copy.copy(last).set_params(**gate.get_params(deep=False))

    def _start(self, problem, data, n_experts, previous, seed):
        """Give the problem what EM goes on from; returns ends and paths of the short runs."""
        if previous is not None:
            problem.start(previous)
            return [], []
        if n_experts == 1:
            problem.start(np.ones((len(data.weight), 1)))
            return [], []
        if self.n_init == 1:  # nothing to choose: each iteration counts for max_iter
            problem.start(self._start_responsibilities(data, n_experts, seed)[0])
            return [], []
        few = _starts.enough_rows(n_experts, data)
        whole = callable(self.init) or data.subjects is not None or len(data.y) < 2 * few
        sample = data if whole else data.sample(few)
        starts = self._start_responsibilities(sample, n_experts, seed)
        quick = not (isinstance(problem.experts, EstimatorExperts) or problem.gate.is_costly)
        chosen = problem if quick else self._surrogate(problem, data, n_experts)
        small = chosen if sample is data else chosen.on_rows(sample)
        state, ends, paths = _starts.best_start(small, starts, self.n_jobs)
        small.restore(state)
        if small is not chosen:
            chosen.adopt(small)
        if not quick:
            problem.start(chosen.resp)
        return ends, paths

    def _start_responsibilities(self, data, n_experts, seed):
        """``n_init`` arrays (n, K)."""
        random_state = np.random.RandomState(seed)
        if callable(self.init):
            starts = [
                self.init(data.X, self._labels(data.y), n_experts, random_state)
                for _ in range(self.n_init)
            ]
            return [
                _starts.check_responsibilities(start, data.weight, n_experts) for start in starts
            ]
        names = _starts.start_names(self.init, with_y=data.target is not None)
        return [
            _starts.soften(
                _starts.STARTS[names[i % len(names)]](
                    data.columns, data.target, data.weight, n_experts, random_state
                ),
                n_experts,
            )
            for i in range(self.n_init)
        ]

    def _surrogate(self, problem, data, n_experts):
        """The same data under linear experts, quick to fit: to choose a start for others.

        Behind a classifier as gate, proportions take its place: a softmax could not draw the
        regions that the classifier can.
        """
        is_softmax = isinstance(getattr(problem.gate, "gate", problem.gate), SoftmaxGate)
        gate = SoftmaxGate(warm_start=True, max_iter=1) if is_softmax else ConstantGate()
        return Mixture(
            self._linear_experts(
                data.columns, data, n_experts, penalty=SURROGATE_ALPHA, prior=True
            ),
            gate,
            self._start_likelihood(data, n_experts, in_sample=True, linear=True),
            data.columns,
            data.y,
            data.weight,
            n_inner=1,
            neighbours=problem.neighbours,
            exposure=problem.exposure,
            subjects=problem.subjects,
            top_k=problem.top_k,
        )

    def _start_flexible(self, problem, resp):
        """Choose between two starts by the objective after one iteration.

        Either the experts begin as specialists of the regimes in ``resp``, each matched with
        the regime in which its density is highest. Or all begin with all rows, and differ in
        how hard the rows are that they own, so that the gate learns where errors are large.
        """
        n_experts = resp.shape[1]
        problem.start(np.full_like(resp, 1.0 / n_experts)).step()
        log_density = problem.expert_log_density()
        if not isinstance(self.experts, list):
            hardness = _starts.layers(-problem.log_norm, problem.weight, n_experts)
            problem.start(_starts.soften(hardness, n_experts)).settle()
        equal, equal_value = problem.state(), problem.objective
        gain = (resp * problem.weight[:, None]).T @ log_density
        regimes, experts = optimize.linear_sum_assignment(gain, maximize=True)
        matched = np.empty_like(resp)
        matched[:, experts] = resp[:, regimes]
        if problem.start(matched).step() < equal_value:
            problem.restore(equal)

    def _max_iterations(self, folds, n_experts):
        if folds in (None, "prefit"):
            return self.max_iter
        # A single cross-fitted expert has nothing to iterate for but working weights.
        likelihood = self._unfitted_likelihood()
        working = hasattr(likelihood, "working_weights") or hasattr(likelihood, "working_exposure")
        once = n_experts == 1 and not working
        return min(self.max_iter, 1 if once else CROSS_FITTED_ITERATIONS)

    def _truncation(self, n_experts):
        """Experts for each row, or None where all of them stay."""
        if self.router_noise > 0 and self.top_k is None:
            self._warn(
                UserWarning, "router_noise has no effect without top_k: it blurs who is in it."
            )
        return None if self.top_k is None or self.top_k >= n_experts else self.top_k

    def _run_blurred(self, problem, data, max_iter, seed):
        """First iterations, in which falling noise has a say in who is in the top k.

        The noise of an expert is a smooth random function of the row, so that what is drawn does
        not depend on the number of rows. Returns the objectives.
        """
        if problem.top_k is None or self.router_noise == 0:
            return []
        random_state = np.random.RandomState(seed)
        n_experts, objectives = problem.resp.shape[1], []
        n_blurred = int(BLURRED_SHARE * min(max_iter, CROSS_FITTED_ITERATIONS))
        for size in np.linspace(self.router_noise, 0, n_blurred, endpoint=False):
            directions = random_state.standard_normal((data.columns.shape[1], n_experts))
            phases = random_state.uniform(0, 2 * np.pi, n_experts)
            problem.noise = size * np.sqrt(2) * np.cos(data.columns @ directions + phases)
            objectives.append(problem.step())
        problem.noise = None
        return objectives

    def _run(self, problem, max_iter, folds, tasks, fitted_now):
        def after(objectives):
            if self.verbose:
                self._report(objectives)
            return tasks.end_iteration(fitted_now)

        rises = folds in (None, "prefit") and not problem.gate.is_costly
        return run_em(
            problem,
            max_iter=max_iter,
            tol=self.tol,
            patience=1 if rises else CROSS_FITTED_PATIENCE,
            revivals=REVIVALS,
            before=tasks.begin_iteration,
            after=after,
        )

    def _learn_spread(self, problem, data, split_params, subject, seed):
        """Let the scales depend on the row where the likelihood asks for it; the objectives."""
        estimator = getattr(problem.likelihood, "spread_estimator", lambda: None)()
        if estimator is None:
            return []
        if problem.likelihood.scale == "auto" and any(describe_columns(data.X)):
            estimator = make_pipeline(default_encoder(data.X), estimator)
        check_accepts(f"The scale {type(estimator).__name__}", estimator, data.X)
        estimator = seed_estimator(estimator, np.random.RandomState(seed))
        folds = make_folds(
            "auto",
            [estimator],
            data.X,
            data.y,
            split_params,
            n_rows=problem.weight.sum(),
            subject=subject,
            stratify=False,
            seed=seed,
        )
        optional = problem.likelihood.scale == "auto"
        return learn_spread(
            problem, data.X, estimator, folds, optional=optional, n_jobs=self.n_jobs
        )

    def _report(self, objectives):
        iteration = len(objectives)
        if iteration % self.verbose_interval == 0 or iteration == 1:
            gain = objectives[-1] - objectives[-2] if iteration > 1 else np.nan
            print(f"  Iteration {iteration}\t lower bound {objectives[-1]:.6f}\t gain {gain:.2e}")
