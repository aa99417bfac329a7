"""Rows that are not in memory, for ``fit`` and the predictions of the mixtures."""

from ._files import Blocks, Files
from ._fit import ManyRows as ManyRows
from ._methods import answer as answer

__all__ = ["Blocks", "Files"]
