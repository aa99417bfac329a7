"""Scales that depend on the row: a regressor learns where errors are large."""

from functools import partial

import numpy as np

from .._experts.estimators import EstimatorExperts
from .loop import run_em
from .problem import shallow_copy

ROUNDS = 2  # fits of the regressor, each followed by EM with its scales
STEPS = 20  # EM iterations in each round, at most
POWERS = (0.25, 0.5, 0.75, 1.0)  # that draw its predictions towards a constant
BOUNDS = (0.05, 20.0)  # bounds of predicted squared errors, whose mean is one
LEAST_GAIN = 0.01  # gain in log-density per unit of weight over constant scales
STANDARD_ERRORS = 2.0  # standard errors that the gain must exceed


def learn_scale_model(problem, X, estimator, folds, *, optional, n_jobs):
    """Let the scale depend on the row: ``sigma_k(x) = scale_k * r(x)``.

    The squared errors, each in units of its expert's variance and averaged with the
    responsibilities, are what the likelihood asks of the square of ``r``: given these, it is
    that of gamma errors around it. A regressor learns them from the row, out of fold as experts
    are; a power of what it predicts, the one of the highest likelihood, keeps it from promising
    too much.

    The problem, after EM under constant scales, goes on under others; ``optional`` is whether to
    go back to constant ones if they are as good. Returns the objectives of the iterations.
    """
    constant = problem.state()
    before = problem.log_norm
    objectives = []
    best = None
    best_value = -np.inf
    for _ in range(ROUNDS):
        squares = np.maximum(problem.squared_errors(), 1e-6)  # some losses want them positive
        learner = EstimatorExperts(
            ["scale"],
            [estimator],
            X,
            squares,
            problem.weight,
            folds=folds,
            min_responsibility=0.0,
            classes=None,
            are_clones=False,
        )
        learner.are_counted = False  # among the experts' fits
        with learner.side_by_side(n_jobs):
            learner.fit(np.ones((len(squares), 1)))
        variance = np.clip(learner.predictions[:, 0], *BOUNDS)
        power = _best_power(variance, squares, problem.weight)
        problem.row_scale = np.sqrt(variance**power)[:, None]
        problem.likelihood = shallow_copy(problem.likelihood)
        problem.likelihood.scale_model_ = partial(_row_scale_of, learner.models[0], power)
        if problem.experts.in_sample:
            problem.update_around_experts()
            objectives += run_em(problem, max_iter=STEPS, tol=1e-5, patience=1).objectives
        else:
            objectives.append(problem.update_around_experts())
        if problem.objective > best_value:
            best = problem.state()
            best_value = problem.objective
    problem.restore(best)
    if optional and not _pays(problem.log_norm - before, problem.weight):
        problem.restore(constant)
    return objectives


def _pays(gains, weight):
    """Whether gains of log-density (n,) are more than chance, and more than next to nothing."""
    mean = weight @ gains / weight.sum()
    error = np.sqrt(weight @ (gains - mean) ** 2) / weight.sum()
    return mean > max(LEAST_GAIN, STANDARD_ERRORS * error)


def _row_scale_of(models, power, X):
    """Factors of the scales, (n, 1), for each row, by the models of all folds."""
    variance = np.mean([model.predict(X) for model in models], axis=0)
    return np.sqrt(np.clip(variance, *BOUNDS) ** power)[:, None]


def _best_power(variance, squares, weight):
    def loss(power):
        log_factor = np.log(weight @ (squares / variance**power) / weight.sum())
        return log_factor + power * (weight @ np.log(variance)) / weight.sum()

    return min(POWERS, key=loss)
