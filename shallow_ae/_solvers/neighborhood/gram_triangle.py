"""The lower triangle of the Gram matrix, each row an array or a list, compiled."""

from __future__ import annotations

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.compiled import callee, compiled, inlined
from shallow_ae._solvers.neighborhood.systems import Triangle
from shallow_ae._typing import Array


@compiled
def fill_triangle(
    users: CsrArrays,
    items: CsrArrays,
    triangle: Triangle,
    first: int,
    row: Array,
    is_reached: Array,
) -> None:
    """Compute the rows of the ranks from `first` on, below the length of `row`.

    `triangle.lengths` holds upper bounds on the lengths of the lists before the call, and the
    lengths after it. `row` and `is_reached` are scratch arrays of zeros.
    """
    last = len(row)
    for rank in range(first, last):
        start, length = triangle.starts[rank], triangle.lengths[rank]
        if triangle.is_dense[rank]:
            _add_to_row(users, items, rank, triangle.dense[start : start + rank])
            continue
        found = triangle.ranks[start : start + length]
        n = list_row(users, items, rank, row, is_reached, found)
        triangle.lengths[rank] = n
        for index in range(n):
            other = found[index]
            triangle.values[start + index] = row[other]
            row[other] = 0
            is_reached[other] = False


@inlined
def _add_to_row(users: CsrArrays, items: CsrArrays, rank: int, row: Array) -> None:
    for entry in range(items.indptr[rank], items.indptr[rank + 1]):
        user, value = items.indices[entry], items.data[entry]
        for own in range(users.indptr[user], users.indptr[user + 1]):
            other = users.indices[own]
            if other >= rank:
                break
            row[other] += value * users.data[own]


@callee
def list_row(
    users: CsrArrays, items: CsrArrays, rank: int, row: Array, is_reached: Array, found: Array
) -> int:
    """Add a row of the triangle to `row`, list the ranks of its entries, return their number."""
    n = 0
    for entry in range(items.indptr[rank], items.indptr[rank + 1]):
        user, value = items.indices[entry], items.data[entry]
        for own in range(users.indptr[user], users.indptr[user + 1]):
            other = users.indices[own]
            if other >= rank:
                break
            if not is_reached[other]:
                is_reached[other] = True
                found[n] = other
                n += 1
            row[other] += value * users.data[own]
    return n
