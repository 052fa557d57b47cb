"""Threads that share work, and threads that work apart."""

import threading

import pytest
from threadpoolctl import threadpool_info

from shallow_ae import _threads


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_threads.joblib, "effective_n_jobs", lambda _: 3)


def test_apart_each_task_has_one_thread_and_all_run_at_once():
    together = threading.Barrier(3, timeout=60)

    def task(number):
        together.wait()
        yield number
        yield _threads.n_threads()
        yield threading.get_ident()

    assert _threads.n_threads() == 3
    numbers, shares, threads = zip(*_threads.apart(task, range(6)), strict=True)
    assert numbers == tuple(range(6))  # in order
    assert set(shares) == {1}
    assert len(set(threads)) == 3
    assert _threads.n_threads() == 3


def test_blas_has_one_thread_in_each_task():
    def task(_):
        with _threads.workers() as pool:
            yield from pool.map(lambda _: blas_threads(), range(2))

    def blas_threads():
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    before = blas_threads()
    assert list(_threads.apart(task, range(4))) == [[{1}, {1}]] * 4
    assert blas_threads() == before


def test_tasks_leave_the_setting_of_blas_to_whom_they_work_for():
    def task(_):
        with _threads.one_blas_thread, _threads.workers():
            yield _threads.one_blas_thread._n_inside

    assert list(_threads.apart(task, range(4))) == [[1]] * 4
    assert _threads.one_blas_thread._n_inside == 0


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
        next(_threads.apart(task, range(10)))
    assert len(begun) <= 4  # the first, and one that holds each of the three threads
    assert not ended


def test_in_turn_each_task_has_all_threads():
    threads = [[(number, _threads.n_threads())] for number in range(3)]
    assert list(_threads.in_turn(lambda n: [(n, _threads.n_threads())], range(3))) == threads
    assert threads[0] == [(0, 3)]
