"""Fixtures that several test files share."""

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path

import joblib
import pytest
from threadpoolctl import threadpool_limits

os.environ["MPLBACKEND"] = "Agg"  # before anybody imports matplotlib
# Before NumPy is: tests run side by side, in processes, and what is about threads asks for them.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
DATA = Path(__file__).parents[2] / "shared" / "data"
SLOW = Path(__file__).with_name("slow.txt")
# All that may be skipped where SKMOE_NO_SKIPS=1 says that everything is installed.
NO_DATA = "The data sets are not part of the package."
MAY_BE_SKIPPED = {
    NO_DATA,
    "no pandas 2, without which there is neither sktime nor skforecast",  # noxfile.py: oldest
    "no floats of higher precision here to compare with",
    "no fork on this system",
    "one core",
}


@pytest.hookimpl(tryfirst=True)  # before tests are deselected by their marks
def pytest_collection_modifyitems(items):
    """Mark the tests that slow.txt lists as slow."""
    slow = set(SLOW.read_text("utf-8").split())
    for item in items:
        if f"{item.path.name}::{getattr(item, 'originalname', '')}" in slow:
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish(session):
    """Fail, with SKMOE_NO_SKIPS=1, where another test than those was skipped.

    SKMOE_SKIPPED is a file for the names of skipped tests, for an environment that has more.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not hasattr(reporter, "stats"):
        return  # a process of pytest-xdist's, which reports to another
    skipped = reporter.stats.get("skipped", [])
    if "SKMOE_SKIPPED" in os.environ:
        names = dict.fromkeys(report.nodeid for report in skipped)
        Path(os.environ["SKMOE_SKIPPED"]).write_text("".join(f"{name}\n" for name in names))
    if os.environ.get("SKMOE_NO_SKIPS") != "1":
        return
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    reporter.write_line(f"\n{reasons.total()} skipped")
    for reason, number in reasons.items():
        allowed = "allowed" if reason in MAY_BE_SKIPPED else "NOT ALLOWED"
        reporter.write_line(f"  {number}, {allowed}: {reason}")
    if reasons.keys() - MAY_BE_SKIPPED:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared_data():
    """``shared_data(name)`` -> X (DataFrame), y, rows of the test splits, description."""
    if not (DATA / "load.py").exists():
        pytest.skip(NO_DATA)
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
def array_namespaces(monkeypatch):
    """scikit-learn's checks of array namespaces, which it skips otherwise."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


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
