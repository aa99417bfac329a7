"""The quick part of the fuzzer, which is run whole every night: ``python tests/fuzz.py``."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("fuzz", Path(__file__).parent / "fuzz.py")


@pytest.mark.parametrize("seed", [0, 2])
def test_random_mixtures_are_refused_with_a_message_or_keep_what_must_hold(seed):
    fuzz = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(fuzz)
    _, faults = fuzz.search(2, seed=seed)  # prints them
    assert not faults
