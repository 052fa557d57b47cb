"""The inverse in place, on threads and in JAX, against NumPy's."""

import numpy as np
import pytest

from shallow_ae import _inverse

FORMS = {"threads": lambda A: _inverse._sweep_on_threads(A, 0), "JAX": _inverse._sweep_on_device}


def positive_definite(n, dtype=np.float64):
    """Return a matrix of moderate condition, with nonsense above the diagonal, and its inverse."""
    factor = np.random.default_rng(n).normal(size=(n, n))
    A = factor @ factor.T / n + 0.1 * np.eye(n)
    lower = np.tril(A) + np.triu(np.full((n, n), np.nan), 1)
    return lower.astype(dtype), np.linalg.inv(A)


@pytest.fixture(params=[(32, 48), (384, 512)], ids=["narrow", "as shipped"])
def widths(request, monkeypatch):
    """Set how wide blocks and tiles are."""
    width, columns = request.param
    monkeypatch.setattr(_inverse, "_WIDTH", width)
    monkeypatch.setattr(_inverse, "_TILE_COLUMNS", columns)
    monkeypatch.setattr(_inverse, "_DEVICE_WIDTH", width)
    _inverse._sweep.clear_cache()
    return width


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_numpys_inverse_for_any_remainder_of_blocks(widths, form, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for n in [1, 2, 31, 32, 33, 63, 64, 65, 97, 383, 385, widths * 2, widths * 2 + 1]:
        A, expected = positive_definite(n, dtype)
        FORMS[form](A)
        error = np.abs(np.tril(A) + np.tril(expected)).max() / np.abs(expected).max()
        assert error < tolerance, n


def test_invert_fills_both_triangles():
    A, expected = positive_definite(500)
    _inverse.invert(A)
    np.testing.assert_allclose(A, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_unfold_scales_rows_and_columns():
    rng = np.random.default_rng(0)
    lower = np.tril(rng.normal(size=(900, 900)))
    rows, columns = rng.uniform(1, 2, size=(2, 900))
    A = lower.copy()
    _inverse.unfold(A, rows, columns)
    whole = lower + np.tril(lower, -1).T
    np.testing.assert_allclose(A, rows[:, None] * whole * columns[None, :], rtol=1e-15)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("pivot", [0, 40, 99])
@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_a_matrix_that_is_not_positive_definite_is_an_error(monkeypatch, backend, pivot, bad):
    monkeypatch.setattr(_inverse.jax, "default_backend", lambda: backend)
    A = np.eye(100, dtype=np.float32)
    A[pivot, pivot] = bad
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite in float32"):
        _inverse.sweep(A)
