"""Starting responsibilities: unlike starts, of which a short EM run picks the best.

No single start is safe. Each function below takes standardised columns ``X`` (n, d), the
standardised target ``y`` (n, m), or the class numbers (n,) of classifiers, the weights, the number
of experts and a random state, and returns labels (n,) or responsibilities (n, K). What is drawn are
parameters (quantiles, directions, functions) and never rows, so that a row of weight 2 is a row
given twice.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from .._kernels._k_means import far_rows, k_means
from .._kernels._linear_run import dissolved
from .._numerics.multinomial import log_softmax, softmax
from .._parallel import few_threads, jobs, kernel_threads
from .loop import NEARLY_SAME, enough_effective_rows

K_MEANS_STEPS = 20  # EM continues from there anyway
HARD_SHARE = 0.9  # weight of a hard label; the rest is spread so that empty experts can grow
FEWEST_ROWS = 5000  # rows on which starts are tried, if there are over twice as many
ROWS_PER_COEFFICIENT = 20
SCATTER = 1000.0  # slopes of a function whose fractional part is as good as random


def enough_rows(n_experts, data, part):
    """How many rows tell good starts from bad ones, or a part of these."""
    return int(part * max(FEWEST_ROWS, ROWS_PER_COEFFICIENT * n_experts * (data.Z.shape[1] + 1)))


def draw_rows(points, mass, n_rows, random_state):
    """Rows far from each other (greedy k-means++), drawn as quantiles along a random direction."""
    order = np.argsort(points @ random_state.standard_normal(points.shape[1]), kind="stable")
    quantiles = random_state.uniform(size=(n_rows, 2 + int(np.log(n_rows))))
    drawn = np.empty((n_rows, points.shape[1]))
    far_rows(points[order], mass[order], quantiles, drawn)
    return drawn


def clusters(X, y, weight, n_experts, random_state, *, heaviness):
    """k-means on X and y, each output as heavy as ``heaviness(X, y)`` columns; None: on X."""
    if heaviness is None:
        points = X
    else:
        points = np.column_stack([X, y * np.sqrt(heaviness(X, y))])
    points, labels = np.ascontiguousarray(points, np.float64), np.empty(len(points), np.intp)
    centres = draw_rows(points, weight, n_experts, random_state)
    k_means(points, weight, centres, K_MEANS_STEPS, labels)
    return labels


def functions(X, y, weight, n_experts, random_state):
    """Nearest of K random linear functions of X; of classes, how well each of them explains y."""
    if y.ndim == 1:  # in an order that does not depend on the names of the classes
        along = 1 + X @ random_state.standard_normal(X.shape[1])
        y = np.argsort(np.argsort(np.bincount(y, weight * along), kind="stable"))[y]
    if y.ndim == 1:
        n_outputs = y.max() + 1
    else:
        n_outputs = y.shape[1]
    slopes = random_state.standard_normal((n_experts, X.shape[1], n_outputs))
    intercepts = random_state.standard_normal((n_experts, n_outputs))
    values = np.tensordot(X, slopes / np.sqrt(max(X.shape[1], 1)), (1, 1)) + intercepts
    if y.ndim == 1:
        log_proba = log_softmax(values.reshape(-1, n_outputs)).reshape(values.shape)
        return softmax(log_proba[np.arange(len(y)), :, y])[0]
    return ((y[:, None] - values) ** 2).sum(axis=2).argmin(axis=1)


def layers(values, weight, n_layers):
    """Layers of about equal weight, from low values to high; (n,) labels."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    shares = np.arange(1, n_layers) / n_layers - 1e-9
    ends = values[order[np.searchsorted(total, shares * total[-1])]]
    return np.searchsorted(ends + 1e-9, values)  # a row and its copies are on the same side


def layers_of_x(X, y, weight, n_experts, random_state):
    """Layers of X in a random direction."""
    return layers(X @ random_state.standard_normal(X.shape[1]), weight, n_experts)


def scattered(X, y, weight, n_experts, random_state):
    """A random partition, the same for equal rows, by digits of a random function of X and y."""
    # Numbers of classes have no meaning.
    if y.ndim == 1:
        points = X
    else:
        points = np.column_stack([X, y])
    along = points @ (SCATTER * random_state.standard_normal(points.shape[1]))
    return np.minimum(np.floor(n_experts * (along - np.floor(along))), n_experts - 1).astype(int)


def residuals(X, y, weight, n_experts, random_state):
    """Layers of the residuals of one linear fit, in a random direction of the outputs."""
    design = np.column_stack([X, np.ones(len(X))])
    weighted = design.T * weight
    coef = np.linalg.lstsq(weighted @ design, weighted @ y, rcond=None)[0]
    residual = (y - design @ coef) @ random_state.standard_normal(y.shape[1])
    return layers(residual, weight, n_experts)


STARTS = {
    # y is as heavy as all columns of X together, or as one.
    "kmeans_y": partial(clusters, heaviness=lambda X, y: max(X.shape[1], 1) / y.shape[1]),
    "kmeans_xy": partial(clusters, heaviness=lambda X, y: 1.0),
    "functions": functions,
    "kmeans_x": partial(clusters, heaviness=None),
    "residuals": residuals,
    "scattered": scattered,
    "layers_of_x": layers_of_x,
}
OF_NUMBERS = ("kmeans_y", "kmeans_xy", "residuals")  # not of class numbers
# What "auto" goes through, in the order of what each adds to those before it; the first ones come
# twice among ten. Another name here, or another order, changes fits with default parameters.
AUTO = ("kmeans_y", "functions", "kmeans_x", "residuals", "scattered")
AUTO_OF_CLASSES = ("functions", "kmeans_x", "scattered", "layers_of_x")


def soften(labels, n_experts):
    """Responsibilities (n, K) from labels (n,), or those given."""
    if labels.ndim == 2:
        return labels
    hard = labels[:, None] == np.arange(n_experts)
    return np.where(hard, HARD_SHARE, 0.0) + (1 - HARD_SHARE) / n_experts


def check_given_start(resp, weight, n_experts):
    """What a callable start returned, as (n, K) floats whose rows sum to one."""
    resp = np.asarray(resp, dtype=np.float64)
    if resp.shape != (len(weight), n_experts):
        raise ValueError(
            f"init returned an array of shape {resp.shape}, not {(len(weight), n_experts)}."
        )
    mass = resp.sum(axis=1, keepdims=True)
    if not (np.isfinite(resp).all() and (resp >= 0).all() and (mass > 0).all()):
        raise ValueError(
            "init returned responsibilities that are not finite, negative, or zero in a whole row."
        )
    return resp / mass


def draw_starts(init, n_init, data, n_experts, seed, labels):
    """``n_init`` responsibilities (n_samples, n_experts) to start from, in a list.

    ``labels`` goes from y to the target as the user gave it, for a callable ``init``.
    """
    random_state = np.random.RandomState(seed)
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
    # Names to go through in turn.
    if init != "auto":
        names = [init]
    elif of_classes:
        names = AUTO_OF_CLASSES
    else:
        names = AUTO
    if of_classes:
        target = data.y
    else:
        target = data.target
    starts = []
    for i in range(n_init):
        draw = STARTS[names[i % len(names)]]
        resp = draw(data.columns, target, data.weight, n_experts, random_state)
        starts.append(soften(resp, n_experts))
    return starts


# Starts next to a mixture: one of its experts is dissolved, and another is halved ----------------


HALVINGS = ("residuals", "functions", "scattered", "layers_of_x")  # ways to halve the rows of one


def halves(data, resp, k, name, random_state):
    """Responsibilities (n, 2) of two experts that share those of one.

    ``name`` is that of the start that halves the rows of expert k, one of ``HALVINGS``.
    """
    if data.target is None:
        target = data.y
    else:
        target = data.target
    labels = STARTS[name](data.columns, target, data.weight * resp[:, k], 2, random_state)
    return resp[:, [k]] * soften(labels, 2)


def moved(data, resp, n_moves, random_state, other=None):
    """Responsibilities next to some (n, K), in a list.

    In each, one expert of few rows is dissolved among the others, and one of many halved. Or one of
    ``other`` responsibilities takes the place of the first.
    """
    n_experts = resp.shape[1]
    mass = data.weight @ resp
    found = []
    names = [name for name in HALVINGS if data.target is not None or name not in OF_NUMBERS]
    for number in range(n_moves):
        light = _drawn_number(1 / (mass + 1), random_state)
        near = dissolved(resp, light)
        if other is not None:
            own = other[:, [random_state.randint(n_experts)]]
            near = near * (1 - own) + own * (np.arange(n_experts) == light)
        else:
            heavy = _drawn_number((mass + 1e-9) * (np.arange(n_experts) != light), random_state)
            name = names[(number + random_state.randint(len(names))) % len(names)]
            near[:, heavy], near[:, light] = halves(data, near, heavy, name, random_state).T
        found.append(near)
    return found


def _drawn_number(shares, random_state):
    """A number, drawn with probabilities of these shares, which rounding does not change."""
    cumulative = np.cumsum(shares)
    at = random_state.uniform() * cumulative[-1]
    return int(min(cumulative.searchsorted(at, side="right"), len(shares) - 1))


# Runs of EM from many starts, and from neighbours of the best -------------------------------------


SHORTEST_RUN = 10
LONGEST_RUN = 100  # EM iterations from a start
AT_REST = 1e-4  # gain of an iteration, per unit of weight, at which such a run ends
N_BEST = 3  # ends from whose neighbours others start
MANY = 10  # starts, to be sure of an optimum that most of them lead to
N_MOVES = 2  # neighbours at a time, of which the better one goes on
MOVE_RUN = 15  # iterations that tell which
FINALISTS = 2
LAST_RUN = 300
LAST_GAIN = 1e-6  # of the best, at the end
SAME_OPTIMUM = 1e-3  # per unit of weight; ends that are closer are one
TIE = 1e-9  # per unit of weight; the first of equal starts wins


@dataclass
class _Climber:
    """A start on its way."""

    resp: np.ndarray | None  # to begin with; None goes on from the state
    number: int
    state: object = None  # of a climb; with responsibilities, the gate to begin with
    objectives: list = field(default_factory=list)
    gain: float = np.inf  # of the last iteration
    objective: float = np.nan  # the best so far; NaN is none
    fewest_rows: float = np.nan
    # What to be chosen by, higher is better: whether all experts have rows enough, as a few make
    # any likelihood high, and the objective without what experts of few rows exceed it by.
    rank: tuple = (False, -np.inf)


def climb_from(problem, starts, neighbours_of, *, n_jobs, most=np.inf, in_vain=0):
    """Run EM from each start, and from neighbours of the best; the state at the best optimum found.

    Runs end where little is gained. Neighbours of the best are tried until so many are ``in_vain``,
    fewer where most starts lead to it, or after ``most`` iterations; then the best two go on. Such
    moves find better optima than more starts do [1]_: a rank after few iterations says little. So
    many starts make several searches, and a last one, from the best with experts of other ends.

    The problem is left alone; ``neighbours_of(resp, other=None)`` lists responsibilities next to
    some, or with an expert of others. Returns the state, for ``problem.restore``; objective and
    fewest effective rows of an expert at the end of each run; and paths, the objectives of each.

    References
    ----------
    .. [1] N. Ueda, R. Nakano, Z. Ghahramani and G. E. Hinton, "SMEM algorithm for mixture models",
       Neural Computation 12 (2000) 2109-2128.
    """
    # BLAS and kernels have one thread where rows are few: of many short passes each would open a
    # team of threads, and wait for the last of them, which on a busy machine takes a multiple of
    # the pass.
    n_rows = len(problem.y)
    if kernel_threads(n_rows) == 1:
        limit = few_threads(n_rows)
    else:
        limit = nullcontext()
    # A start that was given, which leads to no moves, is not to be crossed either.
    n_searches = max(len(starts) // MANY, 1) if in_vain else 1
    runs = []
    ends = []
    with limit, jobs(n_jobs, shared=(problem,)) as run:
        given = run, problem, neighbours_of, in_vain / n_searches, runs
        for i, part in enumerate(np.array_split(range(len(starts)), max(n_searches - 1, 1)), 1):
            ends += _search(*given, most * i / n_searches, [starts[j] for j in part])
        if n_searches > 1 and len(best := _best_ends(ends)) > 1:
            resp, *others = [problem.resp_of(each.state) for each in best]
            others = [others[i % len(others)] for i in range(MANY // N_MOVES)]
            crossed = [near for other in others for near in neighbours_of(resp, other=other)]
            ends += _search(*given, most, crossed, best)
    of_runs = [(each.objective, each.fewest_rows) for each in runs]
    return _best_ends(ends)[0].state, of_runs, [each.objectives for each in runs]


def _search(run, problem, neighbours_of, in_vain, runs, most, starts, best=()):
    # Returns its best ends; adds all to the runs.
    climbing = problem.climbing()

    def left():
        return most - sum(len(each.objectives) for each in runs)

    def climb(climbers, max_iter, gain):
        tasks = [(each, max_iter, gain) for each in climbers]
        found = []
        # That a compiled task is handed over takes longer than the task.
        in_turn = (_climb(climbing, *each) for each in tasks)
        for each in run.one_by_one(_climb, tasks) if climbing is problem else in_turn:
            run.tell(f"EM run {each.number + 1}")
            found.append(each)
        return found

    starts = starts[: int(np.clip(left() / SHORTEST_RUN, 1, len(starts)))]
    length = int(np.clip(left() / (2 * len(starts)), SHORTEST_RUN, LONGEST_RUN))
    if best:
        gate = best[0].state
    else:
        gate = None
    new = [_Climber(resp, number, gate) for number, resp in enumerate(starts, len(runs))]
    runs += (new := climb(new, length, AT_REST))
    best = _best_ends([*best, *new])[:N_BEST]
    met = [each.objective > best[0].objective - NEARLY_SAME for each in new]
    # Where more than half of many starts lead to one optimum, there is seldom a better one.
    in_vain *= min(1.0, 2 - 2 * sum(met) / max(len(new), MANY))
    tried = [0] * len(best)
    while min(tried) < in_vain and left() > N_MOVES * MOVE_RUN:
        i = tried.index(min(tried))
        near = enumerate(neighbours_of(climbing.resp_of(best[i].state)), len(runs))
        moves = [_Climber(resp, number, best[i].state) for number, resp in near]
        runs += climb(moves, MOVE_RUN, AT_REST)
        number = _best_ends(runs[-len(moves) :])[0].number
        runs[number] = climb([runs[number]], int(np.clip(left(), 1, LONGEST_RUN)), AT_REST)[0]
        tried[i] += len(moves)
        if runs[number].rank > (best[i].rank[0], best[i].rank[1] + AT_REST):
            best[i] = runs[number]
            tried[i] = 0
    finalists = _best_ends(best)[:FINALISTS]
    length = int(min(LAST_RUN, left() / len(finalists)))
    if length > 0:
        climbing = problem.climbing(rounded=False)
        finalists = climb(finalists, length, LAST_GAIN)
    for finalist in finalists:
        runs[finalist.number] = finalist
    return finalists


def _best_ends(climbers):
    """The best first, without those that came as far as another; of equal ones the first."""
    found = []
    for each in sorted(climbers, key=lambda each: each.rank, reverse=True):
        if all(abs(each.objective - other.objective) > SAME_OPTIMUM for other in found):
            found.append(each)
    level = found[0].rank[0], found[0].rank[1] - TIE
    return [next((each for each in climbers if each.rank >= level), found[0]), *found[1:]]


def _climb(problem, climber, max_iter, gain):
    if climber.gain <= gain:
        return climber
    found, state, rows = problem.climb(climber.resp, climber.state, max_iter, gain)
    objectives = climber.objectives + found
    last = objectives[-1] - (objectives[-2] if objectives[1:] else -np.inf)
    best = np.fmax.reduce([climber.objective, *found])
    excess = small_sample_excess(problem, rows) / problem.weight.sum()
    is_whole = bool(rows.min() >= enough_effective_rows(problem, len(rows)))
    rank = is_whole, best - excess if best == best else -np.inf
    if not (last == last):
        last = 0.0  # NaN where no expert can explain a row
    return _Climber(None, climber.number, state, objectives, last, best, rows.min(), rank)


def small_sample_excess(problem, rows):
    """What lines of so many ``rows`` (K,) overfit by, beyond their number of parameters [1]_.

    References
    ----------
    .. [1] C. M. Hurvich and C.-L. Tsai, "Regression and time series model selection in small
       samples", Biometrika 76 (1989) 297-307.
    """
    n_parameters = problem.experts.minimum_rows
    n_outputs = problem.y.size / len(problem.y)
    room = np.maximum(rows - n_parameters - 1, 1.0)
    return n_outputs * (n_parameters * (n_parameters + 1) / room).sum()
