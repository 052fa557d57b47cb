"""Scores of users and their best items, one user at a time, compiled.

A user's scores are a weighted sum of a few rows of P. They are computed in a scratch row that stays
in cache. Items that must not be recommended get a score of -inf, and the k best items are selected.
The next user's scores overwrite the scratch row, so that no block of scores is written to memory.
The sum runs over the user's items in ascending order of index. A user's scores therefore do not
depend on the other users or on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from shallow_ae._linalg.csr import CsrArrays
from shallow_ae._runtime.compiled import callee, compiled, inlined
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter, ItemLists
from shallow_ae._weights.selection import keep_best, n_groups, sort_heap


class Workspace(NamedTuple):
    """Scratch arrays of a thread."""

    every: Array  # the indices of all items
    some: Array  # the indices of a user's candidates
    values: Array  # the scores of these candidates
    maxima: Array  # the maxima of groups of scores


@compiled
def score_dense(X: CsrArrays, P: Array, scores: Array) -> None:
    """Write X P into `scores`."""
    for user in range(len(scores)):
        _sum_dense(X, user, P, scores[user])


@compiled
def score_sparse(X: CsrArrays, P: CsrArrays, scores: Array) -> None:
    """Write X P for a sparse P into `scores`."""
    scores[:] = 0
    for user in range(len(scores)):
        row = scores[user]
        for entry in range(X.indptr[user], X.indptr[user + 1]):
            value, source = X.data[entry], X.indices[entry]
            for target in range(P.indptr[source], P.indptr[source + 1]):
                row[P.indices[target]] += value * P.data[target]


@compiled
def rank_dense(
    X: CsrArrays, P: Array, allowed: CandidateFilter, first: int, items: Array, scores: Array
) -> None:
    """Write the best items of a user into each row of `items`, starting with user `first`."""
    row = np.empty(P.shape[1], P.dtype)
    space = _space_for(row, items.shape[1])
    for place in range(len(items)):
        _sum_dense(X, first + place, P, row)
        _strike_out(row, allowed, first + place, -np.inf)
        _choose(row, allowed, first + place, space, items[place], scores[place])


@compiled
def rank_sparse(
    X: CsrArrays,
    P: CsrArrays,
    n_items: int,
    allowed: CandidateFilter,
    first: int,
    items: Array,
    scores: Array,
) -> None:
    """Do the same as `rank_dense` for a sparse P.

    All items without stored weights in the user's rows of P have the score 0. If `k` of the items
    with stored weights have scores above 0, the other items need not be ranked.
    """
    row = np.empty(n_items, P.data.dtype)
    space = _space_for(row, items.shape[1])
    reached, is_reached = np.empty(n_items, np.int32), np.empty(n_items, np.bool_)
    for item in range(n_items):
        row[item], is_reached[item] = 0, False
    for place in range(len(items)):
        user = first + place
        n = sum_sparse(X, user, P, row, reached, is_reached)
        _strike_out(row, allowed, user, -np.inf)
        held = 0
        if not allowed.is_restricted:
            for index in range(n):
                space.values[index] = row[reached[index]]
            held = keep_best(space.values, reached, n, items[place], scores[place], space.maxima)
        if held == items.shape[1] and scores[place, 0] > 0:
            sort_heap(items[place], scores[place], held)
        else:
            _choose(row, allowed, user, space, items[place], scores[place])
        _strike_out(row, allowed, user, 0.0)
        for index in range(n):
            row[reached[index]] = 0
            is_reached[reached[index]] = False


@compiled
def rank_given(
    table: Array, allowed: CandidateFilter, first: int, items: Array, scores: Array
) -> None:
    """Do the same as `rank_dense` for given rows of scores in `table`, which is modified."""
    space = _space_for(table[0], items.shape[1])
    for place in range(len(items)):
        row = table[place]
        _strike_out(row, allowed, first + place, -np.inf)
        _choose(row, allowed, first + place, space, items[place], scores[place])


@compiled
def rank_sums(
    tables: Array, factors: Array, allowed: CandidateFilter, first: int, items: Array, scores: Array
) -> None:
    """Do the same as `rank_dense` for weighted sums of the rows of several tables of scores.

    `tables` has the axes (table, row, item), `factors` (sum, table), `items` and `scores` (sum,
    row, place). A row of all tables is summed with all factors before the next row is read.
    """
    row = np.empty(tables.shape[2], tables.dtype)
    space = _space_for(row, items.shape[2])
    for place in range(tables.shape[1]):
        for number in range(len(factors)):
            factor, own = factors[number, 0], tables[0, place]
            for item in range(len(row)):
                row[item] = factor * own[item]
            for table in range(1, len(tables)):
                factor, own = factors[number, table], tables[table, place]
                for item in range(len(row)):
                    row[item] += factor * own[item]
            _strike_out(row, allowed, first + place, -np.inf)
            _choose(row, allowed, first + place, space, items[number, place], scores[number, place])


@compiled
def rank_stored(X: CsrArrays, items: Array, scores: Array) -> None:
    """Write the columns and values of the largest stored entries of each row of X."""
    maxima = np.empty(n_groups(items.shape[1]), X.data.dtype)
    for row in range(len(items)):
        start, stop = X.indptr[row], X.indptr[row + 1]
        values, columns = X.data[start:stop], X.indices[start:stop]
        held = keep_best(values, columns, stop - start, items[row], scores[row], maxima)
        sort_heap(items[row], scores[row], held)


@callee
def _sum_dense(X: CsrArrays, user: int, P: Array, row: Array) -> None:
    """Write a row of X P to `row`."""
    for item in range(len(row)):
        row[item] = 0
    entry, stop = X.indptr[user], X.indptr[user + 1]
    while entry + 4 <= stop:  # four items at a time, so `row` is read and written once for four
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


@callee
def sum_sparse(
    X: CsrArrays, user: int, P: CsrArrays, row: Array, reached: Array, is_reached: Array
) -> int:
    """Add a row of X P to `row`, list the items with stored weights, and return their number."""
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


@inlined
def _space_for(row: Array, k: int) -> Workspace:
    n = len(row)
    every = np.empty(n, np.int32)
    for item in range(n):
        every[item] = item
    return Workspace(
        every, np.empty(n, np.int32), np.empty(n, row.dtype), np.empty(n_groups(k), row.dtype)
    )


@inlined
def _strike_out(row: Array, allowed: CandidateFilter, user: int, score: float) -> None:
    """Set the scores of the items that must not be recommended to `score`."""
    _fill(row, allowed.seen, user, score)
    _fill(row, allowed.excluded, user, score)


@callee
def _fill(row: Array, lists: ItemLists, user: int, score: float) -> None:
    for place in range(lists.starts[user], lists.stops[user]):
        row[lists.items[place]] = score


@callee
def _choose(
    row: Array, allowed: CandidateFilter, user: int, space: Workspace, items: Array, scores: Array
) -> None:
    """Write the best items of a row of scores, only from the allow list if there is one."""
    ids = space.every
    n = len(row)
    if allowed.is_restricted:
        candidates, n = allowed.candidates, 0
        for place in range(candidates.starts[user], candidates.stops[user]):
            space.some[n] = candidates.items[place]
            space.values[n] = row[space.some[n]]
            n += 1
        row, ids = space.values, space.some
    sort_heap(items, scores, keep_best(row, ids, n, items, scores, space.maxima))
