"""Dead experts: which ones they are, and the rows they are handed."""

import numpy as np

N_CANDIDATES = 16  # rows of high loss, around which a dead expert may begin anew
SAME_DENSITY = 1e-6  # in log-density, for every row: two experts that no data will part


def dead_experts(problem):
    """Numbers of the experts with next to no rows, and of copies of others."""
    load, n_experts = problem.load, len(problem.load)
    enough = min(problem.experts.minimum_rows, 0.1 * problem.weight.sum() / n_experts)
    few = problem.effective_rows() < enough
    dead = few | (load < 0.01 / n_experts) | problem.copies()
    if problem.likelihood.zero_expert is not None:
        dead[-1] = False  # it is made of the zeros, and rows around a place have others
    return np.flatnonzero(dead)


def copies_of_heavier(log_density, load):
    """Whether a heavier expert has the same density everywhere, (K,)."""
    return same_as_heavier(largest_differences(log_density), load)


def largest_differences(log_density):
    """Largest absolute difference, over rows, of each two experts' log-densities, (K, K)."""
    differences = np.zeros((log_density.shape[1],) * 2)
    with np.errstate(invalid="ignore"):  # rows that are impossible under both
        for k in range(1, len(differences)):
            each = np.abs(log_density[:, :k] - log_density[:, [k]])
            differences[k, :k] = np.where(np.isnan(each), 0.0, each).max(axis=0)
    return np.maximum(differences, differences.T)


def same_as_heavier(differences, load):
    """Whether a heavier expert has the same density everywhere, (K,), from (K, K) differences."""
    copies = np.zeros(len(load), dtype=bool)
    order = np.argsort(-load, kind="stable")
    for i, k in enumerate(order[1:], 1):
        copies[k] = differences[k, order[:i]].min() < SAME_DENSITY
    return copies


def reseeded(resp, loss, dead, data):
    """Responsibilities (n, K) in which each dead expert has the rows around a place of high loss.

    ``loss`` (n,) is the negative log-density of each row, ``data`` are the rows: TrainingData.
    """
    resp, weight = resp.copy(), data.weight
    for k in dead:
        rows = rows_of_loss(data, loss, weight.sum() / (2 * resp.shape[1]))
        resp[rows] *= 0.1
        resp[rows, k] += 0.9
        loss = loss.copy()
        loss[rows] = weight @ loss / weight.sum()  # the next dead expert goes elsewhere
    return resp


def rows_of_loss(data, loss, mass):
    """Rows around a place where the mixture fits badly, for a dead expert: their numbers.

    They have about the weight ``mass``, and of some candidates the place has the most loss.
    """
    points, weights = data.points, data.weight
    order = np.argsort(-loss, kind="stable")
    order = order[weights[order] > 0]
    cumulative = np.cumsum(weights[order])
    quantiles = np.linspace(0, 0.1, N_CANDIDATES) * cumulative[-1]
    best, best_rows = -np.inf, order[:1]
    for candidate in order[np.unique(np.searchsorted(cumulative, quantiles, side="right"))]:
        distance = ((points - points[candidate]) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")
        enough = np.searchsorted(np.cumsum(weights[nearest]), mass)
        radius = distance[nearest[min(enough, len(nearest) - 1)]]
        rows = np.flatnonzero(distance <= radius * (1 + 1e-9))
        weight = weights[rows]
        if weight.sum() > 0 and weight @ loss[rows] / weight.sum() > best:
            best, best_rows = weight @ loss[rows] / weight.sum(), rows
    return best_rows
