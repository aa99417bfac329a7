r"""One regression whose errors are larger in some rows than in others, against a mixture of lines.

A softmax gate leads from narrow errors to wide ones along the columns, and errors that are wide at
both ends of a column look like lines that cross. Here the variance of the errors is a function of
its own, ``log s^2 = c + f(x)`` [1]_: linear in all columns, or a square or a spline of one. It is
learned by a regression of the squared errors of one line with a Gamma likelihood, whose maximum is
that of normal errors [2]_, or of Student's t ones with the weights of EM. Where its evidence, by
BIC, is as high as that of the mixture, there is one regime.

References
----------
.. [1] A. C. Harvey, "Estimating regression models with multiplicative heteroscedasticity",
   Econometrica 44 (1976) 461-465.
.. [2] G. K. Smyth, "Generalized linear models with varying dispersion", Journal of the Royal
   Statistical Society B 51 (1989) 47-60.
"""

import warnings

import numpy as np
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from sklearn.tree import DecisionTreeRegressor

from .._parallel import few_threads

SMALLEST = 1e-3  # squared error, in units of their mean: as rounding has it
PENALTY = 1e-3  # of the regression, per row
LEVELS = 3  # of spread: wide errors at both ends of a column, and narrow ones between
FAR = 4.0  # standard deviations of a column, beyond which it does not change the spread
HEAVY, N_STEPS = 4.0, 4  # degrees of freedom of heavy tails, and steps of EM to them
FEWEST_VALUES = 4  # of a column that a spread can be a curve of


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
        if len(np.unique(column)) >= FEWEST_VALUES:
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
    regression = GammaRegressor(alpha=PENALTY, solver="newton-cholesky")
    # What it has reached can be had; steps that are too long overflow, and shorter ones follow.
    quiet = warnings.catch_warnings(action="ignore", category=ConvergenceWarning)
    with few_threads(basis.size), quiet, np.errstate(over="ignore", invalid="ignore"):
        return regression.fit(basis, squares, weight).predict(basis)
