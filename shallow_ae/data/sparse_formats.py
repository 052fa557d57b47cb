"""Validation of the arrays that a sparse matrix of each format consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from shallow_ae._typing import Array


def check_format(X: Any) -> None:
    """Raise a ValueError unless a sparse matrix has two axes and valid indices and index pointers.

    Call it before any SciPy conversion, because conversions do not check the indices. SciPy's own
    `check_format` trims and casts the arrays of the matrix in place, and does not detect an index
    pointer whose differences overflow.
    """
    if X.ndim != 2:
        raise ValueError(f"Expected a users x items matrix, got a sparse array of shape {X.shape}.")
    try:
        _CHECKS[X.format](X)
    except ValueError as error:
        raise ValueError(
            f"Damaged {type(X).__name__} of shape {X.shape}: {error}. Build it again from indices "
            "that lie within its shape."
        ) from None


def _check_compressed(X: Any) -> None:
    (n_rows, n_columns), n_dims = X.shape, 1
    if X.format == "csc":
        n_rows, n_columns = n_columns, n_rows
    if X.format == "bsr":
        n_rows, n_columns, n_dims = *_shape_in_blocks(X), 3
    data = _check_array(X, "data", n_dims, kinds=None)
    indices, indptr = _check_array(X, "indices"), _check_array(X, "indptr")
    if len(indices) != len(data):
        raise ValueError(f"{len(indices):,} `indices` for {len(data):,} `data`")
    if len(indptr) != n_rows + 1:
        raise ValueError(f"an `indptr` of {len(indptr):,} numbers, expected {n_rows + 1:,}")
    if indptr[0] or (indptr[1:] < indptr[:-1]).any() or indptr[-1] > len(indices):
        raise ValueError(f"`indptr` does not rise from 0 to at most {len(indices):,}")
    _check_range("`indices`", indices[: indptr[-1]], n_columns)


def _shape_in_blocks(X: Any) -> tuple[int, int]:
    blocks = X.data.shape[1:]
    if len(blocks) != 2 or 0 in blocks or X.shape[0] % blocks[0] or X.shape[1] % blocks[1]:
        raise ValueError(f"blocks of shape {blocks} do not tile its shape")
    return X.shape[0] // blocks[0], X.shape[1] // blocks[1]


def _check_coordinates(X: Any) -> None:
    if len(X.coords) != 2:
        raise ValueError(f"{len(X.coords)} arrays of `coords`, expected 2")
    data = _check_array(X, "data", kinds=None)
    for axis, indices in enumerate(X.coords):
        name = f"`coords[{axis}]`"
        _check_dimensions(name, indices)
        if len(indices) != len(data):
            raise ValueError(f"{len(indices):,} indices in {name} for {len(data):,} `data`")
        _check_range(name, indices, X.shape[axis])


def _check_diagonals(X: Any) -> None:
    data, offsets = _check_array(X, "data", 2, kinds=None), _check_array(X, "offsets")
    if len(offsets) != len(data):
        raise ValueError(f"{len(offsets):,} `offsets` for {len(data):,} rows of `data`")
    if len(np.unique(offsets)) < len(offsets):
        raise ValueError("`offsets` holds a value twice")
    _check_range("`offsets`", offsets, X.shape[1], low=-X.shape[0])


def _check_lists(X: Any) -> None:
    n_rows = X.shape[0]
    if np.shape(X.rows) != (n_rows,) or np.shape(X.data) != (n_rows,):
        raise ValueError(
            f"`rows` and `data` have {len(X.rows):,} and {len(X.data):,} lists, expected {n_rows:,}"
        )
    for row, (indices, values) in enumerate(zip(X.rows, X.data, strict=True)):
        are_lists = isinstance(indices, list) and isinstance(values, list)
        if not are_lists or len(indices) != len(values):
            raise ValueError(f"`rows[{row}]` and `data[{row}]` are not lists of the same length")
    _check_numbers("`rows`", chain.from_iterable(X.rows), X.shape[1])


def _check_keys(X: Any) -> None:
    keys = list(X.keys())
    for key in keys:
        if not isinstance(key, tuple) or len(key) != 2:
            raise ValueError(f"the key {key!r}, expected (row, column)")
    for axis in (0, 1):
        _check_numbers(f"the keys, axis {axis}", [key[axis] for key in keys], X.shape[axis])


def _check_numbers(name: str, numbers: Iterable[Any], end: int) -> None:
    """Raise a ValueError unless all numbers are integer indices in [0, `end`)."""
    indices = list(numbers)
    for kind in set(map(type, indices)):
        if not issubclass(kind, int | np.integer) or kind is bool:
            raise ValueError(f"{kind.__name__} in {name}, expected integers")
    if indices and not 0 <= min(indices) <= max(indices) < end:
        raise ValueError(_out_of_range(name, min(indices), max(indices), 0, end))


def _check_array(X: Any, name: str, n_dims: int = 1, kinds: str | None = "i") -> Array:
    array: Array = getattr(X, name)
    _check_dimensions(f"`{name}`", array, n_dims, kinds)
    return array


def _check_dimensions(name: str, array: Any, n_dims: int = 1, kinds: str | None = "i") -> None:
    if not isinstance(array, np.ndarray) or array.ndim != n_dims:
        raise ValueError(f"{name} is not an array with {n_dims} dimensions")
    if kinds and array.dtype.kind not in kinds:
        raise ValueError(f"{name} holds {array.dtype}, expected signed integers")


def _check_range(name: str, indices: Array, end: int, low: int = 0) -> None:
    if indices.size and not low <= indices.min() <= indices.max() < end:
        raise ValueError(_out_of_range(name, indices.min(), indices.max(), low, end))


def _out_of_range(name: str, least: int, most: int, low: int, end: int) -> str:
    return f"an index of {least if least < low else most} in {name}, expected {low} to {end - 1}"


_CHECKS: dict[str, Callable[[Any], None]] = {
    "csr": _check_compressed,
    "csc": _check_compressed,
    "bsr": _check_compressed,
    "coo": _check_coordinates,
    "dia": _check_diagonals,
    "lil": _check_lists,
    "dok": _check_keys,
}
