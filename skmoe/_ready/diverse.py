"""Unlike experts for ``experts="diverse"``, with parameters for small tables; fits of lists."""

import copy
from functools import partial

import numpy as np
from sklearn import ensemble
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .._experts.fit_task import FitTask, RowsOfExpert
from .._experts.fitting import LINES, PROCESS_ROWS, is_frozen, join_last, split_last
from .._experts.solvers import has_experts
from .._tables.encoding import DateNumbers
from .density_forest import DensityForestRegressor, out_of_bag
from .smooth import SmoothRegressor

RIDGE_PENALTIES = tuple(np.logspace(-3, 3, 13).tolist())
NET_ROWS = 2_000  # of fewer, random trees predict as well as a net, in less time
LARGE_TREE_ROWS = 6_000  # from which on larger trees predict better
EM_ROWS, ROWS_PER_COEFFICIENT = 10_000, 100  # from which on EM is not begun anew in each fold
NET = {"early_stopping": True, "hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005}
# Many trees of few columns each: they gain much where there is little noise, and where there is
# much the other experts get the weight.
BOOSTING = {"max_iter": 200, "max_features": 0.5, "min_samples_leaf": 5, "early_stopping": False}
BLIND = (SimpleImputer, StandardScaler, OneHotEncoder, DateNumbers, str)  # to the target


class ScaledTarget(TransformedTargetRegressor):
    """A regressor of the standardised target, whose ``fit`` takes weights."""

    def fit(self, X, y, sample_weight=None):
        """Fit; see TransformedTargetRegressor."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return super().fit(X, y, **weights)


def diverse_experts(classifies, y=None, sample_weight=None, lines=None):
    """Named estimators, unfitted, that take numbers, missing ones too.

    ``lines`` is the default mixture, which is one of them where there is one output; None is none.
    ``y`` and ``sample_weight`` are as ``fit`` was given them; None is few rows. With few rows, of
    equal weight, there is a Gaussian process among classifiers, which takes no weights.
    """
    shape = np.shape(y)
    n_rows, several_outputs = shape[0] if shape else 0, len(shape) > 1 and shape[1] > 1
    if not classifies:
        has_lines = lines is not None and not several_outputs
        beside = [(LINES, make_pipeline(_imputer_of_list(), lines))] if has_lines else []
        return _regressors(n_rows, several_outputs) + beside
    experts = _classifiers()
    equal = sample_weight is None or np.ptp(np.asarray(sample_weight, dtype=float)) == 0
    if n_rows < PROCESS_ROWS and equal:
        # Imported where they are needed: it takes long.
        from sklearn.gaussian_process import GaussianProcessClassifier
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        process = GaussianProcessClassifier(ConstantKernel() * RBF())
        experts.append(("process", _behind_scaler(process)))
    return experts


def _regressors(n_rows, several_outputs):
    is_small = n_rows < NET_ROWS
    leaves = {"max_leaf_nodes": 15 if is_small else 31 if n_rows < LARGE_TREE_ROWS else 63}
    boosting = ensemble.HistGradientBoostingRegressor(**BOOSTING | leaves)
    density = DensityForestRegressor(max_features=1.0 if is_small else "best")
    # With many rows steps are of more of them, and an epoch without gain says more.
    patience = int(np.clip(200_000 // max(n_rows, 1), 3, 10))
    steps = {"batch_size": max(128, n_rows // 160), "n_iter_no_change": patience}
    net = ScaledTarget(MLPRegressor(max_iter=500, **NET | steps), transformer=StandardScaler())
    trees = make_pipeline(_imputer_of_list(), ensemble.ExtraTreesRegressor(50))
    return [
        ("ridge", _behind_scaler(RidgeCV(RIDGE_PENALTIES))),
        ("boosting", MultiOutputRegressor(boosting) if several_outputs else boosting),
        ("forest", ensemble.RandomForestRegressor() if several_outputs else density),
        ("trees", trees) if is_small else ("net", _behind_scaler(net)),
        ("process", _behind_scaler(SmoothRegressor())),
    ]


def _classifiers():
    return [
        ("logistic", _behind_scaler(LogisticRegression(max_iter=1000))),
        ("boosting", ensemble.HistGradientBoostingClassifier()),
        ("forest", ensemble.RandomForestClassifier()),
        # A penalty keeps it from fitting the noise of classes.
        ("net", _behind_scaler(MLPClassifier(alpha=1.0, max_iter=2000))),
    ]


def _behind_scaler(estimator):
    return make_pipeline(_imputer_of_list(), StandardScaler(), estimator)


def _imputer_of_list():
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


# Fits of a list ---------------------------------------------------------------------------------


def fit_of_list(experts, resp, by_row):
    """Fit unlike experts in training, in folds; some go on from fits to all rows, mixtures last.

    Forests are predicted out of bag where ``by_row``: folds leave out single rows, as bags do.
    """
    begun = [k for k, each in enumerate(experts.estimators) if can_begin_on_all_rows(each, by_row)]
    if not begun:
        return experts.fit(resp)
    plan = experts.plan(resp)
    last = [k for k in begun if has_experts(split_last(experts.estimators[k])[1])]
    _begin_on_all_rows(experts, resp, [k for k in begun if k not in last])
    forests = [k for k in experts.of_all_rows if is_density_forest(experts.estimators[k])]
    bagged = {k: FrozenEstimator(_out_of_bag(experts, k)) for k in forests}
    estimators = [bagged.get(k, each) for k, each in enumerate(experts.estimators)]
    everything = np.arange(len(experts.y))
    tasks = [FitTask(k, 0, RowsOfExpert(everything[:0]), None, everything) for k in forests]
    experts.n_fits -= sum(task.k in forests for task in plan.tasks)
    tasks += [task for task in plan.tasks if task.k not in last + forests]
    done = list(experts.run(tasks, estimators))
    to_beat = _best_log_density(experts, tasks, done)
    _begin_on_all_rows(experts, resp, last, partial(as_one_of_several, to_beat=to_beat))
    of_last = [task for task in plan.tasks if task.k in last]
    done += experts.run(of_last)
    experts.take(plan._replace(tasks=tasks + of_last), done)
    for model in experts.of_all_rows.values():
        # Fitted again, a mixture seeks as one of its own.
        vars(split_last(model)[1]).pop("_in_stack", None)


def _out_of_bag(experts, k):
    """The forest that was fitted to all rows, as it predicts them out of bag."""
    head, last = split_last(experts.of_all_rows[k])
    rows = np.flatnonzero(experts.weight > 0)
    weight = experts.weight[rows] if experts.weighted[k] else np.ones(len(rows))
    X = experts.X if head is None else head.transform(experts.X)
    return join_last(experts.of_all_rows[k], out_of_bag(last, X, experts.y[rows], rows, weight))


def _begin_on_all_rows(experts, resp, numbers, prepare=None):
    """Fit some to all rows: folds go on from those that forget rows, others fit anew."""
    models = experts.fit_to_all(numbers, resp, resp, prepare=prepare)
    found = dict(zip(numbers, models, strict=True))
    experts.of_all_rows |= found
    experts.going_on |= {
        k: in_fold(each) for k, each in found.items() if forgets_rows(each, len(experts.y))
    }


def _best_log_density(experts, tasks, done):
    """Best out-of-fold log-density of regressors, with errors of one normal distribution."""
    y, weight = experts.y, experts.weight
    if experts.classes is not None or y.ndim > 1 or experts.target is not None:
        return -np.inf
    results = experts.by_expert(tasks, done).values()
    least = min((weight @ (y - each.predictions) ** 2 for each in results), default=np.inf)
    least = max(least / weight.sum(), np.finfo(float).tiny)
    return -0.5 * float(np.log(2 * np.pi * np.e * least))


# Experts that go on in each fold from what they found on all rows: mixtures, and kernels ---------


def can_begin_on_all_rows(estimator, by_row):
    """Whether it is one of these, after transformers that have not used the target.

    Or a forest where folds are ``by_row``.
    """
    before, last = split_last(estimator)
    if not (before is None or _is_blind(before)):
        return False
    if isinstance(last, SmoothRegressor) or (by_row and is_density_forest(last)):
        return True
    if is_frozen(last) or not has_experts(last):
        return False
    return last.training != "stack" and not isinstance(last.experts, str)


def _is_blind(step):
    if isinstance(step, Pipeline | ColumnTransformer):
        steps = step.steps if isinstance(step, Pipeline) else step.transformers
        return all(_is_blind(each) for _, each, *_ in steps)
    return isinstance(step, BLIND)


def is_density_forest(estimator):
    """Whether it is a forest with a density, after any steps."""
    return isinstance(split_last(estimator)[1], DensityForestRegressor)


def as_one_of_several(model, to_beat):
    """Have the next fit of a mixture seek no regimes, nor long where others are far ahead."""
    split_last(model)[1]._in_stack = {"finds_regimes": False, "to_beat": to_beat}


def forgets_rows(model, n_rows):
    """Whether folds may go on from it; responsibilities of EM retain held-out targets.

    With so many rows for each coefficient that is negligible.
    """
    last = split_last(model)[1]
    if isinstance(last, SmoothRegressor):
        return last.holds_kernel_in_folds
    if is_density_forest(last):
        return False
    least = max(EM_ROWS, ROWS_PER_COEFFICIENT * len(last.experts_) * last.n_features_in_)
    return last.likelihood_.averages_experts or (last.experts is None and n_rows >= least)


def in_fold(model):
    """A copy of one that was fitted to all rows, whose next fit goes on from there."""
    last = copy.copy(split_last(model)[1])
    if has_experts(last):
        last.set_params(warm_start=True)
    last._in_stack = last._in_stack | {"in_fold": True}
    return join_last(model, last)
