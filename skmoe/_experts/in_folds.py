"""Mixtures that are experts, and go on in each fold from what they found on all rows."""

import copy

from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from .fitting import join_last, split_last
from .solvers import has_experts
from .traits import is_frozen


def can_begin_on_all_rows(estimator):
    """Whether it is a mixture, behind nothing that has looked at the target."""
    if isinstance(estimator, Pipeline):
        if not all(isinstance(step, SimpleImputer) for _, step in estimator.steps[:-1]):
            return False
    last = split_last(estimator)[1]
    if is_frozen(last) or not has_experts(last):
        return False
    return last.training != "stack" and not isinstance(last.experts, str)


def without_regimes(model):
    """Have the next fit of a mixture seek none, as those in folds do."""
    split_last(model)[1]._finds_regimes = False


def forgets_rows(model):
    """Whether folds may go on from it; responsibilities of EM keep what held-out rows said."""
    last = split_last(model)[1]
    return has_experts(last) and last.likelihood_.averages_experts


def in_fold(model):
    """A copy of one that was fitted to all rows, whose next fit goes on from there."""
    last = copy.copy(split_last(model)[1]).set_params(warm_start=True)
    last._in_fold = True
    return join_last(model, last)
