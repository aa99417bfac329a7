"""What a cluster of Dask's may do in the middle of a fit: lose a worker, or be interrupted."""

import _thread
import os
import signal
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose
from planted import two_lines

from skmoe import MixtureOfExpertsRegressor

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
DaskRows = pytest.importorskip("skmoe.rows._dask").DaskRows
pytestmark = pytest.mark.slow

SAME = {"rtol": 1e-6, "atol": 1e-9}  # the sums of blocks are added in another order
PARAMS = {"n_experts": 2, "random_state": 0, "n_init": 2}


@pytest.fixture(scope="module")
def workers():
    """A client of two worker processes of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def cluster(workers):
    """The same, both there: one that a test has ended is started again."""
    workers.wait_for_workers(2, timeout=100)
    return workers


@pytest.fixture
def interruptible():
    """Interrupts are heard in processes, too, that were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def persisted(X, y):
    """Blocks in the memory of the workers, which tasks have made."""
    blocks = [
        da.map_blocks(np.positive, da.from_array(each, chunks=(250, -1)[: each.ndim]))
        for each in (X, y)
    ]
    return [each.persist() for each in blocks]


def in_pass(monkeypatch, number, action):
    """Do something at the start of the pass of that number; a list of one for each pass."""
    reduce, passes = DaskRows.reduce, []

    def counted(self, kernel, parameters):
        passes.append(kernel)
        if len(passes) == number:
            action()
        return reduce(self, kernel, parameters)

    monkeypatch.setattr(DaskRows, "reduce", counted)
    return passes


def test_a_killed_worker_costs_only_time(cluster, monkeypatch):
    X, y, *_ = two_lines()
    moe = MixtureOfExpertsRegressor(**PARAMS)
    blocks = persisted(X, y)
    expected = moe.fit(*blocks).predict(X)
    worker = next(iter(cluster.run(os.getpid).values()))  # one that this test has started
    passes = in_pass(monkeypatch, 4, lambda: os.kill(worker, signal.SIGKILL))
    assert_allclose(moe.fit(*blocks).predict(X), expected, **SAME)
    assert len(passes) > 4


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_fit_leaves_no_task_behind_and_the_mixture_as_it_was(cluster, monkeypatch):
    X, y, *_ = two_lines()
    blocks = persisted(X, y)
    distributed.wait(blocks)
    moe = MixtureOfExpertsRegressor(**PARAMS).fit(*blocks)
    before, expected = vars(moe).copy(), moe.predict(X)
    passes = in_pass(monkeypatch, 4, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        moe.fit(*blocks)
    assert len(passes) == 4
    assert vars(moe) == before
    for _ in range(100):  # the scheduler hears of it in its own time
        if not held(cluster):
            break
        time.sleep(0.1)
    assert not held(cluster)
    monkeypatch.undo()
    assert_allclose(moe.fit(*blocks).predict(X), expected, **SAME)


def held(cluster):
    """Names of the tasks of a pass that the scheduler knows."""
    names = map(str, cluster.cluster.scheduler.tasks)
    return [name for name in names if name.startswith(("on_one_thread", "add_up"))]
