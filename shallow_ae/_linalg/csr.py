"""Csr matrices: arrays for compiled functions, and sums over rows and columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.blocks import entry_blocks
from shallow_ae._typing import Array, Interactions


class CsrArrays(NamedTuple):
    """The arrays of a csr matrix, in the types that compiled functions expect."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: Array


def csr_arrays(X: sp.csr_array[Any], dtype: Any) -> CsrArrays:
    """Return the arrays of `X`, with its values converted to `dtype`."""
    return CsrArrays(
        X.indptr.astype(np.int64),
        as_argument(X.indices, np.int32),
        as_argument(X.data, dtype),
    )


def as_argument(values: Array, dtype: Any) -> Array:
    """Return an array as an input of compiled functions, without a copy if possible.

    Numba compiles a function again for arrays that are read-only, not aligned or not contiguous. A
    read-only array, such as a memory-mapped one, is therefore returned as an array of the same
    memory that NumPy does not protect. No compiled function writes to its inputs.
    """
    plain = np.require(values, dtype, ["C", "A"])
    return plain if plain.flags.writeable else np.asarray(_Unprotected(plain))


class _Unprotected:
    """The memory of an array, which lives as long as this object."""

    def __init__(self, values: Array) -> None:
        self._values = values
        interface = dict(values.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def items_per_user(X: Interactions) -> Array:
    """Return the number of items of each user, in float64; 1 for users without items."""
    n_items = np.diff(X.indptr) if isinstance(X, sp.csr_array) else np.count_nonzero(X, axis=1)
    return np.asarray(np.maximum(n_items, 1.0))


def sum_by_item(X: sp.csr_array[Any], of_users: Array) -> Array:
    """Return, for each item, the sum of `of_users` over the users of the item, in float64."""
    sums = np.zeros(X.shape[1])
    for rows, entries in entry_blocks(X.indptr):
        of_entries = np.repeat(of_users[rows], np.diff(X.indptr[rows.start : rows.stop + 1]))
        sums += np.bincount(X.indices[entries], of_entries, minlength=X.shape[1])
    return sums


def scale_columns(X: sp.csr_array[Any], scale: Array) -> sp.csr_array[Any]:
    """Return X with column j multiplied by `scale[j]`."""
    return sp.csr_array((X.data * scale[X.indices], X.indices, X.indptr), shape=X.shape)


def row_squares(X: Interactions) -> Array:
    """Return the squared norm ||x_u||^2 of each row."""
    if isinstance(X, sp.csr_array):
        return np.asarray(_squares(X).sum(axis=1))
    return np.asarray(np.einsum("ui,ui->u", X, X))


def column_squares(X: Interactions, weights: Array) -> Array:
    """Return the weighted sum of each column's squares, with one weight for each row."""
    if isinstance(X, sp.csr_array):
        return np.asarray(_squares(X).T @ weights)
    return np.asarray(np.einsum("u,ui,ui->i", weights, X, X))


def _squares(X: sp.csr_array[Any]) -> sp.csr_array[Any]:
    with np.errstate(over="ignore"):  # a later check raises an error if a sum is infinite
        return sp.csr_array((np.square(X.data), X.indices, X.indptr), shape=X.shape)
