"""Tasks side by side, by joblib, whichever of its backends is active.

Large data travel once. Processes of one machine share arrays, which joblib maps into memory.
Dask sends again in every call what tasks are given, but for objects that were scattered before,
which joblib finds by identity. What is not scattered stands inside a tuple: it then travels with
its task, whereas an array that is an argument of its own is put on one worker, and lost with it.

Threads of BLAS and OpenMP do not multiply. joblib and Dask see to it in processes of theirs; for
threads in this one it is done here.
"""

import sys
from contextlib import contextmanager, nullcontext
from uuid import uuid4

from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import ThreadingBackend, get_active_backend
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController


class Jobs:
    """Runs ``function(*shared, *each)`` for each of many arguments; results in their order.

    Parameters
    ----------
    parallel : joblib.Parallel
        Runs the tasks.
    cargo : Cargo
        What all tasks share.
    n_threads : int or None
        Threads of BLAS and OpenMP for each task at most; None leaves them as they are.
    """

    def __init__(self, parallel, cargo, n_threads):
        self._parallel, self._cargo, self._n_threads = parallel, cargo, n_threads

    def __call__(self, function, arguments):
        if self._n_threads is None:
            return self._parallel(
                delayed(_run)(function, self._cargo, tuple(each)) for each in arguments
            )
        controller = ThreadpoolController()
        # BLAS is limited for the whole process, so here; OpenMP for one thread, so in each.
        with _limit(controller, "blas", self._n_threads):
            return self._parallel(
                delayed(_run_with_few_threads)(
                    controller, self._n_threads, function, self._cargo, tuple(each)
                )
                for each in arguments
            )


class Cargo:
    """What all tasks share, as one object that Dask knows by a name of its own.

    Named by their content, the same data would have the same name in the next fit, and could be
    taken away by the end of this one.
    """

    def __init__(self, shared):
        self.shared, self._name = shared, uuid4().hex

    def __dask_tokenize__(self):
        return self._name

    def __sizeof__(self):
        sizes = (getattr(each, "nbytes", None) or sys.getsizeof(each) for each in self.shared)
        return object.__sizeof__(self) + sum(sizes)


@contextmanager
def jobs(n_jobs, shared):
    """A ``Jobs`` for tasks that begin with the same arguments.

    Parameters
    ----------
    n_jobs : int or None
        As everywhere in scikit-learn.
    shared : tuple of objects
        The first arguments of every task; they must stay as they are meanwhile.

    Yields
    ------
    jobs : Jobs
        Until the context ends.
    """
    backend, _ = get_active_backend()
    n_effective = effective_n_jobs(n_jobs)
    n_threads = None
    if isinstance(backend, ThreadingBackend) and n_effective > 1:
        n_threads = max(1, cpu_count() // n_effective)
    cargo = Cargo(shared)
    with _scattered(backend, cargo), Parallel(n_jobs=n_jobs) as parallel:
        yield Jobs(parallel, cargo, n_threads)


def _run(function, cargo, arguments):
    return function(*cargo.shared, *arguments)


def _run_with_few_threads(controller, n_threads, function, cargo, arguments):
    with _limit(controller, "openmp", n_threads):
        return _run(function, cargo, arguments)


def _limit(controller, user_api, n_threads):
    """Context with at most ``n_threads``, and no more than there are already."""
    now = controller.select(user_api=user_api).info()
    return controller.limit(
        limits=min([n_threads, *(library["num_threads"] for library in now)]), user_api=user_api
    )


def _scattered(backend, cargo):
    """Context in which Dask, if it is the backend, has the cargo on every worker."""
    is_dask = type(backend).__name__ == "DaskDistributedBackend"
    if not is_dask or _inside_dask_task():
        return nullcontext()
    return parallel_config(backend="dask", client=backend.client, scatter=[cargo])


def _inside_dask_task():
    """In a task, joblib's own scattering, call by call, is the one that cannot be cancelled."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True
