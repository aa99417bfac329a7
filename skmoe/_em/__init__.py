"""Training: problems, the loop that drives them, starts, and the trainer."""

from .general import GeneralProblem
from .one_pass import OnePassProblem
from .problem import INNER_STEPS


def make_problem(
    experts, gate, likelihood, data, *, in_sample, gate_folds=None, load_prior=None, top_k=None,
    Z=None,
):  # fmt: skip
    """The first kind of problem that covers the parts; see ``Problem`` for these.

    ``gate_folds`` are None where the gate sees all rows; ``in_sample`` says whether predictions are
    made for rows that the experts saw.
    """
    settings = {"load_prior": load_prior, "top_k": top_k}
    if OnePassProblem.covers(experts, gate, likelihood, data, **settings):  # quicker
        return OnePassProblem(experts, gate, likelihood, data, **settings)
    n_inner = 1 if in_sample else INNER_STEPS
    settings |= {"n_inner": n_inner, "gate_folds": gate_folds, "Z": Z}
    return GeneralProblem(experts, gate, likelihood, data, **settings)
