"""Variances of the predictions of pooled experts, and quantiles of mixtures, in ONNX.

ONNX has neither the error function nor the incomplete beta function in double precision. The
distribution functions are integrals of the densities by Gauss-Legendre quadrature, and quantiles
are found by bisection, as in ``MixtureDistribution.ppf``.
"""

import numpy as np
from scipy import special, stats

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
NODES, WEIGHTS = 0.5 * (NODES + 1), 0.5 * WEIGHTS  # on [0, 1]; errors below 1e-13
# For Student's t, crowded below 1: of few degrees of freedom the density is steep there, of many
# it is narrow at 0. Errors are below 1e-12 for 1.05 to 10,000 degrees.
HALVES, T_WEIGHTS = (0.5 * each for each in np.polynomial.legendre.leggauss(64))
T_NODES, T_WEIGHTS = 1 - (0.5 - HALVES) ** 2, 2 * (0.5 - HALVES) * T_WEIGHTS
FARTHEST = 8.0  # standard deviations, beyond which the distribution function is 0 or 1
HALVINGS = 36  # halvings of a bracket


def variances(graph, likelihood, X):
    """Variances (n, K, n_functions) of the linear functions of pooled experts.

    ``X`` is what its ``columns_`` take.
    """
    columns, cov = likelihood.columns_, likelihood.coef_cov_
    n_experts, n_functions, size, _ = cov.shape
    standard = graph("Div", graph("Sub", X, columns.mean), columns.scale)
    directions, outside = standard, None
    if columns.basis is not None:
        directions = graph("MatMul", standard, columns.basis)
        rest = graph("Sub", standard, graph("MatMul", directions, columns.basis.T))
        outside = graph.reshape(graph.sum(graph("Mul", rest, rest), 1), -1, 1, 1)
    # x' C x, with the intercept last in x
    flat = cov.reshape(-1, size, size).swapaxes(0, 1).reshape(size, -1)
    products = graph.linear(directions, flat[:-1].T, flat[-1])
    products = graph.reshape(products, 0, n_experts * n_functions, size)
    design = graph.linear(directions, np.eye(size)[:, :-1], np.eye(size)[-1])
    forms = graph.sum(graph("Mul", products, graph.reshape(design, 0, 1, size)), 2)
    variance = graph.reshape(forms, 0, n_experts, n_functions)
    prior = likelihood.own_var_ + likelihood.shared_var_
    if outside is not None:
        variance = graph("Add", variance, graph("Mul", outside, prior[:, 0]))
    if columns.block is not None:  # levels that fit did not see
        is_level, of_levels = columns.of_levels(prior)
        unseen = graph("Sub", np.array(1.0), graph("MatMul", X, is_level))
        unseen = graph("MatMul", graph("Max", unseen, np.array(0.0)), of_levels)
        variance = graph("Add", variance, graph.reshape(unseen, -1, 1, n_functions))
    return graph("Max", variance, np.array(0.0))


def _normal_cdf(graph, z):
    z = graph("Min", graph("Max", z, np.array(-FARTHEST)), np.array(FARTHEST))
    squares = graph("Mul", graph("Mul", z, z), -0.5 * NODES**2)
    mean = graph("MatMul", graph("Exp", squares), WEIGHTS[:, None] / np.sqrt(2 * np.pi))
    return graph("Add", graph("Mul", z, mean), np.array(0.5))


def _student_t_cdf(graph, z, df):
    # With w = z / sqrt(df + z^2) the density is that of a beta distribution of w^2.
    length = graph("Sqrt", graph("Add", graph("Mul", z, z), df))
    w = graph("Div", z, length)
    rest = graph("Sub", np.array(1.0), graph("Mul", graph("Mul", w, w), T_NODES**2))
    density = graph("Exp", graph("Mul", graph("Log", rest), 0.5 * (df - 2)))
    mean = graph("MatMul", density, T_WEIGHTS[:, None])
    mean = graph("Mul", mean, 1 / special.beta(df / 2, 0.5))
    return graph("Add", graph("Mul", w, mean), np.array(0.5))


def quantiles(graph, weights, mean, scale, df, probabilities):
    """Quantiles (n, Q) of a mixture.

    ``weights``, ``mean`` and ``scale`` (n, K) are of the components, in double precision; ``df``
    (K,) None is Gaussian ones.
    """
    weights, mean, scale = (graph.reshape(each, 0, -1, 1) for each in (weights, mean, scale))
    if df is None:
        ends = stats.norm.ppf(probabilities)[None]
    else:
        ends = stats.t(df[:, None]).ppf(probabilities)
    own = graph("Add", mean, graph("Mul", scale, ends))  # quantiles of the components
    low = graph("ReduceMin", own, np.array([1]), keepdims=1)
    high = graph("ReduceMax", own, np.array([1]), keepdims=1)
    for _ in range(HALVINGS):
        middle = graph("Mul", graph("Add", low, high), np.array(0.5))
        z = graph("Div", graph("Sub", middle, mean), scale)
        z = graph("Unsqueeze", z, np.array([-1]))
        cdf = _normal_cdf(graph, z) if df is None else _student_t_cdf(graph, z, df[:, None, None])
        total = graph.sum(graph("Mul", weights, graph("Squeeze", cdf, np.array([-1]))), 1)
        is_below = graph("Less", graph.reshape(total, 0, 1, -1), probabilities)
        low, high = graph("Where", is_below, middle, low), graph("Where", is_below, high, middle)
    return graph.reshape(graph("Mul", graph("Add", low, high), np.array(0.5)), 0, -1)
