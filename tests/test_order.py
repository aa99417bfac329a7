"""Rows and columns in another order have the same verdict, where the evidence is the same."""

import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from skmoe import MixtureOfExpertsRegressor

SAME = 0.1  # nats
TABLES = [
    "CO2data",
    "NPreg",
    "cps1985",
    "energy",
    "mcycle",
    "patent",
    "pwlinear",
    "seizure",
    "tonedata",
    "whiskey",
]


def check_orders(table, y, n_orders):
    """Fit in some orders; where two have the same evidence, their verdicts are the same."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n_orders):
        rows = rng.permutation(len(y))
        columns = rng.permutation(table.shape[1])
        moe = MixtureOfExpertsRegressor(random_state=0).fit(table.iloc[rows, columns], y[rows])
        evidence = {k: len(y) * value for k, value in moe.log_evidence_.items()}
        found.append((moe, len(y) * moe.lower_bound_, max(evidence.values())))
    n_same = 0
    for (moe, bound, evidence), (other, other_bound, other_evidence) in combinations(found, 2):
        if abs(bound - other_bound) < SAME and abs(evidence - other_evidence) < SAME:
            n_same += 1
            assert moe.n_regimes_ == other.n_regimes_
            assert len(moe.experts_) == len(other.experts_)
            # How far one regression function with other terms is ahead.
            ahead, other_ahead = (
                re.findall(r"\(([+-][\d.]+) nats\)", " ".join(mixture.plan_.findings))
                for mixture in (moe, other)
            )
            assert ahead == other_ahead
    return n_same


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", TABLES)
def test_verdict_on_a_real_table_is_that_of_its_evidence(name, shared_data):
    table, y, *_ = shared_data(name)
    check_orders(table, y, n_orders=3)


def test_columns_of_strings_that_determine_others():
    # Animals are in one run, and have one treatment: their levels are sums of levels.
    rng = np.random.default_rng(5)
    animal = np.repeat(np.arange(10), 8)
    dose = np.tile([6.25, 12.5, 25, 50, 100, 200, 300, 400], 10)
    table = pd.DataFrame(
        {
            "dose": dose,
            "animal": [f"A{k}" for k in animal],
            "treatment": np.where(animal < 5, "control", "drug"),
            "run": [f"R{k}" for k in animal % 5],
        }
    )
    y = 3 * np.log(dose) - 2 * (animal < 5) + 0.3 * rng.normal(size=10)[animal]
    assert check_orders(table, y + 0.8 * rng.normal(size=len(y)), n_orders=6) > 0


def test_one_line_in_any_order():
    table, y = load_diabetes(return_X_y=True, as_frame=True)
    assert check_orders(table, y.to_numpy(), n_orders=3) > 0
