"""The quick part of the fuzzer, which is run whole every night: ``python tests/fuzz.py``."""

import importlib.util
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("fuzz", Path(__file__).parent / "fuzz.py")


def test_random_mixtures_are_refused_with_a_message_or_keep_what_must_hold():
    fuzz = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(fuzz)
    _, faults = fuzz.search(4, seed=0)  # prints them
    assert not faults
