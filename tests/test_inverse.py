"""The inverse in place, on threads, on one of them and in JAX, against NumPy's."""

import ctypes
import sys
import threading
import time

import numpy as np
import pytest
from bounds import rounding

from shallow_ae._linalg import device_inverse, lapack
from shallow_ae._linalg import inverse as inverse_module
from shallow_ae._linalg.lapack import invert_by_cholesky

FORMS = {
    "threads": lambda A: inverse_module._sweep_on_threads(A, 0),
    "one thread": lambda A: inverse_module._invert_on_one_thread(A, 0),
    "JAX": device_inverse.negated_inverse_on_device,
}


def positive_definite(n, dtype=np.float64):
    """Return a matrix of condition 41, with nonsense above the diagonal, and its inverse."""
    factor = np.random.default_rng(n).normal(size=(n, n))
    A = factor @ factor.T / n + 0.1 * np.eye(n)
    lower = np.tril(A) + np.triu(np.full((n, n), np.nan), 1)
    return lower.astype(dtype), np.linalg.inv(A)


def assert_close(inverse, expected, dtype=np.float64):
    """Assert that two inverses are apart by roundings of the matrix times its condition at most.

    The largest eigenvalue of a square factor's is 4, beside 0.1; n does not matter, as the errors
    of long sums average out (seen: 0.03 of this).
    """
    off = rounding(1, dtype) * 41 * np.abs(expected).max()
    np.testing.assert_allclose(inverse, expected, rtol=0, atol=off)


NARROW = {"_NARROW": 32, "_WIDE": 96, "_LARGE": 130, "_TILE_ROWS": 24, "_TILE_COLUMNS": 48}


@pytest.fixture(params=["narrow", pytest.param("as shipped", marks=pytest.mark.slow)])
def widths(request, monkeypatch):
    """Set how wide blocks and tiles are."""
    if request.param == "narrow":
        for name, value in NARROW.items():
            monkeypatch.setattr(inverse_module, name, value)
        monkeypatch.setattr(device_inverse, "_DEVICE_WIDTH", 32)
    device_inverse._sweep.clear_cache()


@pytest.mark.usefixtures("widths")
@pytest.mark.parametrize(
    "form", ["threads", "one thread", pytest.param("JAX", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_numpys_inverse_for_any_remainder_of_blocks(form, dtype):
    for n in [1, 2, 31, 32, 33, 64, 65, 129, 130, 191, 193, 255, 257, 300]:
        A, expected = positive_definite(n, dtype)
        FORMS[form](A)
        assert_close(-np.tril(A), np.tril(expected), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_blocks_are_swept_themselves(monkeypatch, dtype):
    monkeypatch.setattr(inverse_module, "_LARGE", 1000)
    A, expected = positive_definite(2000, dtype)
    inverse_module.negated_inverse(A)
    assert_close(-np.tril(A), np.tril(expected), dtype)


def test_invert_fills_both_triangles():
    A, expected = positive_definite(500)
    inverse_module.invert(A)
    assert_close(A, expected)


def test_unfold_scales_rows_and_columns():
    rng = np.random.default_rng(0)
    lower = np.tril(rng.normal(size=(900, 900)))
    rows, columns = rng.uniform(1, 2, size=(2, 900))
    A = lower.copy()
    inverse_module.mirror_and_scale(A, rows, columns)
    whole = lower + np.tril(lower, -1).T
    np.testing.assert_allclose(A, rows[:, None] * whole * columns[None, :], rtol=rounding(2))


@pytest.mark.parametrize(("backend", "threads"), [("cpu", 2), ("cpu", 1), ("gpu", 1)])
@pytest.mark.parametrize("pivot", [0, 40, 99])
@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_a_matrix_that_is_not_positive_definite_is_an_error(
    monkeypatch, backend, threads, pivot, bad
):
    monkeypatch.setattr(inverse_module, "backend", lambda: backend)
    monkeypatch.setattr(inverse_module, "n_threads", lambda: threads)
    A = np.eye(100, dtype=np.float32)
    A[pivot, pivot] = bad
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite in float32"):
        inverse_module.negated_inverse(A)


@pytest.mark.parametrize(
    ("threads", "backend", "n", "form"),
    [
        (1, "cpu", 20, (inverse_module, "_invert_on_one_thread")),
        (1, "cpu", 30, (inverse_module, "_sweep_on_threads")),
        (2, "cpu", 20, (inverse_module, "_sweep_on_threads")),
        (1, "gpu", 20, (device_inverse, "negated_inverse_on_device")),
    ],
)
def test_who_inverts(monkeypatch, threads, backend, n, form):
    monkeypatch.setattr(inverse_module, "backend", lambda: backend)
    monkeypatch.setattr(inverse_module, "n_threads", lambda: threads)
    monkeypatch.setattr(inverse_module, "_APART", 30)
    original, taken = getattr(*form), []
    monkeypatch.setattr(*form, lambda *of: (taken.append(len(of[0])), original(*of)))
    A, expected = positive_definite(n)
    inverse_module.negated_inverse(A)
    assert_close(-np.tril(A), np.tril(expected))
    assert taken == [n]


@pytest.fixture
def asked_again():
    """Ask LAPACK again for the width of its integers, before and after."""
    lapack.integer_type.cache_clear()
    yield
    lapack.integer_type.cache_clear()


@pytest.mark.usefixtures("asked_again")
@pytest.mark.parametrize("integer", [ctypes.c_int32, ctypes.c_int64])
def test_the_width_of_lapacks_integers_is_found_out(integer, monkeypatch):
    def ilaver(*places):
        for place, value in zip(places, (3, 0, 1), strict=True):
            ctypes.cast(place, ctypes.POINTER(integer))[0] = value

    monkeypatch.setattr(lapack, "_function", lambda *_: ilaver)
    assert lapack.integer_type() is integer


@pytest.mark.usefixtures("asked_again")
def test_integers_of_another_width_are_an_error_and_reach_no_matrix(monkeypatch):
    called = []
    monkeypatch.setattr(lapack, "_function", lambda name, *_: lambda *_: called.append(name))
    with pytest.raises(ImportError, match="no integers of 32 or 64 bits"):
        invert_by_cholesky(np.eye(3))
    assert called == ["ilaver"]


def test_nothing_is_its_own_inverse(capfd):
    assert invert_by_cholesky(np.empty((0, 0)))
    assert capfd.readouterr() == ("", "")


def test_python_goes_on_while_lapack_computes():
    """Threads hand Python's lock over where it is released, and as they never take turns here,
    that this one runs while the other computes means that computing releases it."""
    matrix, computes, was_seen = positive_definite(400)[0], [False], threading.Event()

    def invert():
        for _ in range(200):  # this thread may not get a core within one
            A = matrix.copy()
            computes[0] = True
            invert_by_cholesky(A)
            computes[0] = False
            if was_seen.is_set():
                break

    thread, seconds = threading.Thread(target=invert), sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        while thread.is_alive() and not computes[0]:
            time.sleep(1e-4)
        assert computes[0]
    finally:
        was_seen.set()
        thread.join()
        sys.setswitchinterval(seconds)
