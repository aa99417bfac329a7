"""Jobs: threads, processes and a Dask cluster give one result, and share the work politely."""

import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path

import joblib
import numpy as np
import parallel_experts
import pytest
from joblib import effective_n_jobs, parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from skmoe import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor, _parallel
from skmoe._parallel import jobs
from skmoe.likelihoods import Gaussian


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 40))
    y = np.where(X[:, 0] > 0, 2 + 3 * X[:, 1], -1 - 2 * X[:, 1]) + 0.5 * rng.normal(size=500)
    return X, y


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes of one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def mixture(kind="trees", **params):
    tree = DecisionTreeRegressor(max_depth=4, random_state=0)
    made = {
        "linear": MixtureOfExpertsRegressor(n_experts=2, training="em"),
        "trees": MixtureOfExpertsRegressor(tree, 2, cv=3, training="em"),
        "refitted": MixtureOfExpertsRegressor(tree, 2, cv=3, training="em"),
        "specialists": MixtureOfExpertsRegressor(tree, 2, cv=3),
        "unlike": MixtureOfExpertsRegressor([("tree", tree), ("line", LinearRegression())], cv=3),
        "classifier": MixtureOfExpertsClassifier(
            DecisionTreeClassifier(max_depth=4, random_state=0), 2, cv=3
        ),
    }[kind]
    return made.set_params(**{"n_init": 4, "max_iter": 5, "tol": 1e-3, "random_state": 0} | params)


FEW = {"n_init": 2, "max_iter": 3}
KINDS = ["linear", "trees", "refitted", "specialists", "unlike", "classifier"]
pytestmark = pytest.mark.filterwarnings("ignore::skmoe.exceptions.ExpertCollapseWarning")


def fit(kind, data, **params):
    X, y = data
    return mixture(kind, **params).fit(X, y > 0 if kind == "classifier" else y)


def assert_same(moe, reference, X):
    # A sum over rows may be taken in another order where BLAS has other threads.
    assert_allclose(moe.lower_bounds_, reference.lower_bounds_, rtol=1e-9)
    assert_allclose(moe.gate_proba(X), reference.gate_proba(X), rtol=1e-9, atol=1e-12)
    assert_allclose(moe.predict_experts(X), reference.predict_experts(X), rtol=1e-9, atol=1e-12)


# One result ---------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_jobs_give_the_result_of_one(data, backend):
    for kind in KINDS:
        reference = fit(kind, data, **FEW)
        with parallel_config(backend):
            assert_same(fit(kind, data, n_jobs=2, **FEW), reference, data[0])


def test_a_dask_cluster_gives_the_result_of_one_job(data, cluster):
    for kind in ["linear", "refitted", "classifier"]:
        reference = fit(kind, data, **FEW)
        with parallel_config("dask"):
            assert_same(fit(kind, data, **FEW), reference, data[0])


@pytest.mark.parametrize("training", ["specialists", "stack", "em"])
def test_forests_have_the_same_bits_on_a_dask_cluster(data, cluster, training):
    forest = RandomForestRegressor(20, min_samples_leaf=5, random_state=0)
    experts = [("a", forest), ("b", LinearRegression())] if training == "stack" else forest
    n_experts = "auto" if training == "stack" else 2
    moe = MixtureOfExpertsRegressor(
        experts, n_experts, training=training, max_iter=3, random_state=0
    )
    reference = clone(moe).fit(*data)
    with parallel_config("dask"):
        moe.fit(*data)
    assert_array_equal(moe.oof_log_density_, reference.oof_log_density_)
    assert_array_equal(moe.predict(data[0]), reference.predict(data[0]))


def test_inside_a_task_none_is_one_job(cluster):
    for backend in ("dask", "loky", "threading"):
        with parallel_config(backend), jobs(2, ()) as run:
            assert list(run.one_by_one(effective_n_jobs, [(None,), (None,)])) == [1, 1]


def test_mixtures_inside_the_tasks_of_a_dask_cluster_give_the_result_of_one_job(data, cluster):
    search = GridSearchCV(mixture(**FEW), {"n_experts": [1, 2]}, cv=2)
    reference = search.fit(*data).cv_results_["mean_test_score"]
    with parallel_config("dask"):
        score = search.fit(*data).cv_results_["mean_test_score"]
    assert_allclose(score, reference, rtol=1e-9)


# One pool -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each == "classifier"))
        for each in [*KINDS, "scales"]
    ],
)
def test_a_fit_starts_one_pool(data, kind, monkeypatch):
    started = []

    class Counted(_parallel.Parallel):
        def __enter__(self):
            started.append(self)
            return super().__enter__()

    monkeypatch.setattr(_parallel, "Parallel", Counted)
    scales = {"likelihood": Gaussian(scale=DecisionTreeRegressor(max_depth=2, random_state=0))}
    with parallel_config("threading", n_jobs=2):
        if kind == "scales":
            fit("trees", data, **FEW, **scales)
        else:
            fit(kind, data, **FEW)
    assert len(started) == 1


# What travels -------------------------------------------------------------------------------


def test_data_leave_the_cluster_after_the_fit(data, cluster):
    with parallel_config("dask"):
        fit("linear", data)
    for _ in range(100):
        if not any(map(len, cluster.has_what().values())):
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {cluster.has_what()}")


# Lost workers -------------------------------------------------------------------------------


def test_a_killed_worker_that_alone_held_the_data_costs_a_dask_cluster_only_time(data, tmp_path):
    distributed = pytest.importorskip("distributed")
    file = tmp_path / "fits"
    moe = killing(file, death=10)
    reference = clone(moe).fit(*data)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        parallel_config("dask"),
    ):
        moe.fit(*data)
    assert file.stat().st_size > 10
    assert_same(moe, reference, data[0])


def killing(file, death):
    """A mixture of which the fit of that number ends the worker that it runs on.

    One only: Dask does not replace a worker that ends before it is known to have started.
    """
    tree = DecisionTreeRegressor(max_depth=4, random_state=0)
    expert = parallel_experts.KillingItsWorker(tree, str(file), death, spared=os.getpid())
    return mixture(experts=expert, n_init=1)


# Threads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.usefixtures("many_threads")
def test_jobs_times_threads_do_not_exceed_the_cores(data, backend):
    if joblib.cpu_count() < 2:
        pytest.skip("one core")
    expert = parallel_experts.CountingThreads(max_depth=3, random_state=0)
    moe = mixture(experts=expert, n_init=1, max_iter=2)
    before = threadpool_info()
    with parallel_config(backend, n_jobs=2):
        moe.fit(*data)
    models = [model for e in moe.experts_ for model in getattr(e, "estimators_", [e])]
    most = max(max(model.n_threads_) for model in models)
    assert 2 * most <= joblib.cpu_count()
    assert threadpool_info() == before


def blas_threads():
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


@pytest.fixture
def three_blas_threads():
    """Three threads of BLAS, set by a thread that is gone: one that lives may keep others out."""
    before = blas_threads()[0]
    with ThreadPoolExecutor(1) as thread:
        thread.submit(threadpool_limits, 3, user_api="blas").result()
    yield [3] * len(blas_threads())
    with ThreadPoolExecutor(1) as thread:
        thread.submit(threadpool_limits, before, user_api="blas").result()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_limits_of_blas_in_threads_that_end_in_any_order_leave_what_was_before(
    order, three_blas_threads
):
    numbers = [2, 1, 4]
    limits = [_parallel._blas_limit(ThreadpoolController(), number) for number in numbers]
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in numbers]
        for i in range(3):
            threads[i].submit(limits[i].__enter__).result()
            assert max(blas_threads()) == min(numbers[: i + 1])
        left = dict(enumerate(numbers))
        for i in order:
            threads[i].submit(limits[i].__exit__, None, None, None).result()
            del left[i]
            assert max(blas_threads()) == min([3, *left.values()])
        assert blas_threads() == three_blas_threads


def test_fits_in_several_threads_leave_the_threads_of_blas_as_they_were(data, three_blas_threads):
    X, y = data[0][:100], data[1][:100]

    def work(seed):
        with parallel_config("threading", n_jobs=2):
            mixture(n_init=2, max_iter=1, random_state=seed).fit(X, y)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    assert blas_threads() == three_blas_threads


@pytest.mark.parametrize("kind", ["linear", "classifier"])
def test_fit_and_answers_of_few_rows_open_no_team_of_threads(kind, data, monkeypatch):
    monkeypatch.setattr(_parallel, "n_openmp_threads", lambda: 8)
    asked = []
    real = _parallel.kernel_threads
    for name, module in list(sys.modules.items()):
        if name.startswith("skmoe.") and getattr(module, "kernel_threads", None) is real:
            monkeypatch.setattr(
                module, "kernel_threads", lambda work: asked.append(real(work)) or asked[-1]
            )
    X, y = data[0][:150, :3], data[1][:150]
    moe = mixture(kind).fit(X, y > 0 if kind == "classifier" else y)
    moe.predict(X)
    assert set(asked) == {1}


@pytest.mark.parametrize("behind", [False, True])
def test_forests_grow_in_threads_where_nobody_chose_a_backend(data, behind):
    forest = parallel_experts.RecordingForest(20, random_state=0)
    expert = make_pipeline(StandardScaler(), forest) if behind else forest
    settings = {"max_iter": 2, "training": "em", "random_state": 0, "cv": 3}
    moe = MixtureOfExpertsRegressor(expert, 2, n_jobs=2, **settings)

    def places():
        fitted = [each[-1] if behind else each for each in moe.fit(*data).experts_]
        return {each.where_ for each in fitted}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        here, of_threads = places(), moe.predict(data[0])
        with parallel_config("loky"):
            elsewhere = places()
    assert {process for process, _ in here} == {os.getpid()}
    assert os.getpid() not in {process for process, _ in elsewhere}
    assert_array_equal(moe.predict(data[0]), of_threads)


FORKING = """
import os, sys, warnings
import numpy as np
from skmoe import MixtureOfExpertsRegressor, _parallel

warnings.simplefilter("ignore")
_parallel.n_openmp_threads = lambda: 2  # on a machine of one core, too
_parallel.WORK_OF_A_THREAD = 500
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 2))
y = np.where(X[:, 0] > 0, X[:, 1], -X[:, 1]) + 0.1 * rng.normal(size=len(X))
moe = MixtureOfExpertsRegressor(n_experts=2, n_init=1, max_iter=2, random_state=0).fit(X, y)
expected = moe.predict(X), moe.log_density(X, y)
assert _parallel.kernel_threads(10**9) == 2
child = os.fork()
if child == 0:
    assert _parallel.kernel_threads(10**9) == 1
    assert all(map(np.array_equal, expected, (moe.predict(X), moe.log_density(X, y))))
    refit = MixtureOfExpertsRegressor(n_experts=2, n_init=1, max_iter=2, random_state=0).fit(X, y)
    assert refit.lower_bounds_ == moe.lower_bounds_
    grandchild = os.fork()
    if grandchild == 0:
        moe.predict(X)
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_of_a_process_with_threads_fits_and_answers(tmp_path):
    place = str(Path(_parallel.__file__).parents[1])
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    environment = os.environ | threads | {"PYTHONPATH": place}
    run = subprocess.run(  # not from here, where sources may lie that are not compiled
        [sys.executable, "-c", FORKING],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stderr.decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads, of BLAS too
def test_a_fork_while_another_thread_holds_the_limit_of_blas_does_not_block_the_child():
    with _parallel._blas_limit.lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if _parallel._blas_limit.lock.acquire(timeout=10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
