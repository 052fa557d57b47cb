"""Threads that share work, and threads that work apart."""

import gc
import signal
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from shallow_ae._runtime import threads


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("joblib.effective_n_jobs", lambda _: 3)


def results_of(run, function, tasks):
    """Return what a way of working yields for each task, in the order of `done`."""
    found = []
    run(function, tasks, lambda task, results: found.append((task, results)))
    return found


def test_apart_each_task_has_one_thread_and_all_run_at_once():
    together = threading.Barrier(3, timeout=60)

    def task(number):
        together.wait()
        yield threads.n_threads()
        yield threading.get_ident()

    assert threads.n_threads() == 3
    numbers, results = zip(*results_of(threads.map_single_threaded, task, range(6)), strict=True)
    shares, workers = zip(*results, strict=True)
    assert numbers == tuple(range(6))  # in order
    assert set(shares) == {1}
    assert len(set(workers)) == 3
    assert threads.n_threads() == 3


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_blas_has_one_thread_in_each_task():
    def task(_):
        yield from threads.map_on_threads(lambda _: blas_threads(), range(2))

    before = blas_threads()
    assert results_of(threads.map_single_threaded, task, range(4)) == [
        (n, [{1}, {1}]) for n in range(4)
    ]
    assert blas_threads() == before


def test_blas_is_limited_whichever_thread_was_first_and_last():
    before, inside, left = blas_threads(), threading.Event(), threading.Event()

    def first():
        with threads.one_blas_thread:
            inside.set()
            left.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(60)
    with threads.one_blas_thread:
        left.set()
        thread.join()
        assert blas_threads() == {1}
    assert blas_threads() == before
    with threadpool_limits(1, user_api="blas"):  # others may set limits of their own again
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_tasks_leave_the_setting_of_blas_to_whom_they_work_for():
    def task(_):
        with threads.one_blas_thread:
            yield threads.one_blas_thread.n_inside

    assert results_of(threads.map_single_threaded, task, range(4)) == [
        (number, [1]) for number in range(4)
    ]
    assert threads.one_blas_thread.n_inside == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no such clock on Windows")
# Python itself drops an interrupt that comes during a callback of its own, and pytest warns of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_an_interrupt_at_any_moment_gives_blas_its_threads_back():
    def interrupt(*_):
        raise KeyboardInterrupt

    def work():
        threads.map_on_threads(abs, range(20))

    work()
    began = time.perf_counter()
    work()
    duration = time.perf_counter() - began
    before, handler = blas_threads(), signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what JAX has called at each collection would be interrupted, too
    n_interrupted = 0
    try:
        for moment in np.linspace(duration / 500, duration, 500):
            try:
                signal.setitimer(signal.ITIMER_REAL, moment)
                work()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                n_interrupted += 1
            assert blas_threads() == before, moment
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        gc.enable()
    assert n_interrupted > 50
    assert threads.one_blas_thread.n_inside == 0


def test_after_an_error_no_task_begins_and_none_goes_on(nothing_more_begins):
    begun, ended = [], []

    def task(number):
        begun.append(number)
        if number == 0:
            raise RuntimeError("the first")
        nothing_more_begins.wait(10)
        yield "a step"
        ended.append(number)

    with pytest.raises(RuntimeError, match="the first"):
        threads.map_single_threaded(task, range(10), lambda *_: None)
    assert len(begun) <= 4  # the first, and one that holds each of the three threads
    assert not ended


def test_in_turn_each_task_has_all_threads():
    found = results_of(threads.map_sequential, lambda n: [(n, threads.n_threads())], range(3))
    assert found == [(number, [(number, 3)]) for number in range(3)]
