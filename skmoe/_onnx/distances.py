"""What depends on distances of rows in ONNX: kernels, and weights of averages."""

import numpy as np

from .._experts.smooth import SAME
from .._model import ELSEWHERE


def kernel(exact, model, columns, centres):
    """Kernels (n, m) of a Gaussian process around its centres."""
    columns, (places, values) = exact.number(columns), model.indicators_
    if len(places):
        off = exact("Abs", exact("Sub", exact("Gather", columns, places, axis=1), values))
        has_value = exact.number(exact("Less", off, np.array(SAME)))
        columns = exact("Concat", columns, has_value, axis=1)
    Z = exact("Div", columns, model.length_scales_)
    square = _squared_distances(exact, Z, centres)
    s = exact("Sqrt", exact("Mul", square, np.array(5.0)))
    slope = exact("Add", exact("Add", s, np.array(1.0)), exact("Mul", square, np.array(5 / 3)))
    return exact("Mul", slope, exact("Exp", exact("Neg", s)))


def weights(exact, average, X):
    """Weights (n, 2) of both models of an Average; ``X`` is what the gate of the first sees."""
    surroundings, columns = average.surroundings, exact.number(X)
    nothing = exact("Mul", exact("ReduceSum", columns, np.array([1]), keepdims=1), np.array(0.0))
    other = exact("Add", nothing, np.array(average.weight))
    if surroundings is not None:
        Z = exact("Mul", exact("Sub", columns, surroundings.centre), surroundings.slopes)
        square = _squared_distances(exact, Z, surroundings.rows)
        nearest, usual = exact("ReduceMin", square, np.array([1])), np.array(surroundings.usual)
        near = exact("Div", usual, exact("Max", nearest, usual))
        far = exact("Mul", exact("Sub", np.array(1.0), near), np.array(ELSEWHERE))
        other = exact("Max", other, far)
    return exact("Concat", exact("Sub", np.array(1.0), other), other, axis=1)


def _squared_distances(exact, A, B):
    """Between rows, (n, m)."""
    products = exact.linear(A, -2.0 * B, np.einsum("ij,ij->i", B, B))
    own = exact("ReduceSum", exact("Mul", A, A), np.array([1]), keepdims=1)
    return exact("Max", exact("Add", products, own), np.array(0.0))
