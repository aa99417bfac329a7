"""Fixtures that several test files share."""

import importlib.util
import os
import sys
from pathlib import Path

import joblib
import pytest
from threadpoolctl import threadpool_limits

os.environ["MPLBACKEND"] = "Agg"  # before anybody imports matplotlib
# Before NumPy is: tests run side by side, in processes, and what is about threads asks for them.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """``shared_data(name)`` -> X (DataFrame), y, rows of the test splits, description."""
    if not (DATA / "load.py").exists():
        pytest.skip("The data sets are not part of the package.")
    pytest.importorskip("pandas")
    spec = importlib.util.spec_from_file_location("shared_data_load", DATA / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load


@pytest.fixture
def few_rows_for_starts(monkeypatch):
    """Starts are tried on a sample of so few rows that two thousand are many."""
    monkeypatch.setattr("skmoe._em.starts.FEWEST_ROWS", 300)
    monkeypatch.setattr("skmoe._em.starts.ROWS_PER_COEFFICIENT", 5)


@pytest.fixture
def many_threads():
    """A thread for each core."""
    with threadpool_limits(joblib.cpu_count()):
        yield


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn, examples of docstrings included."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
