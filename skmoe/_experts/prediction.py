"""What one fitted expert predicts, or all linear ones at once."""

import numpy as np
from scipy import special
from sklearn import linear_model
from sklearn.utils.validation import _num_samples

from .._doors import ready
from .._numerics.statistics import LOGS_OF_MEANS
from .._tables.encoding import numeric_matrix
from ..distributions import GaussianComponents, MixtureDistribution, NestedComponents
from ..exceptions import noted
from .fitting import has_oob_prediction, offers, split_last, step_inside
from .solvers import is_multinomial

LINEAR = linear_model.LinearRegression, linear_model.Ridge
LOG_LINEAR = linear_model.PoissonRegressor, linear_model.GammaRegressor
ROUNDING = 1e-5  # of float32: one minus a probability may be below zero by so much


def aligned_proba(estimator, X, classes):
    """``predict_proba`` with a column for each of ``classes``, 0 where it never saw one."""
    unknown = np.setdiff1d(estimator.classes_, classes).tolist()
    if unknown:
        raise ValueError(f"It predicts the classes {unknown}, which y does not hold.")
    proba = np.zeros((_num_samples(X), len(classes)))
    shape = (len(proba), len(estimator.classes_))
    each = "a column for each of its classes_"
    found = in_shape(np.asarray(estimator.predict_proba(X)), shape, each)
    if (found < -ROUNDING).any():
        raise ValueError("It predicts probabilities below zero.")
    proba[:, np.searchsorted(classes, estimator.classes_)] = np.maximum(found, 0.0)
    return proba


def in_shape(found, shape, what):
    """Predictions in this shape; raises a ValueError where theirs differs in more than ones."""
    if [size for size in found.shape if size != 1] != [size for size in shape if size != 1]:
        raise ValueError(
            f"It predicts an array of shape {found.shape}, where {shape} is needed: {what}."
        )
    return found.reshape(shape)


def is_stack_of(estimator, experts):
    """Whether it combines what these very experts predict."""
    if offers(estimator, "estimators_"):
        combined = estimator.estimators_
    else:
        combined = None
    if not isinstance(combined, list) or len(combined) != len(experts) or not experts:
        return False
    return all(a is b for a, b in zip(combined, experts, strict=True))


def stacked_prediction(stack, predictions):
    """What a stack predicts, from the predictions (n, K, ...) of its members."""
    if offers(stack, "combine"):  # of classes
        return stack.combine(predictions)
    return stack.final_estimator_.predict(predictions.reshape(len(predictions), -1))


def expert_prediction(name, estimator, X, y_shape, classes):
    """Prediction of one fitted expert for some rows, (n_samples, *y_shape), checked to be finite.

    ``name`` is for errors; ``y_shape`` is () or (n_outputs,), and of class probabilities
    (n_classes,); ``classes`` are None for regressors.
    """
    with noted(f"Raised by predict of expert {name!r}."):
        linear = predict_linear([estimator], X, classes)  # which does not round 1e-17 to 0
        if linear is not None:
            return linear[:, 0]
        if classes is None:
            prediction = np.asarray(estimator.predict(X), dtype=np.float64)
        else:
            prediction = aligned_proba(estimator, X, classes)
        each = "a number for each row and output"
        prediction = in_shape(prediction, (_num_samples(X), *y_shape), each)
    if not np.isfinite(prediction).all():
        raise ValueError(f"Expert {name!r} predicted NaN or infinity.")
    return prediction


def predict_linear(experts, X, classes):
    """What fitted linear, log-linear or logistic experts predict, without checking X again.

    None where the experts have to be asked one by one: because they are not of the very classes of
    scikit-learn, or to say what is wrong with X. ``classes`` are None for regressors.
    """
    if type(experts[0]) in LOG_LINEAR:
        kinds = LOG_LINEAR
    else:
        kinds = LINEAR
    if classes is not None:
        kinds = (linear_model.LogisticRegression,)
    if type(X) is not np.ndarray or any(type(expert) not in kinds for expert in experts):
        return None
    shape = X.shape[1:]
    if classes is not None:
        if len(classes) == 2:
            n_functions = 1
        else:
            n_functions = len(classes)
        shape = (n_functions, *shape)
        if not all(np.array_equal(each.classes_, classes) for each in experts):
            return None
        if n_functions > 1 and not all(map(is_multinomial, experts)):
            return None
    if any(expert.coef_.shape != shape for expert in experts):
        return None
    fitted = np.empty((len(X), len(experts), *shape[:-1]))
    for k, expert in enumerate(experts):
        fitted[:, k] = X @ expert.coef_.T + expert.intercept_
    if not np.isfinite(fitted).all():
        return None
    if kinds is LOG_LINEAR:
        return np.exp(np.clip(fitted, *LOGS_OF_MEANS))
    if classes is None:
        return fitted
    if n_functions == 1:
        return special.expit(np.concatenate([-fitted, fitted], axis=2))
    return special.softmax(fitted, axis=2)


def have_common_transformers(estimators):
    """Whether they are Pipelines of the same fitted transformers, but for their last steps."""
    heads = [split_last(estimator)[0] for estimator in estimators]
    return all(head is not None and same_steps(head.steps, heads[0].steps) for head in heads)


def same_steps(steps, others):
    both = zip(steps, others, strict=False)
    return len(steps) == len(others) and all(a is b for (_, a), (_, b) in both)


def columns_seen(estimator, X):
    """What the last step of an expert or gate sees of X, a float64 matrix."""
    head, _ = split_last(estimator)
    return numeric_matrix(X if head is None else head.transform(X))


# Predictive distributions that regressors have of their own, for stacks -------------------------


def tells_density(estimator):
    """Whether a regressor has a distribution of its own for each row; of a search, once fitted."""
    return _teller_inside(estimator)[0] is not None


def has_oob_density(estimator):
    """Whether all that a stack needs of it is available out of bag."""
    return has_oob_prediction(estimator) and not tells_density(estimator)


def own_distribution(estimator, X, floor):
    """Predictive distribution of a fitted regressor that ``tells_density``: MixtureDistribution.

    Components of a standard deviation below ``floor`` are Gaussian ones of that: where targets are
    rounded or repeat, a spike would have whatever density.
    """
    estimator, X, tell, _ = _teller_inside(estimator, X)
    distribution = tell(estimator, X, floor)
    components = distribution.components
    if distribution.discrete:
        raise ValueError(
            f"{type(estimator).__name__} has a discrete distribution, not comparable with the "
            "densities of other experts: give it a continuous one, or leave it out."
        )
    rows, places = np.nonzero(components.var < floor**2)
    if not len(rows):
        return distribution
    mean = components.mean[rows, places][:, None]
    wide = MixtureDistribution(np.ones((len(rows), 1)), GaussianComponents(mean, np.array([floor])))
    nested = NestedComponents(components, [(rows, places, wide)])
    return MixtureDistribution(distribution.weights, nested)


def predicts_mean(estimator):
    """Whether ``predict`` is the mean of the distribution, if it tells any."""
    return _teller_inside(estimator)[3]


def _teller_inside(estimator, X=None):
    """What has a distribution in a search or Pipeline, or None, and its X.

    And what makes the distribution of these two and the floor, and whether ``predict`` is its mean.
    """
    leaf = ready()
    while estimator is not None:
        if offers(estimator, "predict_dist"):
            return estimator, X, lambda estimator, X, _: estimator.predict_dist(X), True
        if leaf is None:
            teller = None
        else:
            teller = leaf.packages.density_of_other(estimator)
        if teller is not None:
            return estimator, X, *teller
        estimator, X = step_inside(estimator, X)
    return None, X, None, True
