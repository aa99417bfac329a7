"""What training asks of the place where rows live, and what blocks of them have in common."""

from abc import ABC, abstractmethod

import numpy as np

# That an expert is fitted on at most where it cannot be learned from sums over rows.
MAX_EXPERT_ROWS = 100_000


class RowSource(ABC):
    """Rows of columns, target and weight, in one block or in many."""

    max_expert_rows = MAX_EXPERT_ROWS
    in_memory = False

    @abstractmethod
    def reduce(self, kernel, parameters):
        """Sums over all rows.

        ``kernel(block, parameters)`` -> sums over the rows of a block, which can be added by ``+``.
        It depends on nothing else, and can be pickled. The sums are added in the order of the
        blocks; None where there are no rows.
        """


def add_up(sums):
    """Sums of blocks, in their order, of which those that are None have no rows."""
    total = None
    for each in sums:
        if each is not None:
            total = each if total is None else total + each
    return total


def of_block(params, number):
    """Arguments of a method for one block, by its number: each draws on its own."""
    if "random_state" not in params:
        return params
    return params | {"random_state": np.random.RandomState([params["random_state"], number])}
