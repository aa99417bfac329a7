"""Unlike experts for ``experts="diverse"``, with parameters for small tables; fits of lists."""

import copy
from functools import partial
from itertools import pairwise

import numpy as np
from sklearn import ensemble
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import check_random_state, gen_batches

from .._experts.fit_task import FitTask, RowsOfExpert
from .._experts.fitting import LINES, PROCESS_ROWS, is_frozen, join_last, split_last
from .._experts.solvers import has_experts
from .._tables.encoding import DateNumbers
from .density_forest import DensityForestRegressor, out_of_bag
from .smooth import SmoothRegressor, held_out

RIDGE_PENALTIES = tuple(np.logspace(-3, 3, 13).tolist())
NET_ROWS = 2_000  # of fewer, random trees predict as well as a net, in less time
LARGE_TREE_ROWS = 6_000  # from which on larger trees predict better
EM_ROWS = 10_000
ROWS_PER_COEFFICIENT = 100  # from which on EM is not begun anew in each fold
NET = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005}
# Many trees of few columns each: they gain much where there is little noise, and where there is
# much the other experts get the weight.
BOOSTING = {"max_iter": 200, "max_features": 0.5, "min_samples_leaf": 5, "early_stopping": False}
BLIND = (SimpleImputer, StandardScaler, OneHotEncoder, DateNumbers, str)  # to the target


def diverse_experts(classifies, y=None, sample_weight=None, lines=None):
    """Named estimators, unfitted, that take numbers, missing ones too.

    ``lines`` is the default mixture, which is one of them where there is one output; None is none.
    ``y`` and ``sample_weight`` are as ``fit`` was given them; None is few rows. With few rows, of
    equal weight, there is a Gaussian process among classifiers, which takes no weights.
    """
    shape = np.shape(y)
    n_rows = shape[0] if shape else 0
    several_outputs = len(shape) > 1 and shape[1] > 1
    if not classifies:
        has_lines = lines is not None and not several_outputs
        if has_lines:
            beside = [(LINES, make_pipeline(_imputer_of_list(), lines))]
        else:
            beside = []
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
    own = DensityForestRegressor(min_samples_leaf="best", max_features=1.0 if is_small else "best")
    # With many rows steps are of more of them, and an epoch without gain says more.
    steps = {"batch_size": max(128, n_rows // 160), "n_iter_no_change": 8 if n_rows < 40_000 else 5}
    trees = make_pipeline(_imputer_of_list(), ensemble.ExtraTreesRegressor(30))
    return [
        ("ridge", _behind_scaler(RidgeCV(RIDGE_PENALTIES))),
        ("boosting", MultiOutputRegressor(boosting) if several_outputs else boosting),
        ("forest", ensemble.RandomForestRegressor() if several_outputs else own),
        ("trees", trees) if is_small else ("net", _behind_scaler(NetRegressor(**NET | steps))),
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


class NetRegressor(MLPRegressor):
    """MLPRegressor of the standardised target, stopped early, in a third of the time."""

    # It is without penalty, in single precision: a step (Adam) is one for all coefficients at once.

    def fit(self, X, y, sample_weight=None):
        """Train on nine tenths of the rows until the others gain no more."""
        rng = check_random_state(self.random_state)
        y = np.reshape(y, (len(y), -1))
        if sample_weight is None:
            weight = np.ones(len(y))
        else:
            weight = np.asarray(sample_weight)
        weight = np.float32(weight / weight.max())
        rows = rng.permutation(np.flatnonzero(weight))
        scaler = StandardScaler().fit(y[rows], sample_weight=weight[rows])
        table = [np.float32(each)[rows] for each in (X, scaler.transform(y), weight)]
        n_out = -(-len(rows) // 10)
        held_out = [each[:n_out] for each in table]
        given = [each[n_out:] for each in table]
        sizes = [X.shape[1], *self.hidden_layer_sizes, y.shape[1]]
        self.n_layers_ = len(sizes)
        self.n_outputs_ = y.shape[1]
        self.out_activation_ = "identity"
        layers = [rng.uniform(-1, 1, (a + 1, b)) * (6 / (a + b)) ** 0.5 for a, b in pairwise(sizes)]
        (coef, layers), (slope, slopes) = _as_one(layers), _as_one(layers)
        mean = 0 * coef
        square = 0 * coef
        best = layers
        least = np.inf
        in_vain = 0
        n_steps = 0
        while in_vain <= self.n_iter_no_change:
            order = rng.permutation(len(given[0]))
            shuffled = [each[order] for each in given]
            for batch in gen_batches(len(order), self.batch_size):
                _write_slopes(slopes, layers, *(each[batch] for each in shuffled))
                n_steps += 1
                mean += (1 - self.beta_1) * (slope - mean)
                square += (1 - self.beta_2) * (slope**2 - square)
                rate = (1 - self.beta_2**n_steps) ** 0.5 / (1 - self.beta_1**n_steps)
                coef -= self.learning_rate_init * rate * mean / (np.sqrt(square) + self.epsilon)
            error = _write_slopes(slopes, layers, *held_out)
            if error < least - self.tol:
                in_vain = 0
            else:
                in_vain = in_vain + 1
            if error < least:
                least = error
                best = [each.astype(np.float64) for each in layers]
        best[-1] *= scaler.scale_
        best[-1][-1] += scaler.mean_
        self.coefs_ = [each[:-1] for each in best]
        self.intercepts_ = [each[-1] for each in best]
        return self


def _as_one(layers):
    """Coefficients of all layers in one array, and those of each as views of it."""
    array = np.concatenate([each.ravel() for each in layers], dtype=np.float32)
    parts = np.split(array, np.cumsum([each.size for each in layers])[:-1])
    return array, [part.reshape(each.shape) for part, each in zip(parts, layers, strict=True)]


def _write_slopes(slopes, layers, X, y, weight):
    """Write derivatives of half the mean squared error, which is returned."""
    inputs = [X]
    for layer in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ layer[:-1] + layer[-1], 0.0))
    errors = inputs[-1] @ layers[-1][:-1] + layers[-1][-1] - y
    weighted = (weight / weight.sum())[:, None] * errors
    error = np.vdot(weighted, errors) / y.shape[1]
    errors = weighted
    for slope, layer, given in zip(slopes[::-1], layers[::-1], inputs[::-1], strict=True):
        np.dot(given.T, errors, out=slope[:-1])
        errors.sum(axis=0, out=slope[-1])
        errors = (errors @ layer[:-1].T) * (given > 0)
    return error


# Fits of a list ---------------------------------------------------------------------------------


def fit_of_list(experts, resp, by_row):
    """Fit unlike experts in training, in folds; some go on from fits to all rows, mixtures last."""
    # Processes hold their kernel in folds; forests are predicted out of bag where ``by_row``: folds
    # leave out single rows, as bags do.
    begun = [k for k, each in enumerate(experts.estimators) if can_begin_on_all_rows(each, by_row)]
    if not begun:
        return experts.fit(resp)
    plan = experts.plan(resp)
    last = [k for k in begun if has_experts(split_last(experts.estimators[k])[1])]
    found = experts.fit_to_all([k for k in begun if k not in last], resp, resp)
    known = {k: _unseen(experts, each, k) for k, each in found.items()}
    known = {k: FrozenEstimator(each) for k, each in known.items() if each is not None}
    estimators = [known.get(k, each) for k, each in enumerate(experts.estimators)]
    everything = np.arange(len(experts.y))
    tasks = [FitTask(k, 0, RowsOfExpert(everything[:0]), None, everything) for k in known]
    experts.n_fits -= sum(task.k in known for task in plan.tasks)
    tasks += [task for task in plan.tasks if task.k not in [*last, *known]]
    done = list(experts.run(tasks, estimators))
    prepare = partial(as_one_of_several, to_beat=_best_log_density(experts, tasks, done))
    mixtures = experts.fit_to_all(last, resp, resp, prepare=prepare)
    going = [k for k in last if forgets_rows(mixtures[k], len(experts.y))]
    experts.going_on = {k: in_fold(mixtures[k]) for k in going}
    experts.of_all_rows = found | mixtures
    tasks_of_last = [task for task in plan.tasks if task.k in last]
    done += experts.run(tasks_of_last)
    experts.take(plan._replace(tasks=tasks + tasks_of_last), done)
    for model in mixtures.values():
        # Fitted again, a mixture seeks as one of its own.
        vars(split_last(model)[1]).pop("_in_stack", None)


def _unseen(experts, model, k):
    """A forest, or process, that was fitted to all rows, as it predicts each when held out."""
    head, last = split_last(model)
    weight = experts.weight if experts.weighted[k] else 1.0 * (experts.weight > 0)
    y = experts.y
    if head is None:
        X = experts.X
    else:
        X = head.transform(experts.X)
    if isinstance(last, SmoothRegressor):
        last = held_out(last, X, y, weight, experts._splits)
        if last is None:
            return None
        return join_last(model, last)
    rows = np.flatnonzero(weight > 0)
    return join_last(model, out_of_bag(last, X, y[rows], rows, weight[rows]))


def _best_log_density(experts, tasks, done):
    """Best out-of-fold log-density of regressors, with errors of one normal distribution."""
    y = experts.y
    weight = experts.weight
    if experts.classes is not None or y.ndim > 1 or experts.target is not None:
        return -np.inf
    results = experts.by_expert(tasks, done).values()
    least = min((weight @ (y - each.predictions) ** 2 for each in results), default=np.inf)
    least = max(least / weight.sum(), np.finfo(float).tiny)
    return -0.5 * float(np.log(2 * np.pi * np.e * least))


# Experts that go on in each fold from what they found on all rows: mixtures ----------------------


def can_begin_on_all_rows(estimator, by_row):
    """Whether it is a mixture, process or (``by_row``) forest after steps blind to the target."""
    before, last = split_last(estimator)
    if not (before is None or _is_blind(before)):
        return False
    if isinstance(last, SmoothRegressor) or (by_row and isinstance(last, DensityForestRegressor)):
        return True
    if is_frozen(last) or not has_experts(last):
        return False
    return last.training != "stack" and not isinstance(last.experts, str)


def _is_blind(step):
    if isinstance(step, Pipeline | ColumnTransformer):
        if isinstance(step, Pipeline):
            steps = step.steps
        else:
            steps = step.transformers
        return all(_is_blind(each) for _, each, *_ in steps)
    return isinstance(step, BLIND)


def as_one_of_several(model, to_beat):
    """Have the next fit of a mixture seek no regimes, nor long where others are far ahead."""
    split_last(model)[1]._in_stack = {"finds_regimes": False, "to_beat": to_beat}


def forgets_rows(model, n_rows):
    """Whether folds may go on from it; responsibilities of EM retain held-out targets."""
    # With so many rows for each coefficient that is negligible.
    last = split_last(model)[1]
    least = max(EM_ROWS, ROWS_PER_COEFFICIENT * len(last.experts_) * last.n_features_in_)
    return last.likelihood_.averages_experts or (last.experts is None and n_rows >= least)


def in_fold(model):
    """A copy of one that was fitted to all rows, whose next fit goes on from there."""
    last = copy.copy(split_last(model)[1]).set_params(warm_start=True)
    last._in_stack = last._in_stack | {"in_fold": True}
    return join_last(model, last)
