"""Variances of the predictions of pooled experts, and quantiles of mixtures, in ONNX.

ONNX has neither the error function nor the incomplete beta function in double precision. The
distribution functions are integrals of the densities by Gauss-Legendre quadrature, and quantiles
are found by bisection, as in ``MixtureDistribution.ppf``.
"""

import copy

import numpy as np
from onnx import TensorProto
from scipy import special, stats

from .._attributes import set_model
from .._experts.fitting import split_last
from .._numerics.trees import Trees
from .._ready.density_forest import DF, LEAST_DENSITY, LEAST_SPREAD, DensityForestRegressor
from ._writers import mean_of_trees

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
    standard = (X - columns.mean) / columns.scale
    directions, outside = standard, None
    if columns.basis is not None:
        directions = standard @ columns.basis
        rest = standard - directions @ columns.basis.T
        outside = graph.reshape(graph.sum(rest * rest, 1), -1, 1, 1)
    # x' C x, with the intercept last in x
    flat = cov.reshape(-1, size, size).swapaxes(0, 1).reshape(size, -1)
    products = graph.linear(directions, flat[:-1].T, flat[-1])
    products = graph.reshape(products, 0, n_experts * n_functions, size)
    design = graph.linear(directions, np.eye(size)[:, :-1], np.eye(size)[-1])
    forms = graph.sum(products * graph.reshape(design, 0, 1, size), 2)
    variance = graph.reshape(forms, 0, n_experts, n_functions)
    prior = likelihood.own_var_ + likelihood.shared_var_
    is_pooled = likelihood.pooled_[:, None].astype(float)
    if outside is not None:
        variance = variance + outside * (prior[:, 0] * is_pooled)
    if columns.block is not None:  # levels that fit did not see
        is_level, of_levels = columns.of_levels(prior)
        unseen = graph("Max", 1.0 - X @ is_level, np.array(0.0)) @ of_levels
        variance = variance + graph.reshape(unseen, -1, 1, n_functions) * is_pooled
    return graph("Max", variance, np.array(0.0))


def _normal_cdf(graph, z):
    z = graph("Min", graph("Max", z, np.array(-FARTHEST)), np.array(FARTHEST))
    densities = graph("Exp", z * z * (-0.5 * NODES**2))
    return z * (densities @ (WEIGHTS[:, None] / np.sqrt(2 * np.pi))) + 0.5


def _student_t_cdf(graph, z, df):
    # With w = z / sqrt(df + z^2) the density is that of a beta distribution of w^2.
    w = z / graph("Sqrt", z * z + df)
    rest = 1.0 - w * w * T_NODES**2
    densities = graph("Exp", graph("Log", rest) * (0.5 * (df - 2)))
    return w * (densities @ T_WEIGHTS[:, None] * (1 / special.beta(df / 2, 0.5))) + 0.5


def _t5_cdf(graph, z):
    """That of five degrees of freedom, in closed form, of a and sin a, tan a = z / sqrt(5)."""
    root = z / np.sqrt([5.0])
    length = graph("Sqrt", root * root + 1.0)
    sine, cosine = root / length, 1.0 / length
    # ONNX has the arc tangent in single precision alone; a step makes it exact.
    single = graph("Atan", graph("Cast", root, to=TensorProto.FLOAT))
    near = graph.number(single)
    angle = near + (sine * graph("Cos", near) - cosine * graph("Sin", near))
    total = angle + sine * cosine * (cosine * cosine * (2 / 3) + 1.0)
    return total * (1 / np.pi) + 0.5


def _cdf(graph, z, df):
    """Distribution function of components, (n, M, Q), whose degrees of freedom are of a kind."""
    if df[0] == DF:
        return _t5_cdf(graph, z)
    z = graph("Unsqueeze", z, np.array([-1]))
    normal = np.isinf(df[0])
    cdf = _normal_cdf(graph, z) if normal else _student_t_cdf(graph, z, df[:, None, None])
    return graph("Squeeze", cdf, np.array([-1]))


def quantiles(graph, weights, mean, scale, df, probabilities):
    """Quantiles (n, Q) of a mixture.

    ``weights``, ``mean`` and ``scale`` (n, M) are of the components, ``df`` (M,) their degrees of
    freedom.
    """
    order = np.argsort(_kind(df), kind="stable")
    kinds = np.split(order, np.flatnonzero(np.diff(_kind(df)[order])) + 1)
    parts = [
        (*(graph.reshape(graph("Gather", each, of_kind, axis=1), 0, -1, 1)
           for each in (weights, mean, scale)), df[of_kind])
        for of_kind in kinds
    ]  # fmt: skip
    weights, mean, scale = (graph.reshape(each, 0, -1, 1) for each in (weights, mean, scale))
    ends = stats.t(df[:, None]).ppf(probabilities)
    own = mean + scale * ends  # quantiles of the components
    low = graph("ReduceMin", own, np.array([1]), keepdims=1)
    high = graph("ReduceMax", own, np.array([1]), keepdims=1)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        total = graph(
            "Sum",
            *(
                graph.sum(weight * _cdf(graph, (middle - centre) / width, of_kind), 1)
                for weight, centre, width, of_kind in parts
            ),
        )
        is_below = graph("Less", graph.reshape(total, 0, 1, -1), probabilities)
        low, high = graph("Where", is_below, middle, low), graph("Where", is_below, high, middle)
    return graph.reshape(0.5 * (low + high), 0, -1)


def _kind(df):
    """Which formula has the distribution function of each component."""
    return np.where(np.isinf(df), 0, np.where(df == DF, 1, 2))


# Experts with densities of their own ------------------------------------------------------------


def own_experts(model):
    """Those that have densities of their own, without what stands before them, by name."""
    found = {}
    for (name, expert), is_own in zip(
        model.named_experts_.items(), model._model.own_density, strict=True
    ):
        if is_own:
            found[name] = split_last(expert)[1]
    return found


def averaged(mixture):
    """The mixtures that predictions average over, a list."""
    if "_beside" not in vars(mixture):
        return [mixture]
    twin = copy.copy(mixture)
    set_model(twin, mixture._beside[0])
    return [mixture, twin]


def degrees(model):
    """Degrees of freedom (M,) of all components of a mixture; infinite of Gaussian ones.

    Those of experts with densities of their own are the last.
    """
    return np.concatenate([_degrees_of_one(each) for each in averaged(model)])


def _degrees_of_one(model):
    own, df = np.array(model._model.own_density), model.likelihood_.df_
    df = np.full(len(own), np.inf) if df is None else df
    parts = [df[~own]]
    for expert in own_experts(model).values():
        of_expert = _degrees_of(expert)
        parts += (
            [of_expert] if _is_wide(expert, least_scale(model)) else [of_expert, of_expert * np.inf]
        )
    return np.concatenate(parts)


def _degrees_of(expert):
    is_forest = isinstance(expert, DensityForestRegressor)
    return np.full(len(expert._centres), DF) if is_forest else degrees(expert)


def least_scale(model):
    """Standard deviation, below which the components of experts are Gaussian ones of that."""
    return 0.0 if model.likelihood_.own_density_ is None else model.likelihood_.floor_


def _is_wide(expert, floor):
    """Whether no component is narrower than the floor, but for Gaussian ones."""
    if floor == 0 or np.isinf(_degrees_of(expert)).all():
        return True
    if not isinstance(expert, DensityForestRegressor):
        return False
    factor = 1 / expert._pilot().max() if expert.adaptive_ else expert._spread
    return expert.width_ * np.sqrt(LEAST_SPREAD * expert._spread * factor) >= floor


def mean_of_components(graph, components):
    """Mean (n, 1), from weights, means and scales in one matrix (n, 3 M)."""
    weights, means, _ = _split(graph, components)
    return graph.sum(weights * means, 1, keepdims=1)


def _split(graph, components):
    cube = graph.reshape(components, 0, 3, -1)
    places = (graph("Gather", cube, np.array([j]), axis=1) for j in range(3))
    return [graph("Squeeze", each, np.array([1])) for each in places]


def nested(graph, components, weight, expert, floor):
    """Weights, means and scales of an expert's components, weighed by (n, 1), as of ``degrees``."""
    weights, means, scales = _split(graph, components)
    weights, df = weights * weight, _degrees_of(expert)
    if _is_wide(expert, floor):
        least = np.where(np.isinf(df), floor, 0.0)
        return weights, means, graph("Max", scales, least)
    least = floor * np.sqrt(np.where(np.isinf(df), 1.0, np.maximum(1 - 2 / df, 0.0)))
    is_narrow = graph.number(graph("Less", scales, least))
    narrow = weights * is_narrow
    pairs = (weights - narrow, narrow), (means, means), (scales, 0.0 * scales + floor)
    return [graph("Concat", *pair, axis=1) for pair in pairs]


def of_forest(graph, model, X):
    """Weights, means and scales of a DensityForestRegressor, as its ``predict_dist`` has them."""
    leaves, start = [], 0
    for tree in (each.tree_ for each in model.forest_.estimators_):
        leaves.append(start + np.flatnonzero(tree.children_left < 0))
        start += tree.node_count
    trees, histograms = Trees.of_forest(model.forest_), model._histograms[np.concatenate(leaves)]
    weights = mean_of_trees(graph, trees, X, histograms / len(leaves))
    centres, variances_, spread = model._centres, model._variances, model._spread
    away = centres - weights @ centres[:, None]
    square = graph.sum(weights * (away * away + variances_), 1, keepdims=1)
    own = graph("Max", graph("Sqrt", square), np.array(LEAST_SPREAD * spread))
    factor = np.array(model.width_**2 * spread)
    if model.adaptive_:
        density = weights @ (model._pilot() * spread)
        factor = factor / graph("Max", density, np.array(LEAST_DENSITY))
    return weights, 0.0 * weights + centres, graph("Sqrt", own * factor + variances_)
