"""Tasks side by side, by joblib, whichever of its backends is active.

A fit starts one pool of workers, when its first tasks come, and all its tasks go there.

Large data travel once. Processes of one machine share arrays, which joblib maps into memory.
Dask sends the arguments of tasks again in every call, but for objects that joblib has put on the
cluster, by identity. joblib would scatter them; but scattered data are lost for good with the last
worker that holds them, and the fit with them. Here they are the result of a task instead: the
scheduler keeps the task, with the pickled data, and lets another worker run it again. The other
arguments stand inside a tuple: they then travel with their task, whereas an array that is an
argument of its own is scattered, and lost with its worker.

Threads of BLAS and OpenMP do not multiply. joblib and Dask see to it in processes of theirs; for
threads in this one it is done here. BLAS has one number of threads for the whole process, which all
fits that run in it share; OpenMP has one for each thread.

GNU's OpenMP does not survive a fork: a child that opens a team waits for threads which only its
parent has. Forked children therefore run the kernels on one thread.
"""

import os
import pickle
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property, partial
from uuid import uuid4

from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import ThreadingBackend, get_active_backend
from sklearn import config_context, get_config
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from ._compat import n_openmp_threads
from .exceptions import warn_if_long

# Numbers to take the exponential of, or as much other work, that one more thread must get: about a
# quarter of a millisecond, as opening a team on a busy machine takes a multiple of that.
WORK_OF_A_THREAD = 2**15
ENOUGH_SECONDS = 2.0  # of fits, to estimate how long others take
DASK = "DaskDistributedBackend"  # name of joblib's backend

_forked = False  # whether this process has been forked since this file was imported


def kernel_threads(work):
    """How many threads a kernel should use: 1 where there is little to do, and in forked processes.

    ``work`` is in numbers to take the exponential of.
    """
    wanted = work // WORK_OF_A_THREAD
    return 1 if _forked or wanted <= 1 else min(n_openmp_threads(), wanted)


@contextmanager
def few_threads(work):
    """Context in which scikit-learn has one thread of BLAS, and of OpenMP as kernels have."""
    controller = _loaded_libraries()
    n_threads = kernel_threads(work)
    with _blas_limit(controller, 1), _openmp_limit(controller, n_threads):
        yield


@cache
def _loaded_libraries():
    return ThreadpoolController()  # looks for libraries, which takes milliseconds


def on_one_thread(config, function, *args):
    """``function(*args)`` with one thread of OpenMP, for tasks in a pool.

    ``config`` is scikit-learn's, which every thread has of its own.
    """
    with config_context(**config), _openmp_limit(_loaded_libraries(), 1):
        return function(*args)


@contextmanager
def thread_map():
    """A ``map`` whose calls run side by side, in as many threads as kernels have at most.

    For many short passes: threads of OpenMP go on spinning for milliseconds after each, which on a
    busy machine takes the time of the next one.
    """
    n_threads = 1 if _forked else n_openmp_threads()
    if n_threads == 1:
        yield map
        return
    run = partial(on_one_thread, get_config())
    with _blas_limit(_loaded_libraries(), 1), ThreadPoolExecutor(n_threads) as pool:
        yield lambda function, items: pool.map(partial(run, function), items)


@dataclass
class Jobs:
    """Runs ``function(*shared, *each)`` for each of many arguments; results in their order."""

    _pool: object  # Pool: runs the tasks
    _shared: tuple  # the first arguments of every task
    # Most threads of BLAS and OpenMP for each task; None leaves them as they are.
    _n_threads: int | None
    _in_turn: bool = False  # whether tasks run one after the other, here

    def in_batches(self, function, arguments, what, most=None):
        """As a call, in batches of a second or more; warns of a long wait.

        Yields the results so far, the seconds that they took and those that ``most`` tasks may
        take, by default all; ``what`` they are is for the warning.
        """
        arguments, done, was_long = list(arguments), [], False
        size = at_once = effective_n_jobs(self._pool.n_jobs)
        began, before, pace = time.monotonic(), 0.0, float("inf")
        while len(done) < len(arguments):
            now = self(function, arguments[len(done) :][:size])
            done, seconds = done + now, time.monotonic() - began
            # The fastest batch: the first one starts processes and imports packages, too.
            pace, before = min(pace, (seconds - before) / len(now)), seconds
            total = seconds + pace * ((most or len(arguments)) - len(done))
            if seconds > ENOUGH_SECONDS * (1 if len(done) > at_once else 5) and not was_long:
                was_long = warn_if_long(what, total, "fewer of them, n_jobs=-1, fewer rows")
            yield done, seconds, total
            size = at_once * max(1, int(1 / at_once / max(pace, 1e-3)))

    def of_experts(self, function, arguments):
        """As a call, for fits of experts; the first ones of a fit show how long it may take."""
        most, self._pool.most_fits = self._pool.most_fits, None
        if most is None or not arguments:
            return self(function, arguments)
        what = f"Up to {most} fits of experts"
        return [*self.in_batches(function, arguments, what, most)][-1][0]

    def __call__(self, function, arguments):
        if self._n_threads is None:
            with ExitStack() as stack:
                stack.callback(_pool.reset, _pool.set(None))  # a task in this thread has its own
                if self._in_turn:  # joblib takes as long as a short task
                    return [function(*self._shared, *each) for each in arguments]
                done = self._pool.parallel(
                    delayed(_run_and_catch)(os.getpid(), function, self._shared, tuple(each))
                    for each in arguments
                )
            for warning in dict.fromkeys(each for _, caught in done for each in caught):
                message, category, *where = warning
                warnings.warn_explicit(message, category, *where)
            return [result for result, _ in done]
        controller = ThreadpoolController()
        # BLAS is limited for the whole process, so here; OpenMP for one thread, so in each.
        with _blas_limit(controller, self._n_threads):
            return self._pool.parallel(
                delayed(_run_with_few_threads)(
                    controller, self._n_threads, function, self._shared, tuple(each)
                )
                for each in arguments
            )


_pool = ContextVar("pool", default=None)  # pool of the running fit of this thread


@dataclass
class Pool:
    """One ``joblib.Parallel``, started when it is first asked for."""

    n_jobs: int | None  # as everywhere in scikit-learn
    stack: ExitStack  # ends it
    prefer: str | None = None  # "threads" is the backend of joblib if none was chosen
    most_fits: int | None = None  # of experts; a long wait for them is announced once

    @cached_property
    def parallel(self):
        """The ``joblib.Parallel``, inside its context."""
        return self.stack.enter_context(Parallel(n_jobs=self.n_jobs, prefer=self.prefer))


@contextmanager
def one_pool(n_jobs, prefer=None, most_fits=None):
    """Context in which all ``jobs`` of as many workers have one pool; see ``Pool``."""
    with ExitStack() as stack:
        stack.callback(_pool.reset, _pool.set(Pool(n_jobs, stack, prefer, most_fits)))
        yield


@contextmanager
def jobs(n_jobs, shared):
    """A ``Jobs`` for tasks that begin with the same arguments.

    ``shared`` are these, which must stay as they are until the context ends. The jobs are of the
    pool of ``one_pool``, where there is one.
    """
    with ExitStack() as stack:
        pool = _pool.get()
        if pool is None or pool.n_jobs != n_jobs:
            pool = Pool(n_jobs, stack)
        backend, _ = get_active_backend(prefer=pool.prefer)
        n_effective = effective_n_jobs(n_jobs)
        n_threads = None
        if isinstance(backend, ThreadingBackend) and n_effective > 1:
            n_threads = max(1, cpu_count() // n_effective)
        is_dask = type(backend).__name__ == DASK
        if is_dask:  # it then sends a reference for ``shared``
            backend.data_futures[id(shared)] = _submit(backend.client, shared)
            stack.callback(backend.data_futures.pop, id(shared))
        yield Jobs(pool, shared, n_threads, n_effective == 1 and not is_dask)


def _run_and_catch(caller, function, shared, arguments):
    """The result, and warnings that another process than the caller's would print."""
    is_alone = threading.current_thread() is threading.main_thread()
    # In Dask's tasks, too, ``n_jobs=None`` is one job inside. Dask would have it be all cores,
    # whose threads add up what trees predict in any order.
    is_dask = type(get_active_backend()[0]).__name__ == DASK
    with parallel_config("threading", n_jobs=1) if is_dask else nullcontext():
        if os.getpid() == caller or not is_alone:
            return function(*shared, *arguments), []
        with warnings.catch_warnings(record=True) as caught:
            result = function(*shared, *arguments)
    return result, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]


def _run_with_few_threads(controller, n_threads, function, shared, arguments):
    with _openmp_limit(controller, n_threads):
        return function(*shared, *arguments)


def _openmp_limit(controller, n_threads):
    """Context with at most ``n_threads`` of OpenMP, and no more than there are already."""
    libraries = controller.select(user_api="openmp")  # alone: the others are not set back after it
    now = [library["num_threads"] for library in libraries.info()]
    return libraries.limit(limits=min([n_threads, *now]))


class _SharedLimit:
    """Limit of a number of threads that the whole process has, for contexts that end in any order.

    The smallest of their limits holds; after the last of them, what there was before the first.
    """

    def __init__(self, user_api):
        self.lock, self._user_api, self._limits = threading.Lock(), user_api, []

    @contextmanager
    def __call__(self, controller, n_threads):
        """Context with at most ``n_threads``."""
        with self.lock:
            if not self._limits:
                libraries = controller.select(user_api=self._user_api).lib_controllers
                self._before = [(library, library.num_threads) for library in libraries]
            self._limits.append(n_threads)
            self._apply()
        try:
            yield
        finally:
            with self.lock:
                self._limits.remove(n_threads)
                self._apply()

    def _apply(self):
        for library, before in self._before:
            library.set_num_threads(min([before, *self._limits]))
            # Since threadpoolctl 3.8 a thread that sets OpenBLAS alone may do so from then on.
            getattr(library, "clear_controlling_thread", lambda: None)()


_blas_limit = _SharedLimit("blas")


def _after_fork():
    global _forked
    _forked = True
    _blas_limit.lock = threading.Lock()  # which a thread of the parent may have held


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _submit(client, shared):
    """Future of a task that makes ``shared``, however often a worker is lost."""
    import cloudpickle
    import dask

    # As bytes, which Dask neither searches for tasks nor unpickles in the scheduler.
    pickled = cloudpickle.dumps(shared)
    # Not named by content: in the next fit the same data would be the same task, and could be
    # taken away by the end of this one.
    name = f"skmoe-data-{uuid4().hex}"
    # Dask warns of large tasks, and advises to scatter.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": sys.maxsize}):
        return client.submit(pickle.loads, pickled, key=name)
