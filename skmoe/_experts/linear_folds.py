"""Linear experts by the dozen, cross-fitted: those of a fold are solved all at once."""

import numpy as np
from sklearn.base import clone

from .solvers import least_squares

FEWEST_EXPERTS = 16  # fewer fit themselves; more would spend their time on calls


def solves_folds(experts):
    """Whether least squares for all experts at once stand for a ``fit`` of each.

    They do for clones of one estimator, plain least squares or ridge, with folds, on an array of
    many more rows than columns.
    """
    X = experts.X
    is_array = type(X) is np.ndarray and X.dtype.kind == "f" and len(X) > 4 * X.shape[1]
    is_many = len(experts.estimators) >= FEWEST_EXPERTS and experts.are_clones
    if not (is_array and is_many and all(experts.weighted) and isinstance(experts.folds, list)):
        return False
    if experts.classes is not None:
        return False
    return least_squares().penalty_of(experts.estimators[0]) is not None


def solve_folds(experts, tasks):
    """What ``fit_and_predict`` returns for tasks without exposures and targets of their own."""
    done = [None] * len(tasks)
    penalty = least_squares().penalty_of(experts.estimators[0])
    for fold in sorted({task.fold for task in tasks}):
        places = [i for i, task in enumerate(tasks) if task.fold == fold]
        weights = np.zeros((len(experts.y), len(places)))
        for column, place in enumerate(places):
            weights[tasks[place].fitted_on.rows, column] = tasks[place].fitted_on.weights
        used = np.flatnonzero(weights.any(axis=1))
        y = experts.y[used] if experts.target is None else experts.target(experts.y[used])
        solved = least_squares().experts(
            experts.X[used], y, np.ones(len(used)), len(places), penalty=penalty, prior=False
        )
        solved.fit(weights[used])
        models = solved.finish([clone(experts.estimators[tasks[place].k]) for place in places])
        test = experts.X[tasks[places[0]].test]
        predictions = solved.predict_standardised((test - solved.mean) / solved.scale)
        for column, place in enumerate(places):
            done[place] = models[column], predictions[:, column], None
    return done
