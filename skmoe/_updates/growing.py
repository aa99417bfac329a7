"""Experts that come and go: from one model and some rows to another model."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .._data import Rows, TrainingData
from .._em.fixed import gate_problem
from .._em.general import GeneralProblem
from .._em.loop import run_em
from .._em.parts import step_by_step
from .._em.problem import INNER_STEPS, shallow_copy
from .._experts.fitting import join_last, split_last
from .._model import Model
from .._routing import keep_best, posterior
from .._tables.mixed import describe_columns, is_table
from ..exceptions import ExpertCollapseWarning, IgnoredWeightsWarning
from ..gates import BaseGate, ClassifierGate, ConstantGate, SoftmaxGate, TreeGate
from ..gates._base import shares
from .stream import log_densities_of, stack_rows, stream_of

REFITS = 5  # M-steps of a new expert, each with working weights or targets of the last
GENERATED_ROWS = 2000  # that stand for all old rows, where the gate can generate them


@dataclass
class Update:
    """What a change of a model made."""

    model: Model  # the new one
    load: np.ndarray  # (n_experts,): mean gate probabilities
    n_fits: int = 0  # fits of single experts that it took
    warnings: list = field(default_factory=list)  # list of (str, type): messages and their classes
    new_stream: object = None  # a new expert, to go on with batches
    beside: Model | None = None  # what predictions average over as well


# Adding -------------------------------------------------------------------------------------


def generate_rows(model, X, seed):
    """Rows and targets drawn from the gate and the model, of the kind that X is."""
    random_state = np.random.RandomState(seed)
    drawn, _ = model.gate.sample(GENERATED_ROWS, random_state)
    if is_table(X):
        drawn = type(X)(drawn, columns=X.columns)
    return Rows(drawn, model.draw(drawn, random_state), np.ones(GENERATED_ROWS))


def joined(new, old):
    """New Rows and then old ones, which may be None."""
    if old is None:
        return new
    pairs = (new.y, old.y), (new.weight, old.weight)
    return Rows(stack_rows(new.X, old.X), *map(np.concatenate, pairs))


def grow(
    model, rows, old, parts, splitting, settings, seed, *, report_weights, beside=None
):  # fmt: skip
    """Add an expert for new rows, with a new decision between it and the old model.

    ``old`` are rows that stand for those the model was trained on, or None. ``parts`` has the old
    mixture, frozen, and the new expert, the last; its gate is the old one. ``report_weights`` asks
    to say that an expert takes no weights: those of old rows alone matter little to an expert that
    gets next to none of them. ``beside`` is a Model that the old mixture averages over as well.
    """
    new_weight = rows.weight.sum()
    n_new, rows = len(rows.y), joined(rows, old)
    is_new = np.arange(len(rows.y)) < n_new
    encoder, last = parts.gate.encoder, parts.gate.given
    data = TrainingData.of(rows, rows.X if encoder is None else encoder.transform(rows.X))
    # Between the old mixture and the new expert decides a gate like the last one, if it can be; a
    # softmax gate wherever Z are numbers, and one of proportions where none was seen.
    last = last.for_decision() if isinstance(last, BaseGate) else last
    gate = last if isinstance(last, BaseGate) else ClassifierGate(clone(last))
    if not gate.is_linear and not any(describe_columns(data.Z)):
        gate = SoftmaxGate()
    folds = splitting.folds(parts.templates, rows)
    of_new_rows = replace(data, weight=rows.weight * is_new)
    experts = _experts_beside(parts, of_new_rows, folds, settings, seed, report_weights)
    likelihood = parts.likelihood.fitting(in_sample=folds is None, linear=False)
    problem = Addition(
        experts,
        step_by_step(clone(gate)),
        likelihood.start(rows.y, rows.weight, 2),
        data,
        n_inner=1 if folds is None else INNER_STEPS,
        is_new=is_new,
    )
    problem.row_scale = _common_row_scale(model, rows.X)
    with experts.side_by_side(settings.n_jobs):
        caught = _run_em(problem, settings, folds)
        _, fitted = experts.finish(problem.resp, *problem.working_data)
    name, n_rows = parts.names[1], problem.weight @ problem.resp[:, 1]
    if n_rows < min(experts.minimum_rows, 0.1 * new_weight):
        message = (
            f"The expert {name!r} ended with next to no rows ({n_rows:.3g} by weight): the old "
            "mixture accounts for the new rows as well."
        )
        caught.append((message, ExpertCollapseWarning))
    decision = problem.gate.set_params(**gate.get_params(deep=False))
    new = name, fitted, decision, problem.likelihood
    grown = _grown(model, parts, *new)
    load = mean_load(grown, rows)
    least = settings.least_responsibility(folds, 2)
    of_new = stream_of(parts, 1, problem.resp, of_new_rows, fitted, least)
    if decision.learns_batches:
        decision.begin_stream(data.Z, problem.resp, problem.weight)
    if beside is not None:
        beside = _grown(beside, parts, *new)
    return Update(grown, load, experts.n_fits, caught, of_new, beside)


def _grown(model, parts, name, fitted, decision, likelihood):
    """A model with a decision between it and a new expert, the second of the likelihood."""
    within = None if len(model.experts) == 1 else split_last(model.gate)[1]
    return replace(
        model,
        names=[*model.names, name],
        experts=[*model.experts, fitted],
        gate=parts.gate.behind(_tree_of(decision, [within, None])),
        likelihood=model.likelihood.extended(likelihood, 1),
    )


class Addition(GeneralProblem):
    """An old mixture and a new expert, to which replayed rows never belong.

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

    def posterior(self, log_gate, log_density, *args):
        log_density = log_density.copy()
        log_density[~self.is_new, 1] = -np.inf
        return super().posterior(log_gate, log_density, *args)


# Removing and replacing ---------------------------------------------------------------------


def shrink(model, k, load, beside=None):
    """Remove an expert; the gate shares what was its among the others in their old proportions.

    ``beside`` is a Model that predictions average over as well, of one expert and those added
    later. It loses the same of these; without another expert there is no average.
    """
    keep = np.delete(np.arange(len(load)), k)
    _, last = split_last(model.gate)
    last = shallow_copy(last)
    last.reorder(keep)
    gate = join_last(model.gate, last.simplified())
    n_beside = 0 if beside is None else len(beside.experts)
    its_k = k - len(load) + n_beside
    beside = shrink(beside, its_k, np.ones(n_beside)).model if its_k > 0 else None
    return Update(_without(model, keep, gate), shares(load[keep]), beside=beside)


def remove_and_retrain(model, k, rows, gate, splitting, settings):
    """Remove an expert, and train a new gate around the others.

    ``rows`` are of all regimes; ``gate`` is unfitted, after fitted transformers; ``splitting``
    makes folds for one that can memorise rows.
    """
    keep = np.delete(np.arange(len(model.experts)), k)
    log_gate, log_density = log_densities_of(model, rows.X, rows.y)
    trained, caught = train_gate(
        model, rows, log_gate[:, keep], log_density[:, keep], gate, splitting, settings
    )
    smaller = _without(model, keep, trained)
    return Update(smaller, mean_load(smaller, rows), warnings=caught)


def _without(model, keep, gate):
    likelihood = shallow_copy(model.likelihood)
    likelihood.reorder(keep)
    return replace(
        model,
        names=[model.names[j] for j in keep],
        experts=[model.experts[j] for j in keep],
        gate=gate,
        likelihood=likelihood,
    )


def exchange(model, k, rows, parts, splitting, settings, seed, *, report_weights):
    """Put another expert in the place of one, and train a new gate around all.

    ``rows`` are of all regimes; ``parts`` has all experts, frozen but for the new one, and an
    unfitted gate after fitted transformers. Everything else is as for ``grow``.
    """
    log_gate, log_density = log_densities_of(model, rows.X, rows.y)
    resp, _ = posterior(log_gate, keep_best(log_gate, log_density, model.top_k))
    folds = splitting.folds(parts.templates, rows)
    experts = _experts_beside(
        parts, TrainingData.of(rows, None), folds, settings, seed, report_weights
    )
    likelihood = parts.likelihood.fitting(in_sample=folds is None, linear=False)
    likelihood = likelihood.start(rows.y, rows.weight, len(parts.names))
    arguments, working = likelihood.row_arguments(_common_row_scale(model, rows.X)), ()
    with experts.side_by_side(settings.n_jobs):
        # Whatever the old expert was, from the second time on the new one has rows of its own.
        for _ in range(REFITS):
            experts.fit(resp, *working)
            weights = resp * rows.weight[:, None]
            likelihood.update(rows.y, experts.predictions, weights, **arguments)
            working = likelihood.working_data(rows.y, experts.predictions)
            of_new = likelihood.log_density(rows.y, experts.predictions, **arguments)
            log_density[:, k] = experts.with_own(of_new)[:, k]
            resp, _ = posterior(log_gate, keep_best(log_gate, log_density, model.top_k))
        fitted = experts.finish(resp, *working)[k]
    order = np.arange(len(parts.names))
    order[k] = len(parts.names)
    extended = model.likelihood.extended(likelihood, k)
    extended.reorder(order)
    gate, caught = train_gate(model, rows, log_gate, log_density, parts.gate, splitting, settings)
    changed = replace(
        model,
        experts=[fitted if j == k else expert for j, expert in enumerate(model.experts)],
        gate=gate,
        likelihood=extended,
    )
    return Update(changed, mean_load(changed, rows), experts.n_fits, caught)


def train_gate(model, rows, log_gate, log_density, gate, splitting, settings):
    """A new gate around experts of fixed densities, which starts from where the old one is.

    ``model`` is the old one, for its ``top_k``; ``gate`` is unfitted, after fitted transformers;
    ``splitting`` makes folds for one that can memorise rows. Returns the fitted gate and the
    warnings that were caught, (str, type).
    """
    n_experts = log_gate.shape[1]
    if n_experts == 1:
        return ConstantGate().fit(rows.X, np.ones((len(rows.y), 1))), []
    log_density = np.ascontiguousarray(log_density)
    resp, _ = posterior(log_gate, keep_best(log_gate, log_density, model.top_k))
    Z = rows.X if gate.encoder is None else gate.encoder.transform(rows.X)
    trained = gate.trained.for_number(n_experts)
    problem = gate_problem(
        log_density,
        trained,
        TrainingData.of(rows, Z),
        gate_folds=splitting.gate_folds("prefit", rows, can_memorise=gate.can_memorise),
        top_k=settings.active_top_k(n_experts),
    )
    caught = _run_em(problem.start(resp), settings, "prefit")
    last = problem.finished_gate(gate.given).for_number(n_experts)
    return gate.behind(last), caught


# For all three -------------------------------------------------------------------------------


def _common_row_scale(model, X):
    """Factors of the scales of all experts, a new one included; None where there are none."""
    return None if model.likelihood.averages_experts else model.row_scale(X)


def _experts_beside(parts, data, folds, settings, seed, report_weights):
    with warnings.catch_warnings():
        if not report_weights:
            warnings.simplefilter("ignore", IgnoredWeightsWarning)
        return parts.make_estimators(data, folds, settings, seed)


def _run_em(problem, settings, folds):
    """Run EM; returns warnings."""
    n_experts = problem.resp.shape[1]
    run = run_em(
        problem,
        max_iter=settings.most_iterations(folds, n_experts, problem.likelihood),
        tol=settings.tol,
        patience=settings.patience(folds, problem.gate),
    )
    message = settings.not_converged(run, folds)
    return [] if message is None else [(message, ConvergenceWarning)]


def mean_load(model, rows):
    """Mean gate probability of each expert, (n_experts,)."""
    routes = model.routes(rows.X)
    return rows.weight @ routes.dense(routes.weights) / rows.weight.sum()


def _tree_of(decision, branches):
    """A TreeGate of a gate over branches and of gates within them, or None, fitted already."""
    sizes = [1 if branch is None else len(branch.classes_) for branch in branches]
    tree = TreeGate(sizes, clone(decision))
    names = {"n_features_in_", "feature_names_in_"} & vars(decision).keys()
    vars(tree).update({name: vars(decision)[name] for name in names})
    tree.decision_, tree.branches_ = decision, list(branches)
    tree.classes_ = tree._columns = np.arange(sum(sizes))
    return tree
