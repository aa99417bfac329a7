"""What a history of benchmarks says is slower."""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).with_name("benchmarks")


@pytest.fixture(name="history", scope="module")
def _history():
    sys.path.insert(0, str(FOLDER))
    try:
        import history
    finally:
        sys.path.remove(str(FOLDER))
    return history


def test_the_usual_ratio_is_the_median_of_the_last_five(history):
    lines = [{"ratios": {"a": value}} for value in (9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 50.0)]
    lines.append({"ratios": {"b": 0.5}})  # something new
    assert history.usual(lines) == {"a": 3.0, "b": 0.5}


def test_noise_in_one_round_is_no_regression_and_a_lasting_one_is(history):
    rounds = iter([{"noisy": 9.0, "worse": 3.0, "same": 1.0}, {"noisy": 1.1, "worse": 2.5}])

    def measure(tasks):
        now = next(rounds, {"worse": 2.8})
        assert set(tasks) == set(now)  # what is not slower is not measured again
        return now

    tasks = dict.fromkeys(["noisy", "worse", "same", "new"])
    past = {"noisy": 1.0, "worse": 1.0, "same": 1.0, "dropped": 1.0}
    assert history.slower(tasks, past, measure) == {"worse": 2.5}


def test_a_function_that_does_twice_the_work_is_found(history):
    X = np.random.default_rng(0).normal(size=(300, 300))

    def once():
        return X @ X

    def twice():
        return X @ X, X @ X

    past = {"product": history.measure({"product": (once, once)})["product"]}
    assert 0.7 < past["product"] < 1.4
    assert history.slower({"product": (once, once)}, past) == {}
    assert list(history.slower({"product": (twice, once)}, past)) == ["product"]
