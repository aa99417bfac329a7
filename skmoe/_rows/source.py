"""What training asks of the place where rows live."""

from abc import ABC, abstractmethod


class RowSource(ABC):
    """Rows of columns, target and weight, in one block or in many.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    """

    n_rows: int

    @abstractmethod
    def reduce(self, kernel, parameters):
        """Sums over all rows.

        Parameters
        ----------
        kernel : callable
            ``kernel(block, parameters)`` -> sums over the rows of a block, which can be added. It
            depends on nothing else, and can be pickled.
        parameters : object
            What the kernel is told.

        Returns
        -------
        sums : object
            Those of all blocks, added in the order of the blocks.
        """
