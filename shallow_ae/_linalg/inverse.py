"""The inverse of a symmetric positive definite matrix, computed in place.

The algorithm is a blocked sweep. Let B be the inverse of a diagonal block A_kk. One step replaces,
for all other blocks i and j,

    A_ij <- A_ij - A_ik B A_kj,      A_ik <- A_ik B,      A_kk <- -B,

and after one step for each diagonal block, A contains -A^-1. The sweep updates only the lower
triangle. It takes n^3/2 multiplications, as many as LAPACK's Cholesky factorization and inverse
together, and nearly all of them are in products of tiles. It needs no second matrix, and stops as
soon as a pivot is not positive.

All threads share the sweep of one matrix. A single thread uses LAPACK's Cholesky factorization and
inverse instead, unless the matrix is large. Both need as little memory and fewer passes over it.

Source: J. H. Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician, 1979.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np

from shallow_ae._linalg.lapack import invert_by_cholesky
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._runtime.progress import progress_bar
from shallow_ae._runtime.threads import Workers, map_on_threads, n_threads, with_workers
from shallow_ae._typing import Array

# Rows in a diagonal block. Wide blocks need fewer passes through memory, but LAPACK inverts a block
# on one thread. A wide block is therefore inverted by a sweep over narrow blocks. A tile and its
# two factors fit in the second-level cache.
_NARROW, _WIDE = 256, 768
_LARGE = 4096  # matrices of this size and larger have wide blocks
_APART = 8192  # matrices of this size and larger are inverted by all threads together
_TILE_ROWS, _TILE_COLUMNS = 256, 512


def negated_inverse(A: Array, *, verbose: int = 0) -> None:
    """Overwrite the lower triangle of A with -A^-1; only the lower triangle is read.

    Parameters
    ----------
    A : C-contiguous ndarray of shape (n, n), float32 or float64
        Symmetric and positive definite. Its contents are undefined after an error.
    verbose : int
        1 shows a progress bar.

    Raises
    ------
    numpy.linalg.LinAlgError
        If A is not positive definite in the precision of its dtype.
    """
    if backend() != "cpu":
        from shallow_ae._linalg.device_inverse import negated_inverse_on_device

        negated_inverse_on_device(A)
    elif n_threads() == 1 and is_small(len(A)):
        _invert_on_one_thread(A, verbose)
    else:
        _sweep_on_threads(A, verbose)
    with np.errstate(invalid="ignore"):
        _check(bool((A.diagonal() < 0).all() and np.isfinite(A.diagonal()).all()), A.dtype)


def mirror_and_scale(A: Array, row_scale: Array, column_scale: Array) -> None:
    """Mirror the lower triangle of A, and multiply A_ij by row_scale[i] * column_scale[j]."""

    def mirror(rows: slice) -> None:
        for columns in blocks(rows.start, _NARROW):
            low, up = A[rows, columns], A[columns, rows]
            np.multiply(low.T, column_scale[None, rows], out=up)
            up *= row_scale[columns, None]
            low *= row_scale[rows, None]
            low *= column_scale[None, columns]
        tile = A[rows, rows]
        tile[:] = _symmetric(tile)
        tile *= row_scale[rows, None]
        tile *= column_scale[None, rows]

    map_on_threads(mirror, blocks(len(A), _NARROW)[::-1])


def invert(A: Array, *, verbose: int = 0) -> None:
    """Overwrite the symmetric positive definite A with its inverse.

    Only the lower triangle of A is read. The parameters and errors are the same as in
    :func:`negated_inverse`.
    """
    negated_inverse(A, verbose=verbose)
    ones = np.ones(len(A), A.dtype)
    mirror_and_scale(A, -ones, ones)


def is_small(n: int) -> bool:
    """Return whether several matrices of n rows are inverted fastest by one thread each."""
    return n < _APART and backend() == "cpu"


def inverse_bytes(n: int, itemsize: int) -> int:
    """Return how many bytes `negated_inverse` allocates in addition to the matrix."""
    tiles = n_threads() * _TILE_ROWS * _TILE_COLUMNS
    return ((n + 3 * _WIDE) * min(n, _WIDE) + tiles) * itemsize


@with_workers  # limits BLAS to one thread
def _invert_on_one_thread(workers: Workers, A: Array, verbose: int) -> None:  # noqa: ARG001
    with progress_bar(len(A), "fit", verbose=verbose) as bar:
        _check(invert_by_cholesky(A), A.dtype)
        np.negative(A, out=A)
        bar.advance(len(A))


@with_workers
def _sweep_on_threads(workers: Workers, A: Array, verbose: int) -> None:
    with progress_bar(len(A), "fit", verbose=verbose) as bar:
        _sweep_blocks(A, _WIDE if len(A) >= _LARGE else _NARROW, workers, bar.advance)


def _sweep_blocks(
    A: Array, width: int, pool: Executor, done: Callable[[int], object] | None = None
) -> None:
    scaled = np.empty((len(A), min(len(A), width)), A.dtype)
    for pivot in blocks(len(A), width):
        _sweep_block(A, pivot, scaled[:, : pivot.stop - pivot.start], pool)
        if done:
            done(pivot.stop - pivot.start)


def _sweep_block(A: Array, pivot: slice, scaled: Array, pool: Executor) -> None:
    """Take one step of the sweep; `scaled` is scratch memory for A_ik B of all blocks i."""
    inverse = _inverse_of_block(A[pivot, pivot], pool)
    products = threading.local()

    def columns(rows: slice) -> Array:
        """Return A_ik for rows above or below the diagonal block, from the lower triangle."""
        return A[rows, pivot] if rows.start >= pivot.stop else A[pivot, rows].T

    def scale(rows: slice) -> None:
        np.matmul(columns(rows), inverse, out=scaled[rows])

    def update(rows: slice) -> None:
        if not hasattr(products, "of_tile"):
            products.of_tile = np.empty(_TILE_ROWS * _TILE_COLUMNS, A.dtype)
        left = blocks(min(pivot.start, rows.stop), _TILE_COLUMNS)
        for others in left + blocks(rows.stop, _TILE_COLUMNS, start=pivot.stop):
            tile = A[rows, others]
            product = products.of_tile[: tile.size].reshape(tile.shape)
            np.matmul(scaled[rows], columns(others).T, out=product)
            np.subtract(tile, product, out=tile)

    other_rows = blocks(pivot.start, _TILE_ROWS) + blocks(len(A), _TILE_ROWS, start=pivot.stop)
    list(pool.map(scale, other_rows))
    list(pool.map(update, other_rows[::-1]))  # the longest rows first
    A[pivot, : pivot.start] = scaled[: pivot.start].T
    A[pivot.stop :, pivot] = scaled[pivot.stop :]
    A[pivot, pivot] = -inverse


def _inverse_of_block(block: Array, pool: Executor) -> Array:
    """Return the inverse of a small matrix given by its lower triangle."""
    if len(block) > _NARROW:
        inverse = block.copy()
        _sweep_blocks(inverse, _NARROW, pool)
        return -_symmetric(inverse)
    inverse = block.copy()
    _check(invert_by_cholesky(inverse), block.dtype)
    return _symmetric(inverse)


def _symmetric(lower: Array) -> Array:
    return np.asarray(np.tril(lower) + np.tril(lower, -1).T)


def _check(is_definite: bool, dtype: Any) -> None:
    if not is_definite:
        raise np.linalg.LinAlgError(f"The matrix is not positive definite in {dtype}.")
