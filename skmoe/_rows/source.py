"""What training asks of the place where rows live."""

from abc import ABC, abstractmethod


class RowSource(ABC):
    """Rows of columns, target and weight, in one block or in many."""

    @abstractmethod
    def reduce(self, kernel, parameters):
        """Sums over all rows.

        Parameters
        ----------
        kernel : callable
            ``kernel(block, parameters)`` -> sums over the rows of a block, which can be added by
            ``+``. It depends on nothing else, and can be pickled.
        parameters : object
            What the kernel is told.

        Returns
        -------
        sums : object
            Those of all blocks, added in the order of the blocks; None where there are no rows.
        """


def add_up(sums):
    """Sums of blocks, in their order, of which those that are None have no rows."""
    total = None
    for each in sums:
        if each is not None:
            total = each if total is None else total + each
    return total
