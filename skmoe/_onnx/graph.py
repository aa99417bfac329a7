"""Writes the nodes of one operator of skl2onnx."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common._topology import Variable
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

ML = "ai.onnx.ml"


def float_type(variables):
    """Type of the numbers computed from some variables: double if any of them is, else float."""
    is_double = any(isinstance(each.type, DoubleTensorType) for each in variables)
    return DoubleTensorType if is_double else FloatTensorType


class Graph:
    """Adds nodes to a container; ``graph(op, *inputs)`` is the name of the output.

    Between two modes of a target the distribution function is nearly constant, and quantiles are as
    far off as its errors are large: all is computed in double precision, but what other converters
    write.

    Parameters
    ----------
    scope, container
        As skl2onnx hands them to a converter.
    double : bool, default=True
        Whether numbers are of double precision.
    """

    def __init__(self, scope, container, double=True):
        self.scope, self.container, self._constants = scope, container, {}
        self.dtype = np.dtype(np.float64 if double else np.float32)

    def __call__(self, op, *inputs, domain="", output=None, **attributes):
        """Add a node of ONNX's operator ``op``; the name of its result.

        Inputs are names of results, variables of skl2onnx, or constants. ``output`` is a variable
        where the result goes; None is a new name.
        """
        name = self.scope.get_unique_variable_name(op) if output is None else output.full_name
        self.container.add_node(
            op, [self._name(each) for each in inputs], name, op_domain=domain,
            name=self.scope.get_unique_operator_name(op), **attributes,
        )  # fmt: skip
        return name

    def _name(self, value):
        if isinstance(value, str):
            return value
        return value.full_name if isinstance(value, Variable) else self.constant(value)

    def constant(self, values):
        """Name of a constant; numbers that are no integers get the precision of the graph."""
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            values = values.astype(self.dtype if values.dtype.kind == "f" else np.int64)
            key = values.dtype, values.shape, values.tobytes()
            if key not in self._constants:
                self._constants[key] = self._initializer(numpy_helper.from_array(values.copy("C")))
            return self._constants[key]
        return self._initializer(helper.make_tensor("", TensorProto.STRING, values.shape, values))

    def _initializer(self, tensor):
        name = self.scope.get_unique_variable_name("constant")
        content = tensor if tensor.raw_data else list(tensor.string_data)
        self.container.add_initializer(name, tensor.data_type, tensor.dims, content)
        return name

    def number(self, value, output=None):
        """A result as numbers of the precision of the graph, or of ``output``, a variable."""
        is_double = self.dtype == np.float64
        if output is not None:
            is_double = isinstance(output.type, DoubleTensorType)
        to = TensorProto.DOUBLE if is_double else TensorProto.FLOAT
        return self("Cast", value, to=to, output=output)

    def reshape(self, value, *shape):
        """A result in another shape, in which 0 keeps an axis and -1 is what is left."""
        return self("Reshape", value, np.array(shape))

    def stack(self, values):
        """Results (n, m) side by side, (n, K, m)."""
        return self("Concat", *[self.reshape(each, 0, 1, -1) for each in values], axis=1)

    def sum(self, value, axis):
        """A result summed over one axis, which is gone."""
        return self("ReduceSum", value, np.array([axis]), keepdims=0)

    def linear(self, value, coef, intercept):
        """Linear functions (n, m) of a result (n, p), from coefficients (m, p) and (m,)."""
        return self("Add", self("MatMul", value, np.asarray(coef).T), np.atleast_1d(intercept))
