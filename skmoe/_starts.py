"""Starting responsibilities: unlike starts, of which a short EM run picks the best.

No single start is safe. Each function below takes standardised columns ``X`` (n, d), the
standardised target ``y`` (n, m), or the class numbers (n,) of classifiers, the weights, the number
of experts and a random state, and returns labels (n,) or responsibilities (n, K). What is drawn are
parameters (quantiles, directions, functions) and never rows, so that a row of weight 2 is a row
given twice.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse, special
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ._em import run_em
from ._parallel import jobs
from ._statistics import standardisation
from ._tables import numeric_matrix

K_MEANS_STEPS = 20  # EM goes on from there anyway
HARD_SHARE = 0.9  # of a label; the rest is spread so that empty experts can grow
FEWEST_ROWS = 5000  # that starts are tried on, where there are more than twice as many
ROWS_PER_COEFFICIENT = 20
SHORT_RUN = 10  # EM iterations to tell a good start from a bad one
FIRST_LOOK = 4  # iterations, after which the hopeless ones end
SLOW_RATE = 0.95  # by which gains shrink at the fastest, for all that is known so early
FINALISTS = 5  # starts that go on
LONGER_RUN = 50  # for so many iterations more, to tell the best of them
SAME = 1e-6  # per unit of weight; starts closer than this have most likely met
TIE = 1e-9  # per unit of weight; the first of equal starts wins
MOST_COLUMNS = 50  # for starts: a linear fit on thousands would cost more than what it starts
SUBSPACE_ITERATIONS = 6
COVARIANCE_RIDGE = 1e-2  # of the Gaussian start, on standardised columns


def start_columns(Z, weight):
    """What starts look at: standardised numbers, or their principal components if too many.

    Parameters
    ----------
    Z : DataFrame, ndarray or sparse matrix of n_samples rows
        What the gate sees.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.

    Returns
    -------
    columns : ndarray of shape (n_samples, n_columns)
        Of mean variance one; 50 columns at most.
    """
    if sparse.issparse(Z) and Z.shape[1] > MOST_COLUMNS:
        columns = sparse.csr_array(Z)  # not centred: that would fill it
    else:
        columns = numeric_matrix(Z)
        mean, scale = standardisation(columns, weight)
        columns = (columns - mean) / scale
        if columns.shape[1] <= MOST_COLUMNS:
            return columns
    components = columns @ _principal_directions(columns, weight / weight.sum())
    components = components - weight @ components / weight.sum()
    variance = weight @ components**2 / weight.sum()
    return components / np.sqrt(max(variance.mean(), 1e-300))


def enough_rows(n_experts, data):
    """How many rows tell good starts from bad ones."""
    return max(FEWEST_ROWS, ROWS_PER_COEFFICIENT * n_experts * (data.Z.shape[1] + 1))


def spread_rows(Z, y, weight, n_rows):
    """Rows at even steps of cumulative weight along a fixed direction.

    A row of weight 2 is two rows there too, so nothing depends on how often a row is repeated.

    Parameters
    ----------
    Z : DataFrame, ndarray or sparse matrix of n_samples rows
        What the gate sees.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Target.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    n_rows : int
        How many steps; a row of large weight takes several.

    Returns
    -------
    rows : ndarray of ints
        Row numbers, in the order of the direction.
    weight : ndarray of shape (len(rows),)
        Their weights, with the same sum as that of all rows.
    """
    random_state = np.random.RandomState(0)
    place = _along(random_state, y.reshape(len(y), -1).astype(float), weight)
    place += _along(random_state, Z if sparse.issparse(Z) else numeric_matrix(Z), weight)
    order = np.argsort(place, kind="stable")
    del place  # these are arrays of all rows
    cumulative = weight[order]
    np.cumsum(cumulative, out=cumulative)
    steps = (np.arange(n_rows) + 0.5) * cumulative[-1] / n_rows
    places, counts = np.unique(np.searchsorted(cumulative, steps, side="right"), return_counts=True)
    return order[places], counts * cumulative[-1] / n_rows


def _along(random_state, columns, weight):
    """Standardised columns times a drawn direction; sparse ones are scaled only."""
    direction = random_state.standard_normal(columns.shape[1])
    if sparse.issparse(columns):
        share = weight / weight.sum()
        size = np.sqrt(share @ columns.power(2))
        return columns @ (direction / np.where(size > 0, size, 1.0))
    mean, scale = standardisation(columns, weight)
    direction = direction / scale
    place = columns @ direction
    place -= mean @ direction
    return place


def _principal_directions(columns, share):
    """Leading eigenvectors of the weighted Gram matrix by subspace iteration, (p, 50).

    It starts from directions and sees the rows only through their weighted sums, so that a row
    of weight 2 is a row given twice.
    """
    random_state = np.random.RandomState(0)
    directions = random_state.standard_normal((columns.shape[1], MOST_COLUMNS))
    for _ in range(SUBSPACE_ITERATIONS):
        products = columns.T @ (share[:, None] * (columns @ directions))
        directions, _ = np.linalg.qr(products)
    return directions


def draw_rows(points, mass, n_rows, random_state):
    """Rows far from each other (greedy k-means++), drawn as quantiles along a random direction.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_columns)
        Rows to draw from.
    mass : ndarray of shape (n_samples,)
        Weights of the rows.
    n_rows : int
        How many to draw.
    random_state : RandomState
        Draws the direction and the quantiles.

    Returns
    -------
    drawn : ndarray of shape (n_rows, n_columns)
        Some of the points.
    """
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
            if left < best_left * (1 - 1e-9):  # rounding does not choose
                best_left, best_row, best_nearest = left, row, nearest
        drawn.append(points[best_row])
        distance = best_nearest
    return np.array(drawn)


def _k_means(points, weight, n_experts, random_state):
    centres = draw_rows(points, weight, n_experts, random_state)
    k_means = KMeans(n_experts, init=centres, n_init=1, tol=0.0, max_iter=K_MEANS_STEPS)
    with warnings.catch_warnings():  # fewer distinct rows than experts is nothing to warn of
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
    if y.ndim == 1:  # in an order in which the names of the classes have no part
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


# In the order of what each adds to those before it; the first ones come twice among ten.
STARTS = {
    "kmeans_y": k_means_y,
    "gaussians": gaussians,
    "kmeans_xy": k_means_xy,
    "functions": functions,
    "kmeans_x": k_means_x,
    "residuals": residuals,
}
STARTS_OF_CLASSES = ("functions", "kmeans_x", "gaussians")


def start_names(init, of_classes):
    """Names of the starts to go through in turn."""
    if init == "auto":
        return list(STARTS_OF_CLASSES if of_classes else STARTS)
    if of_classes and init not in STARTS_OF_CLASSES:
        raise ValueError(
            f"init={init!r} looks at the target as at numbers, which makes experts of the classes; "
            f"a classifier starts from 'auto', a callable or one of {list(STARTS_OF_CLASSES)}."
        )
    return [init]


def soften(labels, n_experts):
    """Responsibilities (n, K) from labels (n,), or those given."""
    if labels.ndim == 2:
        return labels
    resp = np.full((len(labels), n_experts), (1 - HARD_SHARE) / n_experts)
    resp[np.arange(len(labels)), labels] += HARD_SHARE
    return resp


def best_start(problem, starts, n_jobs):
    """Run EM briefly from each start, longer from the best; the state after the best run.

    Parameters
    ----------
    problem : Mixture
        With experts that are quick to fit; it is left alone.
    starts : list of ndarray of shape (n_samples, n_experts)
        Responsibilities.
    n_jobs : int or None
        How many runs go side by side.

    Returns
    -------
    state : object
        For ``problem.restore``.
    ends : list of (float, float)
        Where each run ended that tells good starts from bad ones: objective, and fewest
        effective rows of an expert.
    paths : list of list of float
        Objectives of each run, one for each iteration; longer ones of those that went on.
    """
    with jobs(n_jobs, shared=(problem,)) as run:
        return _best_of_runs(problem, starts, run)


@dataclass
class _Contestant:
    """A start on its way: responsibilities, then what EM made of them."""

    number: int
    resp: np.ndarray | None
    state: object = None
    objectives: list = field(default_factory=list)
    converged: bool = False
    fewest_rows: float = np.nan

    @property
    def objective(self):
        """The best so far."""
        return max(self.objectives)

    def may_reach(self, objective):
        """Whether gains that go on to shrink as the last one did, or slowly, lead so far."""
        if self.converged or len(self.objectives) < 3:
            return not self.objective < objective
        before, gain = np.diff(self.objectives[-3:])
        rate = gain / before if before > 0 else 1.0
        if not rate < 1:  # it gathers speed
            return True
        rate = max(rate, SLOW_RATE)
        return not self.objectives[-1] + gain * rate / (1 - rate) < objective


def _best_of_runs(problem, starts, run):
    runs = _race([_Contestant(i, resp) for i, resp in enumerate(starts)], SHORT_RUN, run)
    paths = [contestant.objectives for contestant in runs]
    ends = [(contestant.objective, contestant.fewest_rows) for contestant in runs]
    finalists = []
    while runs and len(finalists) < FINALISTS:
        best = _best(runs)
        finalists.append(best)
        runs = [other for other in runs if abs(other.objective - best.objective) > SAME]
        runs = [other for other in runs if other.may_reach(finalists[0].objective)]
    if len(finalists) > 1:
        finalists = _race(finalists, LONGER_RUN, run)
    for finalist in finalists:
        paths[finalist.number] = finalist.objectives
    return _best(finalists).state, ends, paths


def _race(contestants, max_iter, run):
    """So many iterations of each, but for those that are hopelessly behind after the first few.

    The limit that they head for is projected from the last gains by Aitken's method.
    """
    first = run(_go_on, ((contestant, FIRST_LOOK) for contestant in contestants))
    best = _best(first).objective
    going = [not c.converged and c.may_reach(best) for c in first]
    rest = iter(
        run(_go_on, ((c, max_iter - FIRST_LOOK) for c, go in zip(first, going, strict=True) if go))
    )
    return [next(rest) if go else c for c, go in zip(first, going, strict=True)]


def _best(runs):
    """The contestant of the highest objective; of equal ones the first."""
    best = runs[0]
    for other in runs[1:]:
        if other.objective > best.objective + TIE or np.isnan(best.objective):
            best = other
    return best


def _go_on(problem, contestant, max_iter):
    problem = problem.fork()
    if contestant.state is None:
        problem.start(contestant.resp)
    else:
        problem.restore(contestant.state)
    ran = run_em(problem, max_iter=max_iter, tol=1e-6, patience=1)
    return _Contestant(
        contestant.number,
        None,
        problem.state(),
        contestant.objectives + ran.objectives,
        ran.converged,
        problem.effective_rows().min(),
    )


def check_responsibilities(resp, weight, n_experts):
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


class Neighbours:
    """Finds the rows around a place where the mixture fits badly, for a dead expert.

    Parameters
    ----------
    data : TrainingData
        With ``points`` (n_samples, n_columns), standardised columns and target, which are made
        when an expert dies, and ``weight`` (n_samples,).
    """

    n_candidates = 16

    def __init__(self, data):
        self.data = data

    def __call__(self, loss, mass):
        """Rows of about the weight ``mass`` around the candidate of highest mean loss.

        Parameters
        ----------
        loss : ndarray of shape (n_samples,)
            Negative log-density of each row.
        mass : float
            Weight wanted.

        Returns
        -------
        rows : ndarray of ints
            Row numbers.
        """
        points, weights = self.data.points, self.data.weight
        order = np.argsort(-loss, kind="stable")
        order = order[weights[order] > 0]
        cumulative = np.cumsum(weights[order])
        quantiles = np.linspace(0, 0.1, self.n_candidates) * cumulative[-1]
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
