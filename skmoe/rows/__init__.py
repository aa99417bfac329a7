"""Rows that are not in memory, for ``fit`` and predictions of mixtures."""

from ._files import Blocks, Files
from ._fit import rows_of_fit as rows_of_fit
from ._methods import answer as answer

__all__ = ["Blocks", "Files"]
