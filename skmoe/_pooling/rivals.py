"""Other numbers of regimes, and other partitions into as many, of nearly as much evidence."""

import copy
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import optimize, special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from sklearn.tree import DecisionTreeRegressor

from .._em.loop import count
from .._families.counts import BinomialFamily, NegativeBinomialFamily, PoissonFamily
from .._parallel import few_threads
from .parts import pooled_parts

CLOSE = 3.0  # nats over all rows: a factor of 20
ALIKE = 0.9  # adjusted Rand index of partitions that are told as one
MANY = 5  # experts, of which another seed may well find others
MOST_TRIED = 3  # rivals that are given the time to converge


class Rivals:
    """Mixtures that a search came by, to look among them for another partition of the rows.

    Parameters
    ----------
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    converge : callable
        ``converge(problem)`` iterates a problem to its optimum, and returns it: many were given up
        before, and may be on their way to the mixture that is kept.
    """

    def __init__(self, weight, converge):
        self.weight, self.converge, self._seen = weight, converge, []

    def add(self, problem):
        """Remember a mixture."""
        if problem.experts.n_experts > 1:
            self._seen.append(problem.fork())

    def close_to(self, chosen):
        """Other partitions of nearly as much evidence, or more, converged; a list of problems."""
        close = [each for each in self._seen if self._compared(chosen, each) is not None]
        close = sorted(close, key=lambda each: -each.evidence)[:MOST_TRIED]
        return [self.converge(each) for each in close]

    def _compared(self, chosen, problem):
        """Nats behind, and Rand index, if that is close and not the same; else None."""
        nats = self.weight.sum() * (chosen.evidence - problem.evidence)
        n_regimes, labels = partition(chosen)
        if nats >= CLOSE or n_regimes != count_regimes(problem):
            return None
        rand = rand_index(labels, partition(problem)[1], self.weight)
        return (nats, rand) if rand < ALIKE else None

    def notes(self, chosen, word="regime"):
        """That another partition is close to that of the chosen mixture, a sentence; a list.

        The partition is one into what ``word`` says, "regime" or "expert".
        """
        found = [self._compared(chosen, each) for each in self.close_to(chosen)]
        found = [each for each in found if each is not None]
        if not found:
            return []
        n_regimes, (nats, rand) = count_regimes(chosen), min(found)
        side = "behind" if nats >= 0 else "ahead"
        return [
            f"Another partition of the rows into {n_regimes} {word}s (adjusted Rand index "
            f"{round(rand, 2) + 0.0:.2f}) is {abs(nats):.1f} nats {side}: which rows belong "
            "together is a close call."
        ]


def close_numbers(support, chosen, word="regime"):
    """That other numbers are close to the one that is kept, a sentence; a list.

    ``support`` has the log-evidence over all rows of each number; ``word`` says what is counted,
    "regime" or "expert".
    """
    lead = {k: support[chosen] - each for k, each in support.items() if k != chosen}
    close = {k: nats for k, nats in lead.items() if nats < CLOSE}
    if not close:
        return []
    found = " and ".join(
        f"{count(k, word)} {'is' if k == 1 else 'are'} {abs(nats):.1f} nats "
        + ("behind" if nats >= 0 else "ahead of")
        for k, nats in close.items()
    )
    return [
        f"The number of {word}s is a close call: by log-evidence over all rows, {found} {chosen}."
    ]


def count_regimes(problem):
    """Number of regimes of a pooled mixture."""
    ties = problem.experts.ties
    return problem.experts.n_experts if ties is None else ties.n_regimes


def partition(problem):
    """Number of regimes of a pooled mixture, and that of each row, (n_samples,)."""
    ties, resp, n_regimes = problem.experts.ties, problem.resp, count_regimes(problem)
    regime = np.arange(n_regimes) if ties is None else ties.regime
    of_regimes = [resp[:, regime == r].sum(axis=1) for r in range(n_regimes)]
    return n_regimes, np.argmax(of_regimes, axis=0)


def rand_index(labels, others, weight):
    """Adjusted Rand index of two partitions, by weight, of pairs of rows drawn with replacement.

    For many rows it is that of pairs of different rows, and a weight of 2 is a row given twice.
    """
    shared = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(shared, (labels, others), weight / weight.sum())
    both = np.square(shared).sum()
    one, other = (np.square(shared.sum(axis=axis)).sum() for axis in (0, 1))
    by_chance, most = one * other, 0.5 * (one + other)
    return 1.0 if most == by_chance else float((both - by_chance) / (most - by_chance))


# One curve in place of several lines: a regression on spline columns, by the same evidence -------

# A line of the target's logarithm, with errors of one size there, is a curve as well, and its
# errors are skewed and grow with the mean.
#
# Lines between which the gate goes by one column imitate a curve of that column, or a line with a
# bend. Both are one regression function, without steps: cubic splines of the column, or linear
# ones with knots where the gate goes from one regime to the next, beside all other columns as
# they are. A curve of any column, of both kinds, is as probable beforehand.


N_KNOTS = 5
FEWEST_VALUES = 10  # of a column that a target can be a curve of


@dataclass(frozen=True)
class Curve:
    """A curve of one column in place of regimes."""

    column: str  # its name
    nats: float  # by how much the log-evidence of the curve is higher than theirs, over all rows


def best_curve(search, problem, regime):
    """The curve in place of a mixture of regimes, of the column that parts them most.

    ``regime`` (n_experts,) numbers those of the mixture that ``search`` found. None where no column
    has many values, or columns outnumber rows.
    """
    trainer, experts = search.trainer, problem.experts
    if experts.columns.basis is not None:
        return None
    X, proba = experts.design[:, :-1], problem.gate.proba
    proba = proba @ np.equal.outer(regime, np.arange(regime.max() + 1))
    own = problem.weight[:, None] * proba
    centres = own.T @ X / own.sum(axis=0)[:, None]
    apart = own.sum(axis=0) @ centres**2
    bends = np.array([len(np.unique(column)) >= FEWEST_VALUES for column in X.T])
    if not bends.any():
        return None
    j = int(np.where(bends, apart, -1).argmax())
    column, others = X[:, [j]], np.delete(X, j, axis=1)
    in_order = pairwise(centres[:, j].argsort())
    borders = [np.average(X[:, j], weights=own[:, r] * proba[:, s]) for r, s in in_order]
    knots = np.unique([column.min(), *borders, column.max()])[:, None]
    has_tails = len(regime) > proba.shape[1]
    block = None if experts.columns.block is None else np.delete(experts.columns.block, j)
    splines = SplineTransformer(N_KNOTS), SplineTransformer(degree=1, knots=knots)
    designs = [np.hstack([others, spline.fit_transform(column)]) for spline in splines]
    evidence = [_evidence(search, trainer.data, each, block, has_tails) for each in designs]
    nats = special.logsumexp(evidence) - np.log(2 * bends.sum())
    nats -= search.n_rows * problem.evidence
    return Curve(trainer.name_of_column(j), float(nats))


def line_of_logarithm(search, problem, regime):
    """That one line of ``log(y)`` is ahead of a mixture of regimes, a sentence; a list.

    Empty where the target is not positive, or has several outputs.
    """
    data, experts = problem.data, problem.experts
    smallest = data.y[data.weight > 0].min()
    if not experts.can_be_wider or data.y.ndim > 1 or smallest <= 0:
        return []
    has_tails = len(regime) > regime.max() + 1
    logarithm = replace(data, y=np.log(np.maximum(data.y, smallest)))
    nats = _evidence(search, logarithm, experts.design[:, :-1], experts.columns.block, has_tails)
    nats -= data.weight @ logarithm.y + search.n_rows * problem.evidence
    if nats <= CLOSE:
        return []
    return [
        f"The {regime.max() + 1} regimes may be one line of the target's logarithm: by "
        f"log-evidence over all rows, it is {nats:.1f} nats ahead. Compare "
        "likelihood='log_normal'."
    ]


def _evidence(search, data, design, block, has_tails):
    """Log-evidence of one regime on these columns and rows, over all rows.

    Columns of the design behind those of ``block`` are no levels.
    """
    trainer, data = copy.copy(search.trainer), replace(data, units=None)
    if block is not None:
        block = np.pad(block, (0, design.shape[1] - len(block)))
    trainer.data, trainer.lines = data, {}
    trainer.experts, _ = pooled_parts(
        trainer.parts, design, data, lambda each: each.start(data.y, data.weight, 1), block
    )
    return search.n_rows * type(search)(trainer).of_one_regime(has_tails).evidence


# One regression whose errors are larger in some rows than in others, against a mixture of lines
# ---

# A softmax gate leads from narrow errors to wide ones along the columns, and errors that are wide
# at both ends of a column look like lines that cross. Here the variance of the errors is a
# function of its own, ``log s^2 = c + f(x)`` [1]_: linear in all columns, or a square or a spline
# of one. It is learned by a regression of the squared errors of one line with a Gamma likelihood,
# whose maximum is that of normal errors [2]_, or of Student's t ones with the weights of EM.
# Where its evidence, by BIC, is as high as that of the mixture, there is one regime.
#
# References
# ----------
# .. [1] A. C. Harvey, "Estimating regression models with multiplicative heteroscedasticity",
#    Econometrica 44 (1976) 461-465.
# .. [2] G. K. Smyth, "Generalized linear models with varying dispersion", Journal of the Royal
#    Statistical Society B 51 (1989) 47-60.


SMALLEST = 1e-3  # squared error, in units of their mean: as rounding has it
SPREAD_PENALTY = 1e-3  # of the regression, per row
LEVELS = 3  # of spread: wide errors at both ends of a column, and narrow ones between
FAR = 4.0  # standard deviations of a column, beyond which it does not change the spread
HEAVY, N_STEPS = 4.0, 4  # degrees of freedom of heavy tails, and steps of EM to them
FEWEST_SPREAD_VALUES = 4  # of a column that a spread can be a curve of


def uneven_line(one):
    """One line whose errors have an uneven spread, in place of several.

    ``one`` is the mixture of one expert; its outputs have one such function. Returns the
    log-evidence over all rows, by BIC, where each of the functions has the same prior probability;
    and as responsibilities (n_samples, 3) the rows of three levels of the likeliest function.
    """
    weight, n_rows = one.weight, one.weight.sum()
    X = np.clip(one.experts.design[:, :-1], -FAR, FAR)
    squares = one.experts.squared_errors().ravel()
    squares = np.maximum(squares / (weight @ squares / n_rows), SMALLEST)
    bases, spline = [X], SplineTransformer(degree=1, knots="quantile")
    for column in X.T[:, :, None]:
        if len(np.unique(column)) >= FEWEST_SPREAD_VALUES:
            bases += [
                PolynomialFeatures(include_bias=False).fit_transform(column),
                spline.fit_transform(column, sample_weight=weight),
            ]
    given = squares, weight, len(one.experts.posteriors)
    normal = [_uneven(basis, *given, np.inf) for basis in bases]
    best = np.argmax([gain for gain, _ in normal])
    heavy = _uneven(bases[best], *given, HEAVY)
    gains = [*(gain for gain, _ in normal), heavy[0] - 0.5 * np.log(n_rows)]
    variance = max(normal[best], heavy, key=lambda each: each[0])[1]
    evidence = n_rows * one.evidence + special.logsumexp(gains) - np.log(len(gains))
    tree = DecisionTreeRegressor(max_leaf_nodes=LEVELS, random_state=0)
    levels = tree.fit(X, np.log(variance), weight).apply(X)
    return float(evidence), np.equal.outer(levels, np.unique(levels)).astype(float)


def _uneven(basis, squares, weight, n_outputs, df):
    """What errors gain by a variance that depends on the basis, less its cost; and it.

    They are of Student's t of ``df`` degrees of freedom, fitted by EM, or normal.
    """
    is_normal, of_row = np.isinf(df), np.ones(len(squares))
    for _ in range(1 if is_normal else N_STEPS):
        variance = _variance(basis, of_row * squares, weight)
        z = n_outputs * squares / variance
        of_row = 1.0 if is_normal else (df + n_outputs) / (df + z)
    log_density = -0.5 * z
    if not is_normal:
        half = 0.5 * (df + n_outputs)
        log_density = special.gammaln(half) - special.gammaln(0.5 * df) - half * np.log1p(z / df)
        log_density -= 0.5 * n_outputs * np.log(0.5 * df)
    gain = weight @ (log_density + 0.5 * n_outputs * (squares - np.log(variance)))
    centred = basis - np.average(basis, axis=0, weights=weight)
    cost = 0.5 * np.linalg.matrix_rank(centred[weight > 0]) * np.log(weight.sum())
    return gain - cost, variance


def _variance(basis, squares, weight):
    regression = GammaRegressor(alpha=SPREAD_PENALTY, solver="newton-cholesky")
    # What it has reached can be had; steps that are too long overflow, and shorter ones follow.
    quiet = warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
    with few_threads(basis.size), quiet, np.errstate(over="ignore", invalid="ignore"):
        return regression.fit(basis, squares, weight).predict(basis)


# One regression behind counts and successes that vary more than their likelihood allows for ------

# Experts of one regime have offsets that are as probable in all rows, so that counts are any
# mixture of ``Poisson(c_k mu)``, and successes one of rates whose log-odds are shifted. Rates
# that vary on their own scale are neither. A negative binomial [1]_ and a beta-binomial
# regression [2]_ have one regression function; where their evidence, by BIC, is as high as that
# of the mixture, there is one regime.
#
# References
# ----------
# .. [1] J. F. Lawless, "Negative binomial and mixed Poisson regression", Canadian Journal of
#    Statistics 15 (1987) 209-225.
# .. [2] D. A. Williams, "The analysis of binary responses from toxicological experiments involving
#    reproduction and teratogenicity", Biometrics 31 (1975) 949-952.


SLOPE_PENALTY = 0.1  # of slopes: they are finite where the columns separate rates of zero
LARGEST_LINEAR, LARGEST_LOG_SIZE = 30.0, 15.0  # so far, nothing is different from infinity


def overdispersed_evidence(problem, family):
    """Log-evidence over all rows, by BIC, of one regression with overdispersion.

    Minus infinity for a ``glm`` that has none.
    """
    if family not in LOSSES:
        return -np.inf
    design, data = problem.experts.design, problem.data
    size = np.ones(len(design)) if data.exposure is None else data.exposure
    start = np.zeros(design.shape[1] + 1)
    given = (design, np.ravel(data.y), size, problem.weight, LOSSES[family])
    found = optimize.minimize(_overdispersed_loss, start, given, method="L-BFGS-B", jac=True)
    return float(-found.fun - 0.5 * len(start) * np.log(problem.weight.sum()))


def _overdispersed_loss(theta, design, y, size, weight, log_density):
    """Penalised negative log-likelihood, and its gradient; the logarithm of a size comes last."""
    slopes = np.append(theta[:-2], 0.0)
    linear = np.clip(design @ theta[:-1], -LARGEST_LINEAR, LARGEST_LINEAR)
    log_size = np.clip(theta[-1], -LARGEST_LOG_SIZE, LARGEST_LOG_SIZE)
    value, by_linear, by_size = log_density(y, size, linear, np.exp(log_size))
    gradient = np.append(design.T @ (weight * by_linear) - SLOPE_PENALTY * slopes, weight @ by_size)
    return 0.5 * SLOPE_PENALTY * slopes @ slopes - weight @ value, -gradient


def _negative_binomial(y, exposure, linear, shape):
    """Log-probability, and its slopes in the linear function and in ``log(shape)``."""
    family = NegativeBinomialFamily()
    value = family.log_density(y, exposure * np.exp(linear), shape)
    return value, *family.first(y, linear, shape, exposure)


def _beta_binomial(y, trials, linear, size):
    """Log-probability, and its slopes in the log-odds and in ``log(size)``."""
    rate, other = special.expit(linear), special.expit(-linear)
    a, b = size * rate, size * other
    value = special.betaln(y + a, trials - y + b) - special.betaln(a, b)
    value -= special.betaln(y + 1, trials - y + 1) + np.log1p(trials)
    common = special.digamma(size) - special.digamma(trials + size)
    by_a = special.digamma(y + a) - special.digamma(a) + common
    by_b = special.digamma(trials - y + b) - special.digamma(b) + common
    return value, size * rate * other * (by_a - by_b), a * by_a + b * by_b


LOSSES = {PoissonFamily(): _negative_binomial, BinomialFamily(): _beta_binomial}
