"""Other numbers of regimes, and other partitions into as many, of nearly as much evidence."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy import linalg, optimize, special

from .._families.counts import BinomialFamily, NegativeBinomialFamily, PoissonFamily
from .._numerics import multinomial
from .._numerics.columns import kind_of_target
from .._reports.column_names import columns_behind
from .error_models import shape_log_likelihood, variance_regression
from .problem import cheapest_merger, pooled_parts

CLOSE = 3.0  # nats over all rows: a factor of 20
ALIKE = 0.9  # adjusted Rand index from which two partitions are reported as one
MANY = 5  # experts, of which another seed often finds different ones
MOST_TRIED = 3  # rivals that are iterated to convergence


@dataclass
class Rivals:
    """Mixtures that a search came by, to look among them for another partition of the rows."""

    weight: np.ndarray  # (n_samples,): weights of the rows
    # ``converge(problem)`` iterates a problem to its optimum, and returns it: many were given up
    # before, and may be on their way to the mixture that is kept.
    converge: Callable
    _seen: list = field(default_factory=list)

    def add(self, problem):
        """Remember a mixture."""
        if problem.experts.n_experts > 1:
            self._seen.append(problem.fork())

    def close_to(self, chosen):
        """Other partitions of nearly as much evidence, or more, converged; a list of problems."""
        close = [each for each in self._seen if self._compared(chosen, each) is not None]
        close = sorted(close, key=lambda each: -each.evidence)[:MOST_TRIED]
        return [each if each.is_at_optimum else self.converge(each) for each in close]

    def without_copies(self, support, chosen):
        """``support`` without larger numbers than the chosen one of which two experts are as one.

        A copy of an expert costs the prior of its share alone, some 2.5 nats of any rows.
        """
        for each in sorted(self._seen, key=lambda each: each.evidence):
            k = each.experts.n_experts
            gate = each.gate
            if k > chosen and each.experts.ties is None:
                loss, _ = cheapest_merger(each.experts, each.resp, gate.log_proba, gate.weight)
                support |= {k: -np.inf if loss < CLOSE else support.get(k, each.evidence)}
        return support

    def _compared(self, chosen, problem):
        """Nats behind, and Rand index, if that is close and not the same; else None."""
        nats = self.weight.sum() * (chosen.evidence - problem.evidence)
        if nats >= CLOSE or count_regimes(chosen) != count_regimes(problem):
            return None
        rand = rand_index(partition(chosen), partition(problem), self.weight)
        if rand < ALIKE:
            return (nats, rand)
        return None

    def notes(self, chosen, word="regime"):
        """That another partition is close to that of the chosen mixture, a sentence; a list.

        The partition is one into what ``word`` says, "regime" or "expert".
        """
        found = [each for other in self.close_to(chosen) if (each := self._compared(chosen, other))]
        if not found:
            return []
        n_regimes = count_regimes(chosen)
        (nats, rand) = min(found)
        return [
            f"Another partition of the rows into {n_regimes} {word}s (adjusted Rand index "
            f"{round(rand, 2) + 0.0:.2f}) has a log-evidence {_lead(nats)} that of this "
            "one: which rows belong together is a close call."
        ]


def close_numbers(support, chosen, word="regime"):
    """That other numbers are close to the one that is kept, a sentence; a list.

    ``support`` has the log-evidence over all rows of each number; ``word`` says what is counted,
    "regime" or "expert".
    """
    found = [
        f"of {k} is {_lead(support[chosen] - each)} that of {chosen}"
        for k, each in support.items()
        if k != chosen and support[chosen] - each < CLOSE
    ]
    start = f"The number of {word}s is a close call"
    if word == "regime":
        start += " (ties count once)"
    if found:
        return [f"{start}: the log-evidence {' and that '.join(found)}."]
    return []


def _lead(nats):
    return f"{abs(nats):.1f} nats {'below' if nats >= 0 else 'above'}"


def count_regimes(problem):
    """Number of regimes of a pooled mixture."""
    ties = problem.experts.ties
    if ties is None:
        return problem.experts.n_experts
    return ties.n_regimes


def partition(problem):
    """Number of the regime of each row, (n_samples,)."""
    ties = problem.experts.ties
    n_regimes = count_regimes(problem)
    members = np.eye(n_regimes)[range(n_regimes) if ties is None else ties.regime]
    return np.argmax(problem.resp @ members, axis=1)


def rand_index(labels, others, weight):
    """Adjusted Rand index of two partitions, by weight, of pairs of rows drawn with replacement.

    For many rows it is that of pairs of different rows, and a weight of 2 is a row given twice.
    """
    shared = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(shared, (labels, others), weight / weight.sum())
    both = np.square(shared).sum()
    one, other = (np.square(shared.sum(axis=axis)).sum() for axis in (0, 1))
    by_chance = one * other
    most = 0.5 * (one + other)
    if most == by_chance:
        return 1.0
    return float((both - by_chance) / (most - by_chance))


# One regression function in place of several planes, by the same evidence -----------------------

# Planes imitate a surface, each in a part of the rows, and errors that are skewed or grow with the
# mean. Their rivals are single experts: the plane with squares, products and bends of columns and a
# curve of its own prediction [3]_, by forward selection with BIC [1]_, [2]_; a plane of the log
# of the target, both with any errors; and a log-linear model of counts. No levels interact.
#
# References
# ----------
# .. [1] J. H. Friedman, "Multivariate adaptive regression splines", Annals of Statistics 19 (1991)
#    1-67.
# .. [2] J. Chen and Z. Chen, "Extended Bayesian information criteria for model selection with large
#    model spaces", Biometrika 95 (2008) 759-771.
# .. [3] J. W. Tukey, "One degree of freedom for non-additivity", Biometrics 5 (1949) 232-242.


KNOTS = np.arange(1, 6) / 6  # quantiles of a column at which it may bend
MOST_ENTRIES = 4_000_000  # of candidate columns in memory
MOST_TERMS = 12
CALIBRATED = "one expert with calibrated probabilities, which some rows do not follow"
DEPENDENT = 1e-8
TINY = 1e-300  # part of the squares of a column that is rounding; no square
SHAPE_STEPS = 30  # of EM


def best_surface(search, problem):
    """By how many nats one regression function is ahead of a mixture of several, and notes on it.

    It is the best of those that are compared; minus infinity where columns outnumber rows.
    """
    experts = problem.experts
    data = problem.data
    trainer = search.trainer
    if experts.columns.is_wide:
        return -np.inf, []
    X = experts.standard[:, :-1]
    one = trainer.one_line()
    y = data.y[data.weight > 0]
    found = {(): -np.inf}
    notes = []
    kind = "Regressor"

    def compare(what, call, plus, data, design=None, terms=()):
        value, errors = _evidence(search, data, design)
        having = " and ".join(", ".join([*terms, *errors]).rsplit(", ", 1))
        if having:
            having = f" It has {having}."
        found[what, having, call] = value + plus

    if trainer.parts.classes is not None:
        kind = "Classifier"
        design = experts.design
        labels = data.y.astype(int)
        gain = gain_of_calibration(design, labels, data.weight, len(trainer.parts.classes))
        found[CALIBRATED, "", "CalibratedClassifierCV"] = gain + search.n_rows * one.evidence
    names, terms, log_prior = _chosen(trainer, one.experts)
    if names:
        call = f"MixtureOfExperts{kind}(HistGradientBoosting{kind}(), n_experts=1) by log_score"
        compare("one linear model", call, log_prior, data, np.hstack([X, terms]), terms=names)
    if experts.can_be_wider and y.ndim == 1:
        compare("one linear model", "sklearn's QuantileRegressor", 0.0, data)
        top = 1.0 if y.max() < 1 else 100.0
        small = np.clip(data.y, y.min(), y.max())
        if y.min() > 0:
            call = "MixtureOfExpertsRegressor(n_experts=1, likelihood='log_normal') by log_score"
            what = "one linear model of the target's logarithm"
            plus = -data.weight @ np.log(small)
            compare(what, call, plus, replace(data, y=np.log(small)), X)
        if y.min() > 0 and top / 2 < y.max() < top:
            part = small / top
            plus = -data.weight @ np.log(top * part * (1 - part))
            what = f"one linear model of the log-odds of y / {top:g}"
            call = "a model of these log-odds"
            compare(what, call, plus, replace(data, y=special.logit(part)), X)
        to_beat = max(search.n_rows * problem.evidence - CLOSE, *found.values())
        if y.min() >= 0 and (y == np.round(y)).all() and _most_of_counts(problem) > to_beat:
            value = overdispersed_evidence(problem, PoissonFamily)
            found["one log-linear model of counts", "", "likelihood='negative_binomial'"] = value
        notes += filter(None, [kind_of_target(data.y, data.weight)])
    best = max(found, key=found.get)
    nats = found[best] - search.n_rows * problem.evidence
    if nats > -CLOSE:
        is_clear = nats > CLOSE and experts.can_be_tied
        (what, having, call) = best
        text = f"{'No regimes were found' if is_clear else 'There may be no regimes'}: {what} "
        text += f"explains the rows {'better than' if nats > 0 else 'nearly as well as'} "
        text += f"{experts.n_experts} experts ({nats:+.1f} nats)."
        notes.insert(0, f"{text}{having} Compare held-out scores with {call}.")
    return nats, notes


def _chosen(trainer, one):
    """Names of what one expert lacks, columns (n_samples, n_names) of these, and their log-prior.

    Products, squares and bends are added forwards, as long as each pays by extended BIC.
    """
    weight = trainer.data.weight
    block = one.columns.block
    parts = trainer.parts
    is_used = (weight > 0)[:, None]  # rows without weight may have values of any size
    X = np.where(is_used, one.standard[:, :-1], 0.0)
    if block is None:
        numbers = np.arange(X.shape[1])
    else:
        numbers = np.flatnonzero(block == 0)
    # Only columns with the largest slopes, if there are many.
    slopes = one.columns.standard(one.coef[0].reshape(one.design.shape[1], -1))
    slopes = np.abs(slopes[:-1]).max(axis=1)[numbers]
    numbers = numbers[np.argsort(-slopes)[: int(np.sqrt(2 * MOST_ENTRIES / len(X)))]]
    names = columns_behind(parts.transformer, X.shape[1], parts.feature_names).names
    columns = {names[j]: X[:, j] for j in np.sort(numbers)}
    terms = [(f"the term {a} * {b}", columns[a] * columns[b]) for a, b in combinations(columns, 2)]
    prediction = np.where(is_used, one.predictions.reshape(len(X), -1), 0.0)
    if prediction.shape[1] == 1:
        column = prediction[:, 0] - np.average(prediction, weights=weight, axis=0)
        columns["its linear prediction"] = column / (np.abs(column).max() + TINY)
    for name, column in columns.items():
        knots = np.quantile(column, KNOTS, weights=weight, method="inverted_cdf")
        curves = [column**2, *(np.maximum(column - knot, 0) for knot in np.unique(knots))]
        terms += [(f"a curve of {name}", curve) for curve in curves]
    if not terms:  # levels of strings alone, and several outputs or classes
        return [], X[:, :0], 0.0
    names, values = zip(*terms, strict=True)
    chosen = []
    terms = np.stack(values, axis=1)
    log_prior = -np.log(len(names) + 1)
    y = (trainer.data.y if parts.classes is None else one.labels).reshape(len(X), -1)
    root = np.sqrt(weight)[:, None]
    smallest = DEPENDENT * weight @ terms**2 + TINY
    left = root * (y - prediction)
    free = root * terms
    left /= np.abs(left).max(axis=0) + TINY  # squares are finite whatever the units of y
    taken = root * one.design
    for _ in range(MOST_TERMS):  # what is left is at right angles to what was taken before
        span = linalg.orth(taken, DEPENDENT)  # levels of one column may be sums of those of another
        left = left - span @ (span.T @ left)
        free = free - span @ (span.T @ free)
        size = np.maximum((free**2).sum(axis=0), smallest)
        part = (free.T @ left) ** 2 / size[:, None] / ((left**2).sum(axis=0) + TINY)
        gains = -0.5 * weight.sum() * np.log1p(-np.minimum(part, 1 - DEPENDENT)).sum(axis=1)
        if gains.max() <= 0.5 * left.shape[1] * np.log(weight.sum()) - log_prior:
            break
        chosen.append(int(gains.argmax()))
        taken = free[:, chosen[-1:]]
    return dict.fromkeys(names[j] for j in chosen), terms[:, chosen], len(chosen) * log_prior


def _evidence(search, data, design=None):
    """Log-evidence over all rows of one function on these columns, and its likeliest errors.

    Columns of the design behind the experts' are no levels; None are those of the one line.
    """
    trainer = copy.copy(search.trainer)
    if design is not None:
        block = trainer.experts.columns.block
        if block is not None:
            block = np.pad(block, (0, design.shape[1] - len(block)))
        trainer.data = data
        trainer.lines = {}
        trainer.experts, _ = pooled_parts(trainer.parts, design, data, block)
    one = trainer.one_line()
    value = search.n_rows * one.evidence
    if not one.experts.can_be_wider or data.y.ndim > 1:
        return value, []
    design = one.experts.design
    weight = data.weight
    errors = (one.experts.targets - design @ one.experts.coef[0])[:, 0]
    errors /= np.sqrt(np.average(errors**2, weights=weight))
    gain, variance = _uneven(search.spread, np.maximum(errors**2, SMALLEST), weight, 1, np.inf)
    cost = 0.5 * _rank(search.spread, weight) * np.log(search.n_rows)
    even = _gain_of_shape(errors, design, np.ones(len(design)), weight)
    uneven = _gain_of_shape(errors, design, np.sqrt(variance), weight) - cost
    shape = "skewed or heavy-tailed errors"
    gain, kind = max(
        (0.0, ""),
        (gain, "heteroscedastic errors"),
        (even, shape),
        (uneven, f"heteroscedastic and {shape}"),
    )
    if kind:
        return value + gain, [kind]
    return value, []


def _gain_of_shape(errors, design, sd, weight):
    """What errors (n_samples,) of variance 1 gain as mixtures of three normal ones, less the cost.

    Their scales are in proportion to ``sd``. The mixture is fitted by EM, with the coefficients
    that errors are around; costs are those of BIC.
    """
    gain = shape_log_likelihood(design, errors, sd, weight, SHAPE_STEPS, SMALLEST)
    gain += weight @ (0.5 * errors**2 - np.log(sd))
    return gain - 4 * np.log(weight.sum())  # eight parameters


# One regression whose errors are larger in some rows than in others -----------------------------

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
FAR = 4.0  # standard deviations of a column, beyond which it does not change the variance
HEAVY = 4.0
N_STEPS = 4  # degrees of freedom of heavy tails, and steps of EM to them
PARTS = np.arange(5) / 4  # quantiles of a column between which the logarithm is linear
FEWEST_SPREAD_VALUES = 4  # distinct values of a column of which the variance can be a curve


def uneven_line(one):
    """One line whose errors have an uneven spread, in place of several.

    ``one`` is the mixture of one expert; its outputs have one such function. Returns the
    log-evidence over all rows, by BIC, where each of the functions has the same prior probability;
    the likeliest function (n_samples,); and the columns (n_samples, q) that this is of.
    """
    X = np.clip(one.experts.standard[:, :-1], -FAR, FAR)
    weight = one.weight
    bases = [X]
    quantiles = np.quantile(X, PARTS, axis=0, weights=weight, method="inverted_cdf")
    for column, knots in zip(X.T, quantiles.T, strict=True):
        if len(np.unique(column)) >= FEWEST_SPREAD_VALUES:
            knots = np.unique(knots)
            place = np.interp(column, knots, np.arange(len(knots)))
            hats = np.maximum(1 - np.abs(place[:, None] - np.arange(len(knots))), 0)
            bases += [np.column_stack([column, column**2]), hats]
    squares = one.experts.squared_errors().ravel()
    squares = np.maximum(squares / np.average(squares, weights=weight), SMALLEST)
    given = squares, weight, len(one.experts.posteriors)
    normal = [_uneven(basis, *given, np.inf) for basis in bases]
    best = np.argmax([gain for gain, _ in normal])
    heavy = _uneven(bases[best], *given, HEAVY)
    gains = [*(gain for gain, _ in normal), heavy[0] - 0.5 * np.log(weight.sum())]
    variance = max(normal[best], heavy, key=lambda each: each[0])[1]
    evidence = weight.sum() * one.evidence + special.logsumexp(gains) - np.log(len(gains))
    return float(evidence), variance, bases[best]


def _uneven(basis, squares, weight, n_outputs, df):
    """What errors gain by a variance that depends on the basis, less its cost; and it.

    They are of Student's t of ``df`` degrees of freedom, fitted by EM, or normal.
    """
    is_normal = np.isinf(df)
    of_row = 1.0
    for _ in range(1 if is_normal else N_STEPS):
        log_variance = variance_regression(basis, of_row * squares, weight, SPREAD_PENALTY)
        z = n_outputs * squares * np.exp(-log_variance)
        if is_normal:
            of_row = 1.0
        else:
            of_row = (df + n_outputs) / (df + z)
    log_density = -0.5 * z
    if not is_normal:
        half = 0.5 * (df + n_outputs)
        log_density = special.gammaln(half) - special.gammaln(0.5 * df) - half * np.log1p(z / df)
        log_density -= 0.5 * n_outputs * np.log(0.5 * df)
    gain = weight @ (log_density + 0.5 * n_outputs * (squares - log_variance))
    rank = _rank(basis - np.average(basis, axis=0, weights=weight), weight)
    return gain - 0.5 * rank * np.log(weight.sum()), np.exp(log_variance)


def _rank(columns, weight):
    """Rank of columns (n_samples, q) of about unit size, from sums."""
    sums = (weight[:, None] * columns).T @ columns
    return np.linalg.matrix_rank(sums, tol=DEPENDENT * weight.sum(), hermitian=True)


# One regression for overdispersed counts and successes -------------------------------------------

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


LARGEST_LINEAR = 30.0
LARGEST_LOG_SIZE = 15.0  # numerically the same as infinity


def overdispersed_evidence(problem, family):
    """Log-evidence over all rows, by BIC, of one regression with overdispersion.

    Minus infinity for a class of Family that has none.
    """
    if family not in LOSSES:
        return -np.inf
    design = problem.experts.design
    data = problem.data
    if data.exposure is None:
        size = np.ones(len(design))
    else:
        size = data.exposure
    start = np.zeros(design.shape[1] + 1)
    # Rows of no weight may have any target.
    y = np.maximum(np.ravel(data.y), 0.0)
    found = optimize.minimize(
        _overdispersed_loss,
        start,
        (design, y, size, problem.weight, LOSSES[family]),
        method="L-BFGS-B",
        jac=True,
    )
    return float(-found.fun - 0.5 * len(start) * np.log(problem.weight.sum()))


def _most_of_counts(problem):
    """What no log-linear model of counts exceeds: Poisson's whose means are the counts."""
    y = np.maximum(problem.data.y, 0.0)
    weight = problem.weight
    cost = 0.5 * (problem.experts.design.shape[1] + 1) * np.log(weight.sum())
    return weight @ (special.xlogy(y, y) - y - special.gammaln(y + 1)) - cost


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
    rate = special.expit(linear)
    other = special.expit(-linear)
    a = size * rate
    b = size * other
    value = special.betaln(y + a, trials - y + b) - special.betaln(a, b)
    value -= special.betaln(y + 1, trials - y + 1) + np.log1p(trials)
    common = special.digamma(size) - special.digamma(trials + size)
    by_a = special.digamma(y + a) - special.digamma(a) + common
    by_b = special.digamma(trials - y + b) - special.digamma(b) + common
    return value, size * rate * other * (by_a - by_b), a * by_a + b * by_b


LOSSES = {PoissonFamily: _negative_binomial, BinomialFamily: _beta_binomial}


# Calibration of one expert ------------------------------------------------------------------------


SLOPE_PENALTY = 0.1  # of slopes: they are finite where the columns separate classes
FIRST_SHARE = 0.05  # of rows of each class that do not depend on the columns
LEAST_LOG_SHARE = -20.0  # relative to 0 of the rows that do


def gain_of_calibration(design, y, weight, n_classes):
    r"""By how much calibration raises the log-evidence of one logistic regression, by BIC.

    Where classes of some rows do not depend on the columns, being labels that are wrong or answers
    that are guessed, no logistic regression is right, and experts of a mixture differ though there
    is one regression function:

    .. math:: P(y = c \mid x) = \Big(1 - \sum_j g_j\Big) \mathrm{softmax}(x^T B)_c + g_c

    as in psychometric functions [1]_. By BIC, the shares :math:`g` cost half a logarithm each.
    ``design`` (n, q) has the intercept, ``y`` (n,) numbers of classes, ``weight`` (n,) is of rows.

    References
    ----------
    .. [1] F. A. Wichmann and N. J. Hill, "The psychometric function: I. Fitting, sampling, and
       goodness of fit", Perception & Psychophysics 63 (2001) 1293-1313.
    """
    labels = np.eye(n_classes)[y]
    shape = (design.shape[1], n_classes)
    given = labels * weight[:, None]
    penalty = np.append(np.full(shape[0] - 1, SLOPE_PENALTY), 0.0)
    coef, *_ = multinomial.fit(design, given, np.zeros(shape), penalty, max_iter=100, tol=1e-9)
    ends = (np.log(FIRST_SHARE), LEAST_LOG_SHARE)
    given = (design, labels, weight)
    start, plain = (np.append(coef, np.repeat(end, n_classes)) for end in ends)
    found = optimize.minimize(_loss, start, given, method="L-BFGS-B", jac=True, tol=1e-6)
    return float(_loss(plain, *given)[0] - found.fun - 0.5 * n_classes * np.log(weight.sum()))


def _loss(theta, design, labels, weight):
    """Penalised negative log-likelihood, and its gradient; log-odds of guesses come last."""
    n_classes = labels.shape[1]
    n_coef = design.shape[1] * n_classes
    coef = theta[:n_coef].reshape(-1, n_classes)
    slopes = np.append(coef[:-1], np.zeros((1, n_classes)), axis=0)
    odds = np.exp(np.clip(theta[n_coef:], LEAST_LOG_SHARE, -LEAST_LOG_SHARE))
    kept = 1 / (1 + odds.sum())
    guessed = odds / (1 + odds.sum())
    log_proba = multinomial.log_softmax(design @ coef)
    own = (labels * log_proba).sum(axis=1)
    value = np.logaddexp(np.log(kept) + own, np.log(labels @ guessed))
    is_meant = np.exp(np.log(kept) + own - value)  # posterior that the columns decide
    by_linear = is_meant[:, None] * (labels - np.exp(log_proba))
    gradient = design.T @ (weight[:, None] * by_linear) - SLOPE_PENALTY * slopes
    loss = 0.5 * SLOPE_PENALTY * (slopes**2).sum() - weight @ value
    # The share of a class among guesses and the rest is a softmax of log-odds.
    of_odds = (weight * (1 - is_meant)) @ labels - weight.sum() * guessed
    return loss, -np.append(gradient.ravel(), of_odds)
