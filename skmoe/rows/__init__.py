"""Rows that are not in memory, for ``fit`` and the predictions of the mixtures."""

from ._files import Blocks, Files

__all__ = ["Blocks", "Files"]
