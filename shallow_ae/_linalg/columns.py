"""Columns in a new order: -1 stands for a new column of zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shallow_ae._typing import Array


def appended(n_before: int, n_after: int) -> NDArray[np.intp]:
    """Return the columns of a matrix to which new columns are appended."""
    columns = np.arange(n_after)
    return np.where(columns < n_before, columns, -1)


def vector_of_columns(values: Array, columns: NDArray[np.intp]) -> Array:
    """Return the values of the columns, and 0 for new ones."""
    is_known = columns >= 0
    chosen = np.zeros(len(columns), values.dtype)
    chosen[is_known] = values[columns[is_known]]
    return chosen


def square_of_columns(matrix: Array, columns: NDArray[np.intp]) -> Array:
    """Return a square matrix with these columns and the same rows, and zeros for new ones."""
    is_known = columns >= 0
    known = columns[is_known]
    chosen = np.zeros((len(columns), len(columns)), matrix.dtype)
    chosen[np.ix_(is_known, is_known)] = matrix[np.ix_(known, known)]
    return chosen
