"""Experts that come and go: from one model and some rows to another model."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .._data import Rows, TrainingData
from .._em.general import GeneralProblem
from .._em.loop import run_em
from .._em.parts import step_by_step
from .._em.problem import INNER_STEPS, shallow_copy
from .._experts.fitting import join_last, split_last
from .._model import Model
from .._tables.mixed import describe_columns, is_table
from ..exceptions import ExpertCollapseWarning, IgnoredWeightsWarning
from ..gates import BaseGate, ClassifierGate, SoftmaxGate, TreeGate
from ..gates._base import shares
from .stream import Stream, stack_rows, stream_of_expert

GENERATED_ROWS = 2000  # that stand for all old rows, where the gate can generate them


@dataclass
class Update:
    """What a change of a model made."""

    model: Model  # the new one
    load: np.ndarray  # (n_experts,): mean gate probabilities
    n_fits: int = 0  # fits of single experts that it took
    warnings: list = field(default_factory=list)  # list of (str, type): messages and their classes
    beside: Model | None = None  # what predictions average over as well
    stream: Stream | None = None  # what ``partial_fit`` goes on from, if it can


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
    model, rows, old, parts, splitting, settings, seed, *, report_weights, beside=None, stream=None
):
    """Add an expert for new rows, with a new decision between it and the old model.

    ``old`` are rows that stand for those the model was trained on, or None. ``parts`` has the old
    mixture, frozen, and the new expert, the last; its gate is the old one. ``report_weights`` asks
    to say that an expert takes no weights: those of old rows alone matter little to an expert that
    gets next to none of them. ``beside`` is a Model that the old mixture averages over as well, and
    ``stream`` what ``partial_fit`` would go on from.
    """
    new_weight = rows.weight.sum()
    n_new = len(rows.y)
    rows = joined(rows, old)
    is_new = np.arange(len(rows.y)) < n_new
    encoder = parts.gate.encoder
    last = parts.gate.given
    data = TrainingData.of(rows, rows.X if encoder is None else encoder.transform(rows.X))
    # Between the old mixture and the new expert decides a gate like the last one, if it can be; a
    # softmax gate wherever Z are numbers, and one of proportions where none was seen.
    if isinstance(last, BaseGate):
        last = last.for_decision()
    if isinstance(last, BaseGate):
        gate = last
    else:
        gate = ClassifierGate(clone(last))
    if not gate.is_linear and not any(describe_columns(data.Z)):
        gate = SoftmaxGate()
    folds = splitting.folds(parts.templates, rows)
    of_new_rows = replace(data, weight=rows.weight * is_new)
    with warnings.catch_warnings():
        if not report_weights:
            warnings.simplefilter("ignore", IgnoredWeightsWarning)
        experts = parts.make_estimators(of_new_rows, folds, settings, seed)
    likelihood = parts.likelihood.fitting(in_sample=folds is None, linear=False)
    problem = Addition(
        experts,
        step_by_step(clone(gate)),
        likelihood.start(rows.y, rows.weight, 2),
        data,
        n_inner=1 if folds is None else INNER_STEPS,
        is_new=is_new,
    )
    if model.likelihood.averages_experts:
        problem.row_scale = None
    else:
        problem.row_scale = model.row_scale(rows.X)
    with experts.side_by_side(settings.n_jobs):
        caught = _run_em(problem, settings, folds)
        _, fitted = experts.finish(problem.resp, *problem.working_data)
    name = parts.names[1]
    n_rows = problem.weight @ problem.resp[:, 1]
    if n_rows < min(experts.minimum_rows, 0.1 * new_weight):
        message = (
            f"The expert {name!r} ended with next to no rows ({n_rows:.3g} by weight): the old "
            "mixture accounts for the new rows as well."
        )
        caught.append((message, ExpertCollapseWarning))
    new = name, fitted, problem.gate.set_params(**gate.get_params(deep=False)), problem.likelihood
    grown = _grown(model, parts, *new)
    routes = grown.routes(rows.X)
    load = rows.weight @ routes.dense(routes.weights) / rows.weight.sum()
    if beside is not None:
        beside = _grown(beside, parts, *new)
    stream = _stream_after(stream, problem, parts, fitted, new_weight)
    return Update(grown, load, experts.n_fits, caught, beside, stream)


def _stream_after(stream, problem, parts, fitted, new_weight):
    """What ``partial_fit`` goes on from; None where the new expert or the decision cannot."""
    if stream is None or not problem.gate.learns_batches:
        return None
    share = problem.experts.min_responsibility
    experts = stream_of_expert(parts, fitted, share, problem.data, problem.resp[:, 1:])
    if experts is None:
        return None
    problem.begin_gate_stream(problem.gate, [0, 1])
    return stream.extended(experts, float(new_weight))


def _grown(model, parts, name, fitted, decision, likelihood):
    """A model with a decision between it and a new expert, the second of the likelihood."""
    if len(model.experts) == 1:
        within = None
    else:
        within = split_last(model.gate)[1]
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


# Removing ---------------------------------------------------------------------------------


def shrink(model, k, load, beside=None, stream=None):
    """Remove an expert; the gate shares what was its among the others in their old proportions.

    ``beside`` is a Model that predictions average over as well, of one expert and those added
    later. It loses the same of these; without another expert there is no average.
    """
    keep = np.delete(np.arange(len(load)), k)
    _, last = split_last(model.gate)
    last = shallow_copy(last)
    last.reorder(keep)
    gate = join_last(model.gate, last.simplified())
    if beside is None:
        n_beside = 0
    else:
        n_beside = len(beside.experts)
    its_k = k - len(load) + n_beside
    if its_k > 0:
        beside = shrink(beside, its_k, np.ones(n_beside)).model
    else:
        beside = None
    likelihood = shallow_copy(model.likelihood)
    likelihood.reorder(keep)
    names, experts = ([each[j] for j in keep] for each in (model.names, model.experts))
    model = replace(model, names=names, experts=experts, gate=gate, likelihood=likelihood)
    if stream is not None:
        stream = stream.select(keep)
    return Update(model, shares(load[keep]), beside=beside, stream=stream)


# For both ------------------------------------------------------------------------------------


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
    if message is None:
        return []
    return [(message, ConvergenceWarning)]


def _tree_of(decision, branches):
    """A TreeGate of a gate over branches and of gates within them, or None, fitted already."""
    sizes = [1 if branch is None else len(branch.classes_) for branch in branches]
    tree = TreeGate(sizes, clone(decision))
    names = {"n_features_in_", "feature_names_in_"} & vars(decision).keys()
    vars(tree).update({name: vars(decision)[name] for name in names})
    tree.decision_ = decision
    tree.branches_ = list(branches)
    tree.classes_ = tree._columns = np.arange(sum(sizes))
    return tree
