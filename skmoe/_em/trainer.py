"""From a problem to its best iterate: where EM starts, its iterations, and the scale model."""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from .._experts.fitting import seed_estimator
from .._experts.least_squares import LeastSquaresExperts
from .._numerics.multinomial import NEWTON_LIMIT
from .._tables.encoding import DescribedColumns, default_encoder, encoder_before
from ..gates import ConstantGate, SoftmaxGate
from ..likelihoods import Gaussian
from .general import GeneralProblem
from .loop import NEARLY_SAME, Progress, Trained, count, run_em
from .one_pass import make_problem
from .scale_model import learn_scale_model
from .starts import N_MOVES, TIE, climb_from, draw_starts, enough_rows, layers, moved, soften

TOL_OF_ONE = 1e-12  # per unit of weight, of a single expert that is solved: a regression
TOL_OF_CENSORED = 1e-6  # of the log-likelihood of all rows
REVIVALS = 3  # rounds of re-seeding in one run
LEAST_LOG_DENSITY = -1e6  # least log-density of a row, in sums that choose a start
STEP_WORK = 2e6  # multiplications that take as long as an EM iteration of no rows
COMPILED_WORK = 2e4  # the same of a compiled one
FEWEST_STEPS = 50  # EM iterations that starts need; the number of rows is limited accordingly
FULL_SEARCH = 300  # EM iterations for which starts need no help
ITERATIONS = 450  # of all runs, for each start
SEARCH_WORK = 5.6e9  # multiplications of ten starts, or those of the least iterations
LEFT_TO_DO = 1 / 3  # of a search, after that of lines with normal errors
LEAST_ITERATIONS = 20  # the same, of a search that need not go on with the next rows
OFTEN = 3  # runs that reached the best, for it to be no chance
SURROGATE_PENALTY = 1.0  # L2 of the linear experts that only choose a start for others
SURROGATE_ITERATIONS = 200  # EM iterations with linear experts, at most
MORE_EXPERTS = 4  # for each row, over ``top_k``, to begin with; halved again and again
COARSE = 10  # times ``tol``, until then
FEWEST_ITERATIONS = 20  # at least, whatever the limit on the work


class Trainer:
    """Trains one problem.

    Parameters
    ----------
    problem : Problem
        Untrained; it is left at its best iterate.
    data : TrainingData
        The rows.
    parts : Parts
        What the problem was made of.
    settings : Settings
        Parameters of the mixture.
    folds : None, "oob", "prefit" or list of (train, test)
        Folds of the experts.
    splitting : Splitting
        Makes folds for the scale model.
    seed : int
        Seed of the starts.
    n_rows : int, default=None
        Number of all rows, of which ``data`` may be a sample.
    notes : list of str, default=()
        Of what is ``trained``.
    regimes : ndarray of shape (n_samples, n_experts), default=None
        Responsibilities of linear experts, to begin with in place of starts.
    alike : object, default=None
        State of the experts, of equal responsibilities, where they were fitted before.

    Attributes
    ----------
    trained : Trained
        What ``train`` fills, and returns.
    moves_in_vain : int
        For each start, moves that lead to nothing better, after which the search ends.
    """

    way = "em"
    few_met = ""  # runs reached the best, where that is so: the beginning of a sentence
    moves_in_vain = 4
    part_of_rows = 1.0  # of ``enough_rows``: what starts are tried on
    is_searched = False

    def __init__(
        self,
        problem,
        data,
        parts,
        settings,
        *,
        folds,
        splitting,
        seed,
        n_rows=None,
        notes=(),
        regimes=None,
        alike=None,
    ):
        self.problem = problem
        self.data = data
        self.parts = parts
        self.settings = settings
        self.folds = folds
        self.splitting = splitting
        self.seed = seed
        self.n_experts = len(parts.names)
        self.n_rows = n_rows or len(data.y)
        self.regimes = regimes
        self.alike = alike
        self.trained = Trained(parts, settings, folds, self.way, notes=list(notes))
        self.progress = Progress(settings)

    def start(self, previous):
        """Give the problem what EM goes on from: responsibilities (n, K), or starts if None."""
        problem = self.problem
        data = self.data
        n_experts = self.n_experts
        self._chose_start = previous is None
        is_quick = problem.experts.is_solved and not problem.gate.is_costly
        if previous is None and is_quick and problem.top_k and data.start_target is not None:
            # Rows that begin with more experts lead to better optima, from which ``run`` goes on.
            problem.top_k = self._kept(MORE_EXPERTS * problem.top_k)
        if previous is not None and not (is_quick and self._is_short and self.settings.n_init > 1):
            problem.start(previous)
            return
        if self.regimes is not None:
            problem.start(self.regimes)
            return
        if 1 in (self.settings.n_init, n_experts):  # each iteration counts for max_iter
            problem.start(self._draw(data)[0])
            return
        few = enough_rows(n_experts, data, self.part_of_rows)
        if self.affordable(len(data.y)) < FEWEST_STEPS:
            share = self.affordable(len(data.y)) / FEWEST_STEPS
            few = int(max(share * len(data.y), 3 * n_experts * (data.columns.shape[1] + 1)))
        whole = callable(self.settings.init) or len(data.y) < 2 * few or data.subjects is not None
        if whole:
            sample = data
        else:
            sample = data.sample(few)
        if is_quick:
            chosen = problem
        else:
            chosen = surrogate(data, self.parts, problem.top_k)
        if sample is data:
            small = chosen
        else:
            small = chosen.on_rows(sample)
        self._race(small, sample, previous, is_quick * self.moves_in_vain)
        if small is not chosen:
            chosen.adopt(small)
        if not is_quick:
            problem.start(chosen.resp)

    @property
    def most_iterations(self):
        """EM iterations at most."""
        most = self.settings.most_iterations(
            self.folds, self.n_experts, self.parts.likelihood, self.data.bounds is not None
        )
        return int(min(most, max(self.affordable(len(self.data.y)), 1)))

    @property
    def _is_short(self):
        """Whether work is too little for all starts at once."""
        return self.affordable(len(self.data.y)) < FULL_SEARCH

    def affordable(self, n_rows, work=None):
        """EM iterations on so many rows that ``work`` is enough for, by default ``most_work``."""
        if work is None:
            work = self.settings.most_work
        if work == np.inf:  # columns, which are made when they are asked for, need not be
            return np.inf
        n_experts = self.n_experts
        p = self.data.columns.shape[1] + 1
        problem = self.problem
        has_more = problem is not None and problem.experts.is_solved  # than starts see
        if has_more:
            own = max(p, problem.experts.minimum_rows - 1)
        else:
            own = p
        if self.parts.classes is None:
            n_classes = 2
        else:
            n_classes = len(self.parts.classes)
        of_experts = own**2 * n_experts * n_classes * (n_classes - 1) / 2
        newton = n_experts * p <= NEWTON_LIMIT
        of_gate = p * n_experts * (n_experts * p / 4 if newton else 20)
        if problem is None or not problem.is_compiled:
            once = STEP_WORK
        else:
            once = COMPILED_WORK
        once += newton * (n_experts * p) ** 3
        return work / (once + n_rows * (of_experts + of_gate))

    def train(self, previous, tasks, attributes_now):
        """From where EM starts to the fitted model.

        ``previous`` are responsibilities (n, K) of an earlier fit, None for starts; ``tasks`` are
        callbacks; ``attributes_now(trainer)`` are what the estimator would have if EM stopped.

        Returns what is ``trained``, its own or that of another trainer that it has tried.
        """
        tasks.begin(self.most_iterations)
        number = count(self.n_experts)
        if self.is_searched:
            number = f"up to {number}"
        self.progress.say(f"Fitting {number} on {count(self.n_rows, 'row')}")
        self.start(previous)
        with self.problem.experts.side_by_side(self.settings.n_jobs):
            return self.finished(self.problem, self.run(tasks, attributes_now))

    def finished(self, problem, run=None):
        """What is ``trained``, with the model that is made of this problem."""
        model, order, load = self.parts.model(problem, self.settings)
        return replace(
            self.trained,
            problem=problem,
            parts=self.parts,
            run=run,
            model=model,
            order=order,
            load=load,
        )

    def run(self, tasks, attributes_now):
        """Run EM to its end; see ``train``."""
        unlike = self.folds is not None or self.parts.is_list
        experts = self.problem.experts
        if self._chose_start and unlike and not experts.is_solved and self.n_experts > 1:
            self._start_flexible(self.problem.resp)
        top_k = self.settings.active_top_k(self.n_experts)
        problem = self.problem
        if problem.top_k != top_k:
            more = MORE_EXPERTS
        else:
            more = 1
        problem.routes = top_k
        # Rows keep fewer experts stage by stage, and idle experts are re-seeded in the last one.
        while more > 1:
            if more == 2:
                revivals = REVIVALS
            else:
                revivals = 0
            run_em(
                problem,
                max_iter=self.most_iterations,
                tol=COARSE * self.settings.tol,
                patience=1,
                revivals=revivals,
            )
            more //= 2
            problem.top_k = self._kept(more * top_k)
            problem.start(problem.resp)
        problem.routes = None
        run = self._run(self.most_iterations, tasks, attributes_now)
        self.trained.is_cut |= not run.converged and self.most_iterations < self.settings.max_iter
        run.objectives += self._learn_scale_model()
        return run

    def _kept(self, top_k):
        if top_k < self.n_experts:
            return top_k
        return None

    # Starts ---------------------------------------------------------------------------------

    def _race(self, problem, data, previous, in_vain):
        """Leave a problem on these rows at the best that starts lead to.

        With responsibilities of an earlier fit, these are the only start.
        """
        settings = self.settings
        if self._is_short:  # other rows each time
            random_state = np.random.RandomState(self.seed + len(self.data.y))
        else:
            random_state = np.random.RandomState(self.seed)
        if data is self.data:
            rows = slice(None)
        else:
            rows = data.rows
        if previous is None:
            starts = self._draw(data)
        else:
            starts = [previous[rows]]
        # A power of two, so that rows given twice, and weights of two, mostly afford the same.
        affordable = np.exp2(np.floor(np.log2(max(self.affordable(len(data.y)), 1.0))))
        least = LEAST_ITERATIONS * settings.n_init
        work = max(self.affordable(len(data.y), SEARCH_WORK * max(settings.n_init / 10, 1)), least)
        most = min(ITERATIONS * settings.n_init, affordable, work)
        if callable(settings.init):
            in_vain = 0
        else:
            in_vain = in_vain * settings.n_init
        climb = partial(climb_from, n_jobs=settings.n_jobs)
        near = partial(moved, data, n_moves=N_MOVES, random_state=random_state)
        seeks = previous is None and in_vain >= settings.n_init and not problem.is_compiled
        if seeks and (quick := normal_lines(problem, data, self.parts)) is not None:
            # Its optimum is near to one of other errors, and takes a small part of the time.
            quick.restore(climb(quick, starts, near, most=most, in_vain=in_vain)[0])
            starts = [quick.resp, *starts]
            most = LEFT_TO_DO * most
            in_vain = LEFT_TO_DO * in_vain
        ended = climb(problem, starts, near, most=most, in_vain=in_vain)
        state, self.trained.ends, self.trained.paths = ended
        problem.restore(state)
        self.trained.is_cut = affordable < least
        n_met = sum(end > problem.objective - NEARLY_SAME for end, _ in self.trained.ends)
        if n_met < min(OFTEN, len(self.trained.paths)):
            met = f"{n_met} of {len(self.trained.paths)} EM runs with {count(self.n_experts)}"
            self.few_met = f"{met} reached the best optimum: "
            others = "there may be a better one. Raise n_init to look for it."
            self.trained.notes.append(self.few_met + others)
        for number, path in enumerate(self.trained.paths, 1):
            said = f"\t {count(len(path), 'iteration')}"
            self.progress.say(f"  EM run {number}", max(path), said, level=2)

    def _draw(self, data):
        if self.n_experts == 1:
            return [np.ones((len(data.y), 1))]
        settings = self.settings
        return draw_starts(
            settings.init, settings.n_init, data, self.n_experts, self.seed, self.parts.labels
        )

    def _start_flexible(self, resp):
        """Choose between two starts by the objective after one iteration.

        Either the experts begin as specialists of the regimes in ``resp``, each matched with
        the regime in which its density is highest. Or all begin with all rows, and differ in
        how hard the rows are that they own, so that the gate learns where errors are large.
        """
        problem = self.problem
        n_experts = self.n_experts
        problem.start(np.full(resp.shape, 1.0 / n_experts))
        if self.alike is None:
            problem.step()
        else:
            problem.experts.restore(self.alike)
            problem.update_around_experts()
        log_density = np.maximum(problem.expert_log_density(), LEAST_LOG_DENSITY)
        if not self.parts.is_list:
            hardness = soften(layers(-problem.log_norm, problem.weight, n_experts), n_experts)
            problem.start(hardness).update_around_experts()
        equal = problem.state()
        equal_value = problem.objective
        gain = (resp * problem.weight[:, None]).T @ log_density
        regimes, experts = optimize.linear_sum_assignment(gain, maximize=True)
        matched = np.empty_like(resp)
        matched[:, experts] = resp[:, regimes]
        if problem.start(matched).step() < equal_value - TIE:  # rounding errors do not decide
            problem.restore(equal)

    # Iterations -----------------------------------------------------------------------------

    def _run(self, max_iter, tasks, attributes_now):
        def after(objectives):
            n_iter = len(objectives)
            (*before, now) = objectives[-2:]
            if before:
                gain = f"\t gain {now - before[0]:.2e}"
            else:
                gain = ""
            self.progress.say(f"  Iteration {n_iter}", now, gain, level=2)
            return tasks.end_iteration(partial(attributes_now, self))

        problem = self.problem
        tol = self.settings.tol
        patience = self.settings.patience(self.folds, problem.gate)
        # Experts then approach a limit, which the last gains predict, unless they exchange rows.
        is_smooth = problem.accelerates and problem.experts.in_sample and problem.top_k is None
        if is_smooth and problem.experts.is_solved:
            # A single expert goes to its maximum. So do several of censored targets, whose EM is
            # slow: its gains are small far from there.
            if self.n_experts == 1:
                tol = min(tol, TOL_OF_ONE)
            elif self.data.bounds is not None:
                tol = min(tol, TOL_OF_CENSORED / self.data.weight.sum())
        run = run_em(
            problem,
            max_iter=max_iter,
            tol=tol,
            patience=patience,
            foresees=patience == 1 and is_smooth,
            revivals=REVIVALS,
            before=tasks.begin_iteration,
            after=after,
            in_runs=not (self.settings.verbose or tasks.has_callbacks),
        )
        if run.converged:
            ended = "Converged"
        else:
            ended = "Stopped"
        n_iter = count(len(run.objectives), "iteration")
        self.progress.say(f"{ended} after {n_iter}", problem.objective)
        return run

    def _learn_scale_model(self):
        """Let the scales depend on the row where the likelihood asks for it; the objectives."""
        problem = self.problem
        X = self.data.X
        estimator = problem.likelihood.scale_estimator()
        if estimator is None:
            return []
        optional = problem.likelihood.scale == "auto"
        described = DescribedColumns(X, self.data.weight)
        is_default = optional and described.is_mixed
        if is_default:
            encoder = default_encoder(described)
        else:
            encoder = encoder_before("scale", estimator, described)
        if encoder is not None:
            estimator = make_pipeline(encoder, estimator)
        estimator = seed_estimator(estimator, self.splitting.seed)
        splitting = replace(self.splitting, cv="auto", stratify=False, n_rows=None)
        folds = splitting.folds([estimator], self.data)
        objectives = learn_scale_model(
            problem, X, estimator, folds, optional=optional, n_jobs=self.settings.n_jobs
        )
        self.progress.say("Scales that depend on the row", problem.objective)
        return objectives


def train_surrogate(trainer, linear, parts=None):
    """Train the mixture of linear experts that a trainer, of any experts, starts from.

    ``linear`` is as ``surrogate`` makes it, of ``parts``, by default those of the trainer. Returns
    the Trainer of the mixture.
    """
    data = trainer.data
    settings = trainer.settings
    start = Trainer(
        linear,
        data,
        parts or trainer.parts,
        settings,
        folds=None,
        splitting=trainer.splitting,
        seed=trainer.seed,
    )
    start.moves_in_vain = 1  # it is where others start, and no optimum
    start.start(None)
    most = min(SURROGATE_ITERATIONS, max(start.affordable(len(data.y)), FEWEST_ITERATIONS))
    run_em(linear, max_iter=int(most), tol=settings.tol, patience=1)
    return start


def normal_lines(problem, data, parts):
    """Lines with normal errors around the target as starts see it; None if not compiled."""
    # Of the others, normal errors say too little of where experts, loads or subjects end.
    is_other = any(each is not None for each in (problem.load_prior, data.bounds, data.subjects))
    is_other |= parts.gate.trained.alpha_of_runs is None or sparse.issparse(data.X)
    if data.target is None or data.target.shape[1] > 1 or is_other:
        return None
    X = data.columns
    y = data.target[:, 0]
    n_experts = len(parts.names)
    experts = LeastSquaresExperts(
        X, y, data.weight, n_experts, penalty=SURROGATE_PENALTY, prior=True
    )
    likelihood = Gaussian().fitting(in_sample=True, linear=True).start(y, data.weight, n_experts)
    rows = replace(data, X=None, y=y, Z=X, exposure=None)
    lines = make_problem(experts, clone(parts.gate.trained), likelihood, rows, in_sample=True)
    if lines.is_compiled:
        return lines
    return None


def surrogate(data, parts, top_k=None):
    """The same data under linear experts, quick to fit: to choose a start for others.

    If the gate is a classifier, proportions replace it: a softmax could not draw the regions
    that the classifier can.
    """
    is_softmax = parts.gate.trained.is_linear and parts.gate.trained.sees_rows
    likelihood = parts.likelihood.fitting(in_sample=True, linear=True)
    experts = parts.solver.experts(
        data.columns,
        likelihood.expert_target(data.y),
        data.weight,
        len(parts.names),
        penalty=SURROGATE_PENALTY,
        prior=True,
        exposure=data.exposure,
    )
    if is_softmax:
        gate = SoftmaxGate(warm_start=True, max_iter=1)
    else:
        gate = ConstantGate()
    likelihood = likelihood.start(data.y, data.weight, len(parts.names))
    columns = replace(data, X=None, Z=data.columns)  # short runs in other processes need no more
    settings = {"Z": data.columns, "top_k": top_k}
    if parts.classes is not None:
        return GeneralProblem(experts, gate, likelihood, columns, **settings)
    problem = make_problem(experts, gate, likelihood, columns, in_sample=True, **settings)
    # Other trainers start from where plain EM leads, not from an accelerated optimum.
    problem.accelerates = gate.keeps_curvature = False
    return problem
