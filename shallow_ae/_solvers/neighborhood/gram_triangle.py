"""Half of a Gram matrix over items by popularity, each row an array or a list, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.compiled import compiled
from shallow_ae._typing import Array


class Triangle(NamedTuple):
    """Rows of G, each left of the diagonal."""

    is_dense: NDArray[np.bool_]
    starts: NDArray[np.int64]  # of a row in `dense`, or in `places` and `values`
    lengths: NDArray[np.int64]  # of a list
    dense: Array
    places: NDArray[np.int32]
    values: Array


@compiled
def fill_triangle(
    users: CsrArrays, places: CsrArrays, triangle: Triangle, first: int, last: int
) -> None:
    """Sum up the rows of some places. Lists are as long as they may become before."""
    row = np.zeros(last, triangle.values.dtype)
    is_reached = np.zeros(last, np.bool_)
    for place in range(first, last):
        start, length = triangle.starts[place], triangle.lengths[place]
        if triangle.is_dense[place]:
            _add_to_row(users, places, place, triangle.dense[start : start + place])
            continue
        found = triangle.places[start : start + length]
        n = _list_row(users, places, place, row, is_reached, found)
        triangle.lengths[place] = n
        for index in range(n):
            other = found[index]
            triangle.values[start + index] = row[other]
            row[other] = 0
            is_reached[other] = False


@compiled
def _add_to_row(users: CsrArrays, places: CsrArrays, place: int, row: Array) -> None:
    for entry in range(places.indptr[place], places.indptr[place + 1]):
        user, value = places.indices[entry], places.data[entry]
        for own in range(users.indptr[user], users.indptr[user + 1]):
            other = users.indices[own]
            if other >= place:
                break
            row[other] += value * users.data[own]


@compiled
def _list_row(
    users: CsrArrays, places: CsrArrays, place: int, row: Array, is_reached: Array, found: Array
) -> int:
    """Add to `row` and list the places that it reaches; return their number."""
    n = 0
    for entry in range(places.indptr[place], places.indptr[place + 1]):
        user, value = places.indices[entry], places.data[entry]
        for own in range(users.indptr[user], users.indptr[user + 1]):
            other = users.indices[own]
            if other >= place:
                break
            if not is_reached[other]:
                is_reached[other] = True
                found[n] = other
                n += 1
            row[other] += value * users.data[own]
    return n
