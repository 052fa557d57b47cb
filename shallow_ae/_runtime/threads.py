"""Worker threads, each with single-threaded BLAS, which keyboard interrupts do not reach."""

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

from threadpoolctl import ThreadpoolController

_MOST = 8

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_this_thread = threading.local()


def n_threads() -> int:
    """Return the number of threads to use: this process's share of the cores, at most `_MOST`.

    joblib sets OMP_NUM_THREADS in its worker processes to their share of the cores, because other
    libraries read this variable. Dask sets it to 1. A task of :func:`map_single_threaded` uses one
    thread.
    """
    if _is_apart():
        return 1
    share = os.environ.get("OMP_NUM_THREADS", "")
    if share == "1":
        return 1  # joblib would warn in Dask's workers
    from joblib import effective_n_jobs  # a single request needs one thread, and not this import

    n_cores = int(effective_n_jobs(-1))
    return min(_MOST, n_cores, int(share) if share.isdigit() and int(share) else n_cores)


def _is_apart() -> bool:
    return getattr(_this_thread, "is_apart", False)


class _OneBlasThread:
    """Context manager that limits BLAS to one thread, and restores the former limit at the end.

    Several threads may be inside at the same time. A separate keeper thread sets the limit and
    removes it, because threadpoolctl lets only the thread that set a limit change it again, and the
    first thread that enters may not be the last thread that leaves. A task of
    :func:`map_single_threaded` does nothing here, because its caller holds the limit already.
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
            self._libraries = self._libraries or ThreadpoolController()  # takes some milliseconds
            with self._libraries.limit(limits=1, user_api="blas"):
                self._is_limited.set()
                self._is_left.wait()
        finally:
            self._is_limited.set()  # also after an error: `__enter__` waits for it


one_blas_thread = _OneBlasThread()

if hasattr(os, "register_at_fork"):
    # A forked process does not have the keeper thread, so its state is reset.
    os.register_at_fork(after_in_child=one_blas_thread.__init__)  # type: ignore[misc]


class Workers(ThreadPoolExecutor):
    """A thread pool that can be stopped."""

    def __init__(self) -> None:
        self.n_threads = n_threads()
        super().__init__(self.n_threads)
        self.is_stopped = threading.Event()

    def stop(self) -> None:
        """Cancel the tasks that have not started. Running tasks can check `is_stopped`."""
        self.is_stopped.set()
        self.shutdown(wait=False, cancel_futures=True)


def off_main_thread(
    work: Callable[[], _Result], on_interrupt: Callable[[], object] = lambda: None
) -> _Result:
    """Run `work` on a thread that no keyboard interrupt reaches, and return its result.

    Python raises a KeyboardInterrupt in the main thread, between any two instructions. During
    `work`, the main thread only waits. After an interrupt it calls `on_interrupt`, waits until
    `work` has ended, and raises the interrupt. A second interrupt is raised at once. Any other
    thread calls `work` directly.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    claim = threading.Lock()  # acquired by `work`, or by an interrupt before `work` starts

    def lead() -> None:
        if not claim.acquire(blocking=False):
            return
        found: tuple[Any, BaseException | None]
        try:
            found = work(), None
        except BaseException as error:  # any error: the main thread waits for an outcome
            found = None, error
        outcome.put(found)
        outcome.put(found)  # twice: an interrupt may lose the first outcome

    # `start_new_thread` and `SimpleQueue.get` are not Python code. `threading` and
    # `concurrent.futures` start threads and wait for them in Python code, and an interrupt in the
    # midst of that code may end in "RuntimeError: release unlocked lock".
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
        del error  # its traceback holds this frame


def with_workers(
    function: Callable[Concatenate[Workers, _Arguments], _Result],
) -> Callable[_Arguments, _Result]:
    """Decorate a function: it gets a thread pool as its first argument, and BLAS uses one thread.

    Products of tiles on the threads of the pool are as fast as one large product on BLAS's own
    threads, and other operations on a tile find it in cache. BLAS's own threads also crash in large
    factorizations (OpenBLAS 0.3.30, Cholesky from about 27,000 rows on).

    The function runs off the main thread, so that the limit on BLAS is removed after an interrupt
    at any moment. After an interrupt or an error, the pool starts no further task.
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
    """Return the result of `function` for each task, in order; the threads share the tasks."""
    return list(workers.map(function, tasks))


def map_single_threaded(
    function: Callable[[_Task], Iterable[_Result]],
    tasks: Sequence[_Task],
    done: Callable[[_Task, list[_Result]], object],
) -> None:
    """Run each task on one thread, and call `done` with the task and its results, in order.

    Several tasks run at the same time. If there are enough tasks, no thread has to wait for the
    work of another thread. Errors are raised in the order of the tasks. After an error or an
    interrupt, each running task stops at the next result that it yields.
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
    """Run the tasks one after another, each on all threads, and call `done` after each task."""
    for task in tasks:
        done(task, list(function(task)))
