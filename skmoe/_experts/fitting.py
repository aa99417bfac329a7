"""How responsibilities reach the ``fit`` and ``partial_fit`` of an estimator as weights."""

import copy
from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from .._compat import routing_enabled
from ..exceptions import warn_user

NEGLIGIBLE_SHARE = 1e-10  # in weights below it, what estimators compute is rounding error


def split_last(estimator):
    """Transformers of a Pipeline, or None, and its last step or what is no Pipeline."""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return (estimator[:-1] if len(estimator) > 1 else None), estimator.steps[-1][1]


def warn_of_quantiles(estimators):
    """Warn of experts that learn a quantile, of scikit-learn and boosting packages, by its name."""
    for each in estimators:
        params = split_last(each)[1].get_params(deep=False)
        loss = [str(params.get(name)) for name in ("loss", "objective", "loss_function")]
        if params.get("quantile") is not None or "quantile" in str(loss).lower():
            said = (
                f"{each} predicts a quantile, which the mixture takes for a mean: its predictions "
            )
            said += "and intervals are biased. Use a loss whose optimum is the mean; "
            warn_user(said + "predict(X, quantiles=[...]) gives quantiles.", UserWarning)
            break


def join_last(estimator, last):
    """``estimator`` with another last step, or that step where it is no Pipeline."""
    if not isinstance(estimator, Pipeline):
        return last
    return Pipeline([*estimator.steps[:-1], (estimator.steps[-1][0], last)])


def round_shares(shares):
    """Responsibilities on a grid of 2**-28: trees must not flip on the last bit of a weight.

    The grid is fine enough that a share on the border of two cells moves no smooth estimator by
    more than solvers' tolerances do.
    """
    return np.round(shares * 2.0**28) * 2.0**-28


def takes_sample_weight(estimator):
    """Whether ``fit`` takes ``sample_weight``; of a Pipeline, whether its last step's does.

    What passes weights on takes them if the regressor in it does.
    """
    last = split_last(estimator)[1]
    within = getattr(last, "regressor", None)
    takes = has_fit_parameter(last, "sample_weight")
    return takes and (within is None or takes_sample_weight(within))


def fit_weighted(estimator, X, y, weights):
    """Fit ``estimator`` in place with weights, which in a Pipeline go to the last step alone.

    They, or None, are the mixture's and not the user's metadata, so the estimator, a clone that
    belongs to the mixture, has its requests set here.
    """
    if weights is None:
        return estimator.fit(X, y)
    if isinstance(estimator, MultiOutputRegressor):
        inside = estimator.estimator
    else:
        inside = estimator
    if routing_enabled():
        _set_requests(estimator, True)
    elif isinstance(inside, Pipeline):
        return estimator.fit(X, y, **{f"{inside.steps[-1][0]}__sample_weight": weights})
    return estimator.fit(X, y, sample_weight=weights)


def supports_warm_start(estimator):
    """Whether each ``fit`` begins where the last ended: its ``warm_start``, as nets have it.

    Ensembles have a ``warm_start`` as well, but it adds members, and leaves those as they are that
    were fitted to other weights. What has ``partial_fit`` moves what it has learned.
    """
    last = split_last(estimator)[1]
    asked = last.get_params(deep=False).get("warm_start", False)
    return bool(asked) and (offers(type(last), "partial_fit"))


def fit_again(model, X, y, weights):
    """A copy of a fitted model that ``supports_warm_start``, fitted from there.

    The model stays as it is; y holds no class that it does not know. Weights are None where ``fit``
    takes none.
    """

    def train(last, X):
        # Forget what a net's stopping rule compares with: losses and scores under other weights.
        # Nothing may ever be as good as these again. The net would stop at once, or, with early
        # stopping, go back to what it was.
        for name, worst in (("best_loss_", np.inf), ("best_validation_score_", -np.inf)):
            if vars(last).get(name) is not None:
                setattr(last, name, worst)
        return fit_weighted(last, X, y, weights)

    return _train_last_step(model, X, train)


def learns_batches(estimator):
    """Whether ``partial_fit`` can go on with an estimator; one that is frozen need not learn.

    For a Pipeline, the last step counts: its transformers are not refitted.
    """
    last = split_last(estimator)[1]
    return isinstance(last, FrozenEstimator) or offers(last, "partial_fit")


def learns_weights(estimator):
    """Whether ``partial_fit`` takes ``sample_weight``, or there is nothing to learn."""
    last = split_last(estimator)[1]
    return is_frozen(last) or "sample_weight" in signature(last.partial_fit).parameters


def learn_weighted(model, template, X, y, weights, classes=None):
    """A copy of a fitted model that has learned from one more batch by its ``partial_fit``.

    The model stays as it is. A clone of the ``template`` that it was made from begins anew where a
    class comes that it never saw. Weights are None where ``partial_fit`` takes none, ``classes``
    for regressors.
    """
    if isinstance(split_last(model)[1], FrozenEstimator):
        return model
    if weights is None:
        params = {}
    else:
        params = {"sample_weight": weights}
    anew = classes is not None and not np.isin(y, model.classes_).all()
    if anew:
        model = clone(template)
        params["classes"] = classes
        if isinstance(model, Pipeline) and len(model) > 1:
            Pipeline(model.steps[:-1]).fit(X, y)  # in place, whatever memory the model has
    return _train_last_step(model, X, lambda last, X: last.partial_fit(X, y, **params))


def _train_last_step(model, X, train):
    """A copy with ``train(last, X)`` for its last step; transformers stay as they are."""
    if not isinstance(model, Pipeline):
        return train(copy.deepcopy(model), X)
    if len(model) > 1:
        X = model[:-1].transform(X)
    name, last = model.steps[-1]
    model = copy.copy(model)
    model.steps = [*model.steps[:-1], (name, train(copy.deepcopy(last), X))]
    return model


def _set_requests(estimator, wanted):
    """Request weights, or refuse them, for an estimator and all that it holds."""
    if isinstance(estimator, FrozenEstimator):  # the user's own, and never fitted
        return
    if has_fit_parameter(estimator, "sample_weight") and offers(estimator, "set_fit_request"):
        estimator.set_fit_request(sample_weight=wanted)
    for value in estimator.get_params(deep=False).values():
        named = isinstance(value, list) and all(isinstance(item, tuple) for item in value)
        if named:
            parts = [item[1] for item in value]
        else:
            parts = [value]
        for part in parts:
            if offers(part, "fit", "get_params"):
                last_only = isinstance(estimator, Pipeline) and part is not parts[-1]
                _set_requests(part, wanted and not last_only)


# Questions about one estimator -------------------------------------------------------------------


STACK = "stack"  # the expert that combines the others, all fitted on all rows
# Their trees grow without Python's lock, so that threads suffice, and are so large that sending
# them to another process takes long.
FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)
COPIES = ("copy", "copy_X")  # parameters of scikit-learn's: whether rows are copied
GENERALIST = "generalist"  # the expert that is fitted on all rows, with copies that specialise
LINES = "lines"  # the default mixture among "diverse" experts, only for stacks
PROCESS_ROWS = 1_000  # of fewer there is a Gaussian process of classes among these


def draw_seeds(random_state, size):
    """Integer seeds from whatever ``random_state`` a user gave, a list."""
    is_seed = isinstance(random_state, Integral)
    if is_seed:
        random_state = np.random.RandomState(random_state)
    else:
        random_state = check_random_state(random_state)
    return random_state.randint(2**31 - 1, size=size).tolist()


def seed_estimator(estimator, random_state):
    """A clone whose open ``random_state`` parameters are integers drawn from ``random_state``.

    Integers that the user set stay. Rows, which other parts see too, are copied before a change.
    """
    estimator = clone(estimator)
    params = sorted(estimator.get_params(deep=True).items())
    in_place = [key for key, value in params if value is False and key.split("__")[-1] in COPIES]
    estimator.set_params(**dict.fromkeys(in_place, True))
    open_ones = [
        key
        for key, value in params
        if (key == "random_state" or key.endswith("__random_state"))
        and not isinstance(value, (int, np.integer, str))  # "deprecated", of TargetEncoder
    ]
    if not open_ones:
        return estimator
    random_state = check_random_state(random_state)
    seeds = {key: random_state.randint(np.iinfo(np.int32).max) for key in open_ones}
    return estimator.set_params(**seeds)


def has_oob_prediction(estimator):
    """Whether the estimator is a bagging ensemble that leaves rows out."""
    params = estimator.get_params(deep=False)
    return "oob_score" in params and bool(params.get("bootstrap", False))


def leaves_every_row_out(estimator):
    """Whether it has so many members that each row is out of bag for some: one in 10,000 not."""
    enough = estimator.get_params(deep=False).get("n_estimators", 0) >= 20
    return has_oob_prediction(estimator) and enough


def offers(estimator, *names):
    """Whether an object of scikit-learn's or of the user's has these methods or attributes."""
    return all(hasattr(estimator, name) for name in names)


def column_names(estimator):
    """Names of the columns that an estimator was fitted on, or None."""
    return vars(estimator).get("feature_names_in_")


def has_own_density(estimator):
    """Whether it has a density of its own, as a mixture does."""
    return offers(estimator, "log_density")


def step_inside(estimator, X):
    """What a search found or a Pipeline ends in, and X as it sees it; None for what is neither."""
    if offers(estimator, "best_estimator_"):
        return estimator.best_estimator_, X
    if not isinstance(estimator, Pipeline):
        return None, X
    transforms = len(estimator) > 1 and X is not None
    return estimator[-1], estimator[:-1].transform(X) if transforms else X


def inside_offering(name, estimator, X=None):
    """What Pipelines and searches end in that has this method, None without one, and its X."""
    while estimator is not None and not offers(estimator, name):
        estimator, X = step_inside(estimator, X)
    return estimator, X


def is_frozen(estimator):
    """Whether it is fitted already, and stays as it is."""
    return isinstance(estimator, FrozenEstimator)


def with_fewer_trees(estimator):
    """An unfitted copy with a quarter of the boosted trees, where that many are asked for."""
    last = split_last(estimator)[1]
    params = last.get_params(deep=False)
    if isinstance(params.get("learning_rate"), float):
        for name in ("n_estimators", "max_iter"):
            if isinstance(params.get(name), Integral):
                fewer = {name: params[name] // 4 + 1}
                return join_last(estimator, clone(last).set_params(**fewer))
    return estimator
