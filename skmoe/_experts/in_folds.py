"""Experts that go on in each fold from what they found on all rows: mixtures, and kernels."""

import copy

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .._tables.encoding import DateNumbers
from .fitting import join_last, split_last
from .smooth import SmoothRegressor
from .solvers import has_experts
from .traits import is_frozen

BLIND = (SimpleImputer, StandardScaler, OneHotEncoder, DateNumbers, str)  # to the target


def can_begin_on_all_rows(estimator):
    """Whether it is one of these, behind nothing that has looked at the target."""
    before, last = split_last(estimator)
    if not (before is None or _is_blind(before)):
        return False
    if isinstance(last, SmoothRegressor):
        return True
    if is_frozen(last) or not has_experts(last):
        return False
    return last.training != "stack" and not isinstance(last.experts, str)


def _is_blind(step):
    if isinstance(step, Pipeline):
        return all(_is_blind(each) for _, each in step.steps)
    if isinstance(step, ColumnTransformer):
        return all(_is_blind(each) for _, each, _ in step.transformers)
    return isinstance(step, BLIND)


def is_mixture(estimator):
    """Whether it is a mixture, behind whatever steps."""
    return has_experts(split_last(estimator)[1])


def as_one_of_several(model, to_beat):
    """Have the next fit of a mixture seek no regimes, nor long where others are far ahead."""
    if is_mixture(model):
        last = split_last(model)[1]
        last._finds_regimes, last._to_beat = False, to_beat


def as_alone(model):
    """Have a mixture, which was one of several, seek as one of its own when it is fitted again."""
    for name in ("_finds_regimes", "_to_beat"):
        vars(split_last(model)[1]).pop(name, None)


def forgets_rows(model):
    """Whether folds may go on from it; responsibilities of EM keep what held-out rows said."""
    last = split_last(model)[1]
    if isinstance(last, SmoothRegressor):
        return last.holds_kernel_in_folds
    return last.likelihood_.averages_experts


def in_fold(model):
    """A copy of one that was fitted to all rows, whose next fit goes on from there."""
    last = copy.copy(split_last(model)[1])
    if has_experts(last):
        last.set_params(warm_start=True)
    last._in_fold = True
    return join_last(model, last)
