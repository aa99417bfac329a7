"""Random states from seeds."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmoe._numerics.random_states import seeded


@pytest.mark.parametrize("seed", [0, 1, 20_000, 2**32 - 1, np.int64(7)])
def test_seeded_state_draws_what_that_of_numpy_draws(seed):
    ours, expected = seeded(seed), np.random.RandomState(seed)
    assert_array_equal(ours.randint(2**31 - 1, size=700), expected.randint(2**31 - 1, size=700))
    assert_array_equal(ours.normal(size=5), expected.normal(size=5))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_refused_as_numpy_does(seed):
    with pytest.raises(ValueError, match="Seed must be between 0 and"):
        seeded(seed)
