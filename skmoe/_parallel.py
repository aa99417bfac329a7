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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar, copy_context
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
QUICKER = "fewer of them", "a smaller n_experts", "a shorter list"  # refits, clones, a list
DASK = "DaskDistributedBackend"  # name of joblib's backend

_forked = False  # whether this process has been forked since this file was imported


def kernel_threads(work):
    """How many threads a kernel should use; ``work`` is in numbers to take the exponential of."""
    wanted = work // WORK_OF_A_THREAD
    if _forked or wanted <= 1:
        return 1
    return min(n_openmp_threads(), wanted)


@contextmanager
def few_threads(work):
    """Context in which scikit-learn has one thread of BLAS, and of OpenMP as kernels have."""
    controller = _loaded_libraries()
    with _blas_limit(controller, 1), _openmp_limit(controller, kernel_threads(work)):
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
    if _forked:
        n_threads = 1
    else:
        n_threads = n_openmp_threads()
    if n_threads == 1:
        yield map
        return
    run = partial(on_one_thread, get_config())
    with _blas_limit(_loaded_libraries(), 1), ThreadPoolExecutor(n_threads) as pool:
        yield lambda function, items: pool.map(partial(run, function), items)


@dataclass
class Jobs:
    """Runs ``function(*shared, *each)`` for each of many arguments."""

    _pool: object  # Pool: runs the tasks
    _shared: tuple  # the first arguments of every task
    # Most threads of BLAS and OpenMP for each task; None leaves them as they are.
    _n_threads: int | None
    _in_turn: bool = False  # whether tasks run one after the other, here

    def as_they_come(self, function, arguments, what, most=None, unlike=1):
        """Results so far, once a second, in the order of the arguments; warns of a long wait.

        Yields a list, the seconds that the pool took, and those that ``most`` tasks may take, by
        default these; ``what`` they are is for the warning. ``unlike`` ones take turns.
        """
        arguments = list(arguments)
        done = []
        pool = self._pool
        # The first ones start processes and import packages, too.
        if self._in_turn or unlike > 1:
            n_first = 0
        else:
            n_first = effective_n_jobs(pool.n_jobs)
        first = pool.seconds
        shown = pool.seconds - 1
        began = time.monotonic() - first
        most = most or len(arguments)
        for result in self.one_by_one(function, arguments):
            done.append(result)
            pool.seconds = time.monotonic() - began
            pool.n_made = pool.n_made + 1
            if len(done) <= n_first:
                first = pool.seconds
            pace = (pool.seconds - first) / max(len(done) - n_first, 1)
            total = pool.seconds + pace * max(most - pool.n_made, 0)
            if pool.seconds > ENOUGH_SECONDS * (30 if len(done) < unlike else 1):
                quicker = QUICKER[(pool.most_fits is not None) + (unlike > 1)]
                pool.was_long = pool.was_long or warn_if_long(
                    what, total, f"{quicker}, n_jobs=-1, fewer rows", pool.say is not None
                )
            fits = f"of {what[0].lower()}{what[1:]}, about {total - pool.seconds:,.0f} s to go"
            self.tell(f"{pool.n_made} {fits}")
            if len(done) == len(arguments) or (pool.seconds > shown + 1 and len(done) > n_first):
                yield done, pool.seconds, total
                shown = pool.seconds

    def of_experts(self, function, arguments, unlike=1, are_counted=True):
        """Results in a list, of fits of experts, of which the pool says how many there are."""
        if are_counted:
            most = self._pool.most_fits
        else:
            most = None
        if most is None or not arguments:
            return list(self.one_by_one(function, arguments))
        if self._pool.n_made >= self._pool.likely_fits:
            likely = most
        else:
            likely = self._pool.likely_fits
        what = f"Up to {most} fits of experts"
        return [*self.as_they_come(function, arguments, what, likely, unlike)][-1][0]

    def tell(self, what):
        """Print a line of progress, if the fit is asked to, and has printed none for long."""
        if self._pool.say is not None:
            self._pool.say(what, level=3)

    def one_by_one(self, function, arguments):
        """Results, each as soon as it is there, in the order of the arguments."""
        if self._in_turn:  # joblib takes as long as a short task
            alone = copy_context()
            alone.run(_pool.set, None)  # a task in this thread has a pool of its own
            for each in arguments:
                yield alone.run(function, *self._shared, *each)
            return
        caught = {}
        limit = nullcontext()
        limit_of_task = nullcontext
        if self._n_threads is not None:
            given = ThreadpoolController(), self._n_threads
            # BLAS is limited for the whole process, so here; OpenMP for one thread, so in each.
            limit = _blas_limit(*given)
            limit_of_task = partial(_openmp_limit, *given)
        with limit:
            for result, warned in self._pool.parallel(
                delayed(_run)((os.getpid(), limit_of_task, function), self._shared, tuple(each))
                for each in arguments
            ):
                caught |= dict.fromkeys(warned)
                yield result
        for message, category, *where in caught:
            warnings.warn_explicit(message, category, *where)


_pool = ContextVar("pool", default=None)  # pool of the running fit of this thread


@dataclass
class Pool:
    """One ``joblib.Parallel``, started when it is first asked for."""

    n_jobs: int | None  # as everywhere in scikit-learn
    stack: ExitStack  # ends it
    prefer: str | None = None  # "threads" is the backend of joblib if none was chosen
    most_fits: int | None = None  # of experts
    likely_fits: int | None = None  # that are made of these in most fits of a mixture
    say: Callable | None = None  # ``Progress.say``
    n_made: int = 0  # tasks ``as_they_come``, so far
    seconds: float = 0.0  # which they took
    was_long: bool = False  # whether a long wait was warned of

    @cached_property
    def parallel(self):
        """The ``joblib.Parallel``, inside its context."""
        backend, _ = get_active_backend(prefer=self.prefer)
        if backend.supports_return_generator:
            kind = "generator"
        else:
            kind = "list"
        return self.stack.enter_context(
            Parallel(n_jobs=self.n_jobs, prefer=self.prefer, return_as=kind)
        )


@contextmanager
def one_pool(n_jobs, *others):
    """Context in which all ``jobs`` of as many workers have one pool; see ``Pool``."""
    with ExitStack() as stack:
        stack.callback(_pool.reset, _pool.set(Pool(n_jobs, stack, *others)))
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
        are_threads = isinstance(backend, ThreadingBackend) and n_effective > 1
        if are_threads:
            n_threads = max(1, cpu_count() // n_effective)
        else:
            n_threads = None
        is_dask = type(backend).__name__ == DASK
        if is_dask:  # it then sends a reference for ``shared``
            backend.data_futures[id(shared)] = _submit(backend.client, shared)
            stack.callback(backend.data_futures.pop, id(shared))
        yield Jobs(pool, shared, n_threads, n_effective == 1 and not is_dask)


def _run(how, shared, arguments):
    """The result, and warnings that another process than the caller's would print."""
    caller, limit, function = how
    # In Dask's tasks, too, ``n_jobs=None`` is one job inside. Dask would have it be all cores,
    # whose threads add up what trees predict in any order.
    is_dask = type(get_active_backend()[0]).__name__ == DASK
    with parallel_config("threading", n_jobs=1) if is_dask else limit():
        if os.getpid() == caller or threading.current_thread() is not threading.main_thread():
            return function(*shared, *arguments), []
        with warnings.catch_warnings(record=True) as caught:
            result = function(*shared, *arguments)
    return result, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]


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
        self.lock = threading.Lock()
        self._user_api = user_api
        self._limits = []

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
