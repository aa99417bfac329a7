"""Starting responsibilities: unlike starts, of which a short EM run picks the best.

No single start is safe. Each function below takes standardised columns ``X`` (n, d), the
standardised target ``y`` (n, m), or the class numbers (n,) of classifiers, the weights, the number
of experts and a random state, and returns labels (n,) or responsibilities (n, K). What is drawn are
parameters (quantiles, directions, functions) and never rows, so that a row of weight 2 is a row
given twice.
"""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import special
from sklearn.exceptions import ConvergenceWarning

from .._numerics.samples import seeded
from .._parallel import few_threads, jobs, kernel_threads
from .loop import run_em

K_MEANS_STEPS = 20  # EM continues from there anyway
HARD_SHARE = 0.9  # weight of a hard label; the rest is spread so that empty experts can grow
FEWEST_ROWS = 5000  # rows on which starts are tried, if there are over twice as many
ROWS_PER_COEFFICIENT = 20
COVARIANCE_RIDGE = 1e-2  # in the Gaussian start, on standardised columns


def enough_rows(n_experts, data):
    """How many rows tell good starts from bad ones."""
    return max(FEWEST_ROWS, ROWS_PER_COEFFICIENT * n_experts * (data.Z.shape[1] + 1))


def draw_rows(points, mass, n_rows, random_state):
    """Rows far from each other (greedy k-means++), drawn as quantiles along a random direction."""
    order = np.argsort(points @ random_state.standard_normal(points.shape[1]), kind="stable")
    points, mass = points[order], mass[order]
    n_trials = 2 + int(np.log(n_rows))
    drawn, distance = [], None
    for quantiles in random_state.uniform(size=(n_rows, n_trials)):
        cumulative = np.cumsum(mass if distance is None else mass * distance)
        if not cumulative[-1] > 0:  # fewer distinct rows than asked for
            cumulative = np.cumsum(mass)
        rows = np.searchsorted(cumulative, quantiles * cumulative[-1], side="right")
        best_left = np.inf
        for row in np.minimum(rows if drawn else rows[:1], len(points) - 1):
            from_row = ((points - points[row]) ** 2).sum(axis=1)
            nearest = from_row if distance is None else np.minimum(distance, from_row)
            left = mass @ nearest
            if left < best_left * (1 - 1e-9):  # rounding errors do not decide
                best_left, best_row, best_nearest = left, row, nearest
        drawn.append(points[best_row])
        distance = best_nearest
    return np.array(drawn)


def _k_means(points, weight, n_experts, random_state):
    centres = draw_rows(points, weight, n_experts, random_state)
    from sklearn.cluster import KMeans  # here, since the import takes long

    k_means = KMeans(n_experts, init=centres, n_init=1, tol=0.0, max_iter=K_MEANS_STEPS)
    work = len(points) * n_experts
    with few_threads(work), warnings.catch_warnings():
        # Fewer distinct rows than experts is nothing to warn of.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return k_means.fit_predict(points, sample_weight=weight)


def k_means_x(X, y, weight, n_experts, random_state):
    """k-means on X."""
    return _k_means(X, weight, n_experts, random_state)


def k_means_xy(X, y, weight, n_experts, random_state):
    """k-means on X and y."""
    return _k_means(np.column_stack([X, y]), weight, n_experts, random_state)


def k_means_y(X, y, weight, n_experts, random_state):
    """k-means on X and y, y as heavy as all columns of X together."""
    heavy = y * np.sqrt(max(X.shape[1], 1) / y.shape[1])
    return _k_means(np.column_stack([X, heavy]), weight, n_experts, random_state)


def functions(X, y, weight, n_experts, random_state):
    """Nearest of K random linear functions of X; of classes, how well each of them explains y."""
    if y.ndim == 1:  # in an order that does not depend on the names of the classes
        along = 1 + X @ random_state.standard_normal(X.shape[1])
        y = np.argsort(np.argsort(np.bincount(y, weight * along), kind="stable"))[y]
    n_outputs = y.max() + 1 if y.ndim == 1 else y.shape[1]
    slopes = random_state.standard_normal((n_experts, X.shape[1], n_outputs))
    intercepts = random_state.standard_normal((n_experts, n_outputs))
    values = np.einsum("nd,kdm->nkm", X, slopes / np.sqrt(max(X.shape[1], 1))) + intercepts
    if y.ndim == 1:
        log_proba = special.log_softmax(values, axis=2)
        return special.softmax(log_proba[np.arange(len(y)), :, y], axis=1)
    return ((y[:, None] - values) ** 2).sum(axis=2).argmin(axis=1)


def layers(values, weight, n_layers):
    """Layers of about equal weight, from low values to high; (n,) labels."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weight[order]) / weight.sum()
    labels = np.zeros(len(values), dtype=int)
    for layer in range(1, n_layers):
        last = values[order[np.searchsorted(cumulative, layer / n_layers - 1e-9)]]
        above = values > last + 1e-9  # a row and its copies fall on the same side
        labels[above] = layer
    return labels


def residuals(X, y, weight, n_experts, random_state):
    """Layers of the residuals of one linear fit, in a random direction of the outputs."""
    design = np.column_stack([X, np.ones(len(X))])
    root = np.sqrt(weight)[:, None]
    coef = np.linalg.lstsq(design * root, y * root, rcond=None)[0]
    residual = (y - design @ coef) @ random_state.standard_normal(y.shape[1])
    return layers(residual, weight, n_experts)


def gaussians(X, y, weight, n_experts, random_state):
    """One EM iteration of a Gaussian mixture on X, and y but for classes, from k-means."""
    points = X if y.ndim == 1 else np.column_stack([X, y])
    labels = _k_means(points, weight, n_experts, random_state)
    log_joint = np.empty((len(points), n_experts))
    for k in range(n_experts):
        share = weight * (labels == k) + 1e-3 * weight / n_experts
        centred = points - share @ points / share.sum()
        covariance = (centred.T * share) @ centred / share.sum()
        factor = np.linalg.cholesky(covariance + COVARIANCE_RIDGE * np.eye(points.shape[1]))
        whitened = np.linalg.solve(factor, centred.T)
        log_det = np.log(np.diag(factor)).sum()
        log_joint[:, k] = np.log(share.sum()) - log_det - 0.5 * (whitened**2).sum(axis=0)
    return special.softmax(log_joint, axis=1)


STARTS = {
    "kmeans_y": k_means_y,
    "gaussians": gaussians,
    "kmeans_xy": k_means_xy,
    "functions": functions,
    "kmeans_x": k_means_x,
    "residuals": residuals,
}
OF_NUMBERS = ("kmeans_y", "kmeans_xy", "residuals")  # not of class numbers
# What "auto" goes through, in the order of what each adds to those before it; the first ones come
# twice among ten. Another name here, or another order, changes fits with default parameters.
AUTO = ("kmeans_y", "gaussians", "kmeans_xy", "functions", "kmeans_x", "residuals")
AUTO_OF_CLASSES = ("functions", "kmeans_x", "gaussians")


def soften(labels, n_experts):
    """Responsibilities (n, K) from labels (n,), or those given."""
    if labels.ndim == 2:
        return labels
    resp = np.full((len(labels), n_experts), (1 - HARD_SHARE) / n_experts)
    resp[np.arange(len(labels)), labels] += HARD_SHARE
    return resp


def check_given_start(resp, weight, n_experts):
    """What a callable start returned, as (n, K) floats whose rows sum to one."""
    resp = np.asarray(resp, dtype=np.float64)
    if resp.shape != (len(weight), n_experts):
        raise ValueError(
            f"init returned an array of shape {resp.shape}; responsibilities have shape "
            f"{(len(weight), n_experts)}."
        )
    mass = resp.sum(axis=1, keepdims=True)
    if not (np.isfinite(resp).all() and (resp >= 0).all() and (mass > 0).all()):
        raise ValueError(
            "init returned responsibilities that are not finite, negative, or zero in a whole row."
        )
    return resp / mass


def draw_starts(init, n_init, data, n_experts, seed, labels):
    """``n_init`` responsibilities (n_samples, n_experts) to start from, in a list.

    ``init`` is as the mixtures take it; ``labels`` goes from y to the target as the user gave it,
    for a callable ``init``.
    """
    random_state = seeded(seed)
    if callable(init):
        starts = [init(data.X, labels(data.y), n_experts, random_state) for _ in range(n_init)]
        return [check_given_start(start, data.weight, n_experts) for start in starts]
    of_classes = data.target is None
    if of_classes and init in OF_NUMBERS:
        possible = [name for name in STARTS if name not in OF_NUMBERS]
        raise ValueError(
            f"init={init!r} looks at the target as at numbers, which makes experts of the classes; "
            f"a classifier starts from 'auto', a callable or one of {possible}."
        )
    of_auto = AUTO_OF_CLASSES if of_classes else AUTO
    names = of_auto if init == "auto" else [init]  # to go through in turn
    target = data.y if of_classes else data.target
    return [
        soften(
            STARTS[names[i % len(names)]](
                data.columns, target, data.weight, n_experts, random_state
            ),
            n_experts,
        )
        for i in range(n_init)
    ]


# Starts next to a mixture: two of its experts are merged, and another is halved ------------------


HALVINGS = ("functions", "kmeans_x")  # ways to halve the rows of an expert


def halves(data, resp, k, name, random_state):
    """Responsibilities (n, 2) of two experts that share those of one.

    ``name`` is that of the start that halves the rows of expert k, one of ``HALVINGS``.
    """
    target = data.y if data.target is None else data.target
    labels = STARTS[name](data.columns, target, data.weight * resp[:, k], 2, random_state)
    return resp[:, [k]] * soften(labels, 2)


def moved(data, resp, log_norm, n_moves, random_state):
    """Responsibilities of neighbours of a mixture, the most promising first [1]_.

    Merged are experts that share rows, halved those whose rows are explained worst.

    ``resp`` (n, K) is of three experts or more, ``log_norm`` (n,) the log-density of each row.
    Returns at most ``n_moves``, in a list.

    References
    ----------
    .. [1] N. Ueda, R. Nakano, Z. Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models",
       Neural Computation 12 (2000) 2109-2128.
    """
    weighted = resp * data.weight[:, None]
    shared = resp.T @ weighted
    size = np.sqrt(np.maximum(shared.diagonal(), 1e-300))
    alike = sorted(
        combinations(range(len(size)), 2),
        key=lambda pair: -shared[pair] / (size[pair[0]] * size[pair[1]]),
    )
    mass = weighted.sum(axis=0)
    badly = np.argsort(log_norm @ weighted / np.maximum(mass, 1e-300), kind="stable")
    badly = [k for k in badly if mass[k] >= 2]
    ranked = sorted(
        (i + j, i, j, pair, k)
        for i, pair in enumerate(alike)
        for j, k in enumerate(k for k in badly if k not in pair)
    )
    starts = []
    for number, (*_, pair, k) in enumerate(ranked * len(HALVINGS)):
        if len(starts) == n_moves:
            break
        merged = resp.copy()
        merged[:, pair[0]] += merged[:, pair[1]]
        name = HALVINGS[(number + number // len(ranked)) % len(HALVINGS)]
        merged[:, [k, pair[1]]] = halves(data, resp, k, name, random_state)
        starts.append(merged)
    return starts


# Short EM runs from many starts; the best one continues ------------------------------------------


SHORT_RUN = 10  # EM iterations that distinguish good starts from bad ones
FIRST_LOOK = 4  # iterations, after which hopeless starts are stopped
SLOW_RATE = 0.95  # least factor by which gains are assumed to shrink, early in a run
FINALISTS = 5  # starts that continue
LONGER_RUN = 50  # further iterations, which decide between the finalists
SAME = 1e-6  # per unit of weight; closer starts are probably at the same optimum
TIE = 1e-9  # per unit of weight; the first of equal starts wins


def best_start(problem, starts, n_jobs, most=np.inf):
    """Run EM briefly from each start, longer from the best; the state after the best run.

    The problem, of experts that are quick to fit, is left alone. ``most`` are the iterations of all
    runs together, about.

    Returns the state, for ``problem.restore``; where each run ended that tells good starts from bad
    ones, its objective and fewest effective rows of an expert; and paths, the objectives of each
    run, longer ones of those that went on.
    """
    # BLAS and kernels have one thread where rows are few: otherwise each of many short passes would
    # start a team of threads and wait for the last of them, which takes longer than the pass on a
    # busy machine.
    n_rows = len(problem.y)
    limit = few_threads(n_rows) if kernel_threads(n_rows) == 1 else nullcontext()
    with limit, jobs(n_jobs, shared=(problem,)) as run:
        starts = starts[: max(int(min(most / FIRST_LOOK, len(starts))), 1)]
        contestants = [_Contestant(i, resp) for i, resp in enumerate(starts)]
        runs = _race(contestants, SHORT_RUN, run)
        paths = [contestant.objectives for contestant in runs]
        ends = [(contestant.objective, contestant.fewest_rows) for contestant in runs]
        # Finalists are the best distinct runs that can still reach the first of them.
        finalists = []
        while runs and len(finalists) < FINALISTS:
            best = _best(runs)
            finalists.append(best)
            runs = [other for other in runs if abs(other.objective - best.objective) > SAME]
            runs = [other for other in runs if other.may_reach(finalists[0].objective)]
        left = (most - sum(map(len, paths))) / len(finalists)
        if (len(finalists) > 1 or most < np.inf) and left >= SHORT_RUN:
            finalists = _race(finalists, int(min(left, LONGER_RUN)), run)
    for finalist in finalists:
        paths[finalist.number] = finalist.objectives
    return _best(finalists).state, ends, paths


@dataclass
class _Contestant:
    """A start on its way: responsibilities, then what EM made of them."""

    number: int
    resp: np.ndarray | None
    state: object = None
    objectives: list = field(default_factory=list)
    objective: float = np.nan  # the best so far
    converged: bool = False
    fewest_rows: float = np.nan

    def may_reach(self, objective):
        """Whether gains that go on to shrink as the last one did, or slowly, lead so far."""
        if self.converged or len(self.objectives) < 3:
            return not self.objective < objective
        before, gain = np.diff(self.objectives[-3:])
        rate = gain / before if before > 0 else 1.0
        if not rate < 1:  # it is accelerating
            return True
        rate = max(rate, SLOW_RATE)
        return not self.objectives[-1] + gain * rate / (1 - rate) < objective


def _race(contestants, max_iter, run):
    """So many iterations of each, but for those that are hopelessly behind after the first few.

    The limit that they head for is projected from the last gains by Aitken's method.
    """
    first = run(_race_on, ((contestant, FIRST_LOOK) for contestant in contestants))
    best = _best(first).objective
    going = [not c.converged and c.may_reach(best) for c in first]
    left = [c for c, go in zip(first, going, strict=True) if go]
    rest = iter(run(_race_on, ((c, max_iter - FIRST_LOOK) for c in left)))
    return [next(rest) if go else c for c, go in zip(first, going, strict=True)]


def _best(runs):
    """The contestant of the highest objective; of equal ones the first."""
    best = runs[0]
    for other in runs[1:]:
        if other.objective > best.objective + TIE or np.isnan(best.objective):
            best = other
    return best


def _race_on(problem, contestant, max_iter):
    problem = problem.fork()
    if contestant.state is None:
        problem.start(contestant.resp)
    else:
        problem.restore(contestant.state)
    ran = run_em(problem, max_iter=max_iter, tol=1e-6, patience=1)
    objectives = contestant.objectives + ran.objectives
    return _Contestant(
        contestant.number,
        None,
        problem.state(),
        objectives,
        np.fmax.reduce(objectives),  # ignores NaN
        ran.converged,
        problem.effective_rows().min(),
    )
