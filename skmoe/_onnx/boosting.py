"""Histogram gradient boosting in ONNX, by the converter of skl2onnx."""


class IntegerAttributes:
    """A container of skl2onnx in which the directions of missing values are integers.

    skl2onnx writes booleans for histogram gradient boosting, which protobuf 7 refuses.

    Parameters
    ----------
    container
        As skl2onnx hands it to a converter.
    """

    DIRECTIONS = "nodes_missing_value_tracks_true"

    def __init__(self, container):
        self._container = container

    def __getattr__(self, name):
        return getattr(self._container, name)

    def add_node(self, *args, **attributes):
        """As of the container itself."""
        if self.DIRECTIONS in attributes:
            attributes[self.DIRECTIONS] = [int(each) for each in attributes[self.DIRECTIONS]]
        self._container.add_node(*args, **attributes)


def with_integer_attributes(convert):
    """A converter that writes what ``convert`` does, with integers in place of booleans."""

    def convert_boosting(scope, operator, container):
        convert(scope, operator, IntegerAttributes(container))

    return convert_boosting
