"""Scores of users and the best of them, one user's row at a time.

A row of scores is a sum of few rows of P. It is formed in cache, what must not be offered is struck
out, the best are chosen, and the next user's row takes its place: no block of scores is ever
written to memory. Sums run over a user's items by rising index, alone and one after the other,
so that a user's scores depend neither on who else is asked for nor on who computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm.auto import tqdm

from shallow_ae._blocks import blocks
from shallow_ae._compiled import compiled
from shallow_ae._offer import Lists, Offer
from shallow_ae._threads import n_threads, workers
from shallow_ae._top_k import in_order, offer_all
from shallow_ae._validation import Array

_TASKS_PER_THREAD = 8  # so that threads end together
_ROWS_PER_TASK = 16  # at least: to hand a task over takes as long as to rank a few rows


class Rows(NamedTuple):
    """The arrays of a csr matrix, as compiled functions take them."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: Array


def rows_of(X: sp.csr_array[Any], dtype: Any) -> Rows:
    """Return the arrays of `X`, its numbers of type `dtype`."""
    return Rows(
        X.indptr.astype(np.int64),
        np.asarray(X.indices).astype(np.int32, copy=False),
        np.asarray(X.data).astype(dtype, copy=False),
    )


def share_rows(
    n_rows: int, task: Callable[[slice], None], *, most: int | None = None, verbose: int = 0
) -> None:
    """Call `task` on slices of at most `most` rows, on all threads."""
    size = max(_ROWS_PER_TASK, -(-n_rows // (_TASKS_PER_THREAD * n_threads())))
    slices = blocks(n_rows, min(size, most or size))
    with tqdm(total=n_rows, desc="rank", unit="user", disable=not verbose) as bar:
        if len(slices) == 1:
            task(slices[0])
            bar.update(n_rows)
            return
        with workers() as pool:
            for rows, _ in zip(slices, pool.map(task, slices), strict=True):
                bar.update(rows.stop - rows.start)


@compiled
def score_dense(X: Rows, P: Array, first: int, scores: Array) -> None:
    """Write rows of X P, from the row `first` of X on."""
    for place in range(len(scores)):
        _sum_dense(X, first + place, P, scores[place])


@compiled
def score_sparse(X: Rows, P: Rows, first: int, scores: Array) -> None:
    """Write rows of X P for a sparse P, from the row `first` of X on."""
    scores[:] = 0
    for place in range(len(scores)):
        row = scores[place]
        for entry in range(X.indptr[first + place], X.indptr[first + place + 1]):
            value, source = X.data[entry], X.indices[entry]
            for target in range(P.indptr[source], P.indptr[source + 1]):
                row[P.indices[target]] += value * P.data[target]


@compiled
def rank_dense(X: Rows, P: Array, offer: Offer, first: int, items: Array, scores: Array) -> None:
    """Write the best of each user from the row `first` of X on, as many as `items` has rows."""
    n_items = P.shape[1]
    row = np.empty(n_items, P.dtype)
    every, some, values = (
        np.arange(n_items).astype(np.int32),
        np.empty(n_items, np.int32),
        row.copy(),
    )
    for place in range(len(items)):
        _sum_dense(X, first + place, P, row)
        _strike_out(row, offer, first + place, -np.inf)
        _choose(row, offer, first + place, every, some, values, items[place], scores[place])


@compiled
def rank_sparse(
    X: Rows, P: Rows, n_items: int, offer: Offer, first: int, items: Array, scores: Array
) -> None:
    """Do as `rank_dense` for a sparse P.

    Where `k` of the items that a row of X P reaches score above 0, no other is among the best.
    """
    row = np.zeros(n_items, P.data.dtype)
    every, some, values = (
        np.arange(n_items).astype(np.int32),
        np.empty(n_items, np.int32),
        row.copy(),
    )
    reached, is_reached = some.copy(), np.zeros(n_items, np.bool_)
    for place in range(len(items)):
        user = first + place
        n = _sum_sparse(X, user, P, row, reached, is_reached)
        _strike_out(row, offer, user, -np.inf)
        held = 0
        if not offer.is_restricted:
            for index in range(n):
                values[index] = row[reached[index]]
            held = offer_all(values, reached, n, items[place], scores[place])
        if held == items.shape[1] and scores[place, 0] > 0:
            in_order(items[place], scores[place], held)
        else:
            _choose(row, offer, user, every, some, values, items[place], scores[place])
        _strike_out(row, offer, user, 0.0)
        for index in range(n):
            row[reached[index]] = 0
            is_reached[reached[index]] = False


@compiled
def rank_given(table: Array, offer: Offer, first: int, items: Array, scores: Array) -> None:
    """Do as `rank_dense` with rows of scores that are there already, and are changed."""
    n_items = table.shape[1]
    every, some = np.arange(n_items).astype(np.int32), np.empty(n_items, np.int32)
    values = np.empty(n_items, table.dtype)
    for place in range(len(items)):
        row = table[place]
        _strike_out(row, offer, first + place, -np.inf)
        _choose(row, offer, first + place, every, some, values, items[place], scores[place])


@compiled
def rank_stored(X: Rows, items: Array, scores: Array) -> None:
    """Write the columns and values of the largest entries of each row."""
    for row in range(len(items)):
        start, stop = X.indptr[row], X.indptr[row + 1]
        values, columns = X.data[start:stop], X.indices[start:stop]
        held = offer_all(values, columns, stop - start, items[row], scores[row])
        in_order(items[row], scores[row], held)


@compiled
def _sum_dense(X: Rows, user: int, P: Array, row: Array) -> None:
    """Write a row of X P to `row`."""
    row[:] = 0
    entry, stop = X.indptr[user], X.indptr[user + 1]
    while entry + 4 <= stop:  # four at a time: `row` is read and written once for them
        a, P_a = X.data[entry], P[X.indices[entry]]
        b, P_b = X.data[entry + 1], P[X.indices[entry + 1]]
        c, P_c = X.data[entry + 2], P[X.indices[entry + 2]]
        d, P_d = X.data[entry + 3], P[X.indices[entry + 3]]
        for item in range(len(row)):
            row[item] = row[item] + a * P_a[item] + b * P_b[item] + c * P_c[item] + d * P_d[item]
        entry += 4
    while entry < stop:
        a, P_a = X.data[entry], P[X.indices[entry]]
        for item in range(len(row)):
            row[item] += a * P_a[item]
        entry += 1


@compiled
def _sum_sparse(X: Rows, user: int, P: Rows, row: Array, reached: Array, is_reached: Array) -> int:
    """Add a row of X P to `row`, list the items that it reaches and return their number."""
    n = 0
    for entry in range(X.indptr[user], X.indptr[user + 1]):
        value, source = X.data[entry], X.indices[entry]
        for target in range(P.indptr[source], P.indptr[source + 1]):
            item = P.indices[target]
            if not is_reached[item]:
                is_reached[item] = True
                reached[n] = item
                n += 1
            row[item] += value * P.data[target]
    return n


@compiled
def _strike_out(row: Array, offer: Offer, user: int, score: float) -> None:
    """Give the items that must not be offered this score."""
    _fill(row, offer.seen, user, score)
    _fill(row, offer.excluded, user, score)


@compiled
def _fill(row: Array, lists: Lists, user: int, score: float) -> None:
    for place in range(lists.starts[user], lists.stops[user]):
        row[lists.items[place]] = score


@compiled
def _choose(
    row: Array,
    offer: Offer,
    user: int,
    every: Array,
    some: Array,
    values: Array,
    items: Array,
    scores: Array,
) -> None:
    """Write the best of a row of scores, or of the user's candidates in it.

    `every` lists all items; `some` and `values` are space for the candidates and their scores.
    """
    n = len(row)
    if offer.is_restricted:
        candidates, n = offer.candidates, 0
        for place in range(candidates.starts[user], candidates.stops[user]):
            some[n] = candidates.items[place]
            values[n] = row[some[n]]
            n += 1
        row, every = values, some
    in_order(items, scores, offer_all(row, every, n, items, scores))
