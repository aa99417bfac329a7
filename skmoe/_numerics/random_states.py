"""Random states from seeds, faster than NumPy makes them."""

import numpy as np
from numpy.random.bit_generator import ISeedSequence


def seeded(seed):
    """``numpy.random.RandomState(seed)``, which draws the same numbers.

    NumPy first gathers entropy for a state that the seed then overwrites, which takes as long as an
    EM iteration over a few thousand rows.
    """
    random_state = np.random.RandomState(np.random.MT19937(_NoEntropy()))
    random_state.seed(seed)
    return random_state


class _NoEntropy(ISeedSequence):
    """Ones in place of entropy."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.ones(n_words, dtype)
