"""What training asks of the place where rows live."""

from abc import ABC, abstractmethod


class RowSource(ABC):
    """Rows of columns, target and weight, in one block or in many."""

    @abstractmethod
    def map(self, kernel, parameters):
        """What a kernel makes of each block that has rows.

        Parameters
        ----------
        kernel : callable
            ``kernel(block, parameters)``. It depends on nothing else, and can be pickled.
        parameters : object
            What the kernel is told.

        Yields
        ------
        result : object
            Of one block, in the order of the blocks.
        """

    def reduce(self, kernel, parameters):
        """Sums over all rows.

        Parameters
        ----------
        kernel : callable
            As for ``map``; what it returns can be added by ``+``.
        parameters : object
            What the kernel is told.

        Returns
        -------
        sums : object
            Those of all blocks, added in the order of the blocks; None where there are no rows.
        """
        total = None
        for sums in self.map(kernel, parameters):
            total = sums if total is None else total + sums
        return total
