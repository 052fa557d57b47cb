"""Worker threads, with BLAS on one thread each, and out of reach of keyboard interrupts."""

from __future__ import annotations

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from itertools import takewhile
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import joblib
from threadpoolctl import ThreadpoolController

_MOST = 8

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_this_thread = threading.local()


def n_threads() -> int:
    """Return the number of threads to use: the number of cores, or this process's share of them.

    OMP_NUM_THREADS is where joblib tells its processes their share, as other libraries read it.
    """
    if _is_apart():
        return 1
    share = os.environ.get("OMP_NUM_THREADS", "")
    n_cores = int(joblib.effective_n_jobs(-1))
    return min(_MOST, n_cores, int(share) if share.isdigit() and int(share) else n_cores)


def _is_apart() -> bool:
    return getattr(_this_thread, "is_apart", False)


class _OneBlasThread:
    """Context manager that limits BLAS to one thread, and restores the former limit at the end.

    Threads that work apart have it from whom they work for. A thread of its own sets the limit and
    takes it back: threadpoolctl lets only the thread that set a limit change it again, and the
    first one in may not be the last one out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries: Any = None
        self.n_inside = 0

    def __enter__(self) -> None:
        if _is_apart():
            return
        with self._lock:
            if not self.n_inside:
                self._is_limited, self._is_left = threading.Event(), threading.Event()
                self._keeper = threading.Thread(target=self._keep, name="one BLAS thread")
                self._keeper.start()
                self._is_limited.wait()
            self.n_inside += 1

    def __exit__(self, *error: object) -> None:
        if _is_apart():
            return
        with self._lock:
            self.n_inside -= 1
            if not self.n_inside:
                self._is_left.set()
                self._keeper.join()

    def _keep(self) -> None:
        try:
            self._libraries = self._libraries or ThreadpoolController()  # some milliseconds
            with self._libraries.limit(limits=1, user_api="blas"):
                self._is_limited.set()
                self._is_left.wait()
        finally:
            self._is_limited.set()  # after an error, too: somebody waits


one_blas_thread = _OneBlasThread()

if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads that hold the limit.
    os.register_at_fork(after_in_child=one_blas_thread.__init__)  # type: ignore[misc]


class Workers(ThreadPoolExecutor):
    """A thread pool that can be stopped."""

    def __init__(self) -> None:
        self.n_threads = n_threads()
        super().__init__(self.n_threads)
        self.is_stopped = threading.Event()

    def stop(self) -> None:
        """Start no further task. Running tasks can check `is_stopped`."""
        self.is_stopped.set()
        self.shutdown(wait=False, cancel_futures=True)


def off_main_thread(
    work: Callable[[], _Result], on_interrupt: Callable[[], object] = lambda: None
) -> _Result:
    """Run `work` on a thread that no keyboard interrupt reaches, and return its result.

    Python raises an interrupt in the main thread, between any two instructions. Here it finds that
    thread waiting. It calls `on_interrupt` and is raised when `work` has ended; a second interrupt
    is raised at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    claim = threading.Lock()  # taken by `work`, or by an interrupt that comes before it starts

    def lead() -> None:
        if not claim.acquire(blocking=False):
            return
        found: tuple[Any, BaseException | None]
        try:
            found = work(), None
        except BaseException as error:  # of any kind: the main thread waits for an outcome
            found = None, error
        outcome.put(found)
        outcome.put(found)  # a second time: an interrupt may lose the first one

    # Neither this start nor this wait is Python code: an interrupt in the midst of those of
    # `threading` and `concurrent.futures` may end in "RuntimeError: release unlocked lock".
    try:
        start_new_thread(lead, ())
        result, error = outcome.get()
    except BaseException:
        if not claim.acquire(blocking=False):
            on_interrupt()
            outcome.get()
        raise
    if error is None:
        return cast("_Result", result)
    try:
        raise error
    finally:
        del error  # which holds this frame


def with_workers(
    function: Callable[Concatenate[Workers, _Arguments], _Result],
) -> Callable[_Arguments, _Result]:
    """Decorate a function to get a thread pool as its first argument, with BLAS on one thread.

    Products of tiles on threads of our own run at the speed of one large product, and what is done
    to a tile before and after finds it in cache. It also keeps clear of BLAS's own threads, which
    crash in large factorizations (OpenBLAS 0.3.30, Cholesky from about 27,000 rows on).

    The function runs off the main thread, so that BLAS has its threads again whenever an interrupt
    comes. After an interrupt or an error, nothing begins that has not begun.
    """

    @wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        workers = Workers()

        def work() -> _Result:
            with one_blas_thread, workers:
                try:
                    return function(workers, *args, **kwargs)
                except BaseException:
                    workers.stop()
                    raise

        return off_main_thread(work, workers.stop)

    return call


@with_workers
def map_on_threads(
    workers: Workers, function: Callable[[_Task], _Result], tasks: Iterable[_Task]
) -> list[_Result]:
    """Return the result of a function for each task; threads share the tasks."""
    return list(workers.map(function, tasks))


def map_single_threaded(
    function: Callable[[_Task], Iterable[_Result]],
    tasks: Sequence[_Task],
    done: Callable[[_Task, list[_Result]], object],
) -> None:
    """Run each task on one thread, and call `done` with the task and its results, in order.

    Where there are enough tasks, nobody waits for what a thread beside it has to do first. Errors
    are raised in the order of tasks; after one, or an interrupt, no task goes further than to what
    it yields next.
    """

    @with_workers
    def work(workers: Workers) -> None:
        def alone(task: _Task) -> list[_Result]:
            _this_thread.is_apart = True
            return list(takewhile(lambda _: not workers.is_stopped.is_set(), function(task)))

        for task, results in zip(tasks, workers.map(alone, tasks), strict=True):
            done(task, results)

    work()


def map_sequential(
    function: Callable[[_Task], Iterable[_Result]],
    tasks: Sequence[_Task],
    done: Callable[[_Task, list[_Result]], object],
) -> None:
    """Run one task after the other, each on all threads, and call `done` after each."""
    for task in tasks:
        done(task, list(function(task)))
