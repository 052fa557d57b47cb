"""How many threads work at once, and how they share matrix products with BLAS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from threading import Event, Lock, local
from typing import Any, TypeVar

import joblib
from threadpoolctl import ThreadpoolController

_MOST = 8

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_this_thread = local()


def n_threads() -> int:
    """Return how many threads to work with: the cores there are, or this process's share.

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
    """Keeps BLAS to one thread while anybody is inside; the last one out restores its setting.

    Threads that work apart have it from whom they work for. (OpenBLAS's setting is restored by the
    thread only that has changed it.)
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_inside = 0
        self._libraries: Any = None
        self._limits: Any = None

    def __enter__(self) -> None:
        if _is_apart():
            return
        with self._lock:
            if not self._n_inside:
                self._libraries = self._libraries or ThreadpoolController()  # some milliseconds
                self._limits = self._libraries.limit(limits=1, user_api="blas")
            self._n_inside += 1

    def __exit__(self, *error: object) -> None:
        if _is_apart():
            return
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limits.restore_original_limits()


one_blas_thread = _OneBlasThread()


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Yield threads to share work among, each of which has BLAS for itself.

    Products of tiles on threads of our own run at the speed of one large product, and what is done
    to a tile before and after finds it in cache. It also keeps clear of BLAS's own threads, which
    crash in large factorizations (OpenBLAS 0.3.30, Cholesky from about 27,000 rows on).
    """
    with one_blas_thread, ThreadPoolExecutor(n_threads()) as pool:
        try:
            yield pool
        finally:  # an error or an interrupt does not wait for what has not begun
            pool.shutdown(wait=False, cancel_futures=True)


def apart(
    function: Callable[[_Task], Iterable[_Result]], tasks: Iterable[_Task]
) -> Iterator[list[_Result]]:
    """Yield, in order, the list of what `function` yields for each task, one thread for each.

    Where there are enough tasks, nobody waits for what a thread beside it has to do first. Errors
    are raised in the order of tasks; after one, or an interrupt, no task goes further than to what
    it yields next.
    """
    ended = Event()

    def alone(task: _Task) -> list[_Result]:
        _this_thread.is_apart = True
        return list(takewhile(lambda _: not ended.is_set(), function(task)))

    with workers() as pool:
        try:
            yield from pool.map(alone, tasks)
        finally:
            ended.set()


def in_turn(
    function: Callable[[_Task], Iterable[_Result]], tasks: Iterable[_Task]
) -> Iterator[list[_Result]]:
    """Yield the same lists, one task after the other, each on all threads."""
    return (list(function(task)) for task in tasks)
