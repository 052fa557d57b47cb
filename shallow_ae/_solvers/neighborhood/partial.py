"""The steps of the solution on the nearest items, when no process holds all sums over users.

The users are cut into groups, the items into blocks, and the triangle of G into strips of its rows.
A sum over all users goes from group to group: each step returns the sum so far plus the share of
one group. The last group chooses the nearest items without storing its sums, so that one group for
all users stores no columns of G.

No step changes an argument, and each runs on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import CsrArrays, column_squares, csr_arrays, sum_by_item
from shallow_ae._objective.objective import Objective
from shallow_ae._solvers.neighborhood.assembly import diagonal_of
from shallow_ae._solvers.neighborhood.fit import weighted_items
from shallow_ae._solvers.neighborhood.systems import (
    Ranking,
    Solutions,
    no_solutions,
    ranking_of,
    workspace_for,
)
from shallow_ae._typing import Array

if TYPE_CHECKING:
    from shallow_ae._solvers.neighborhood.partial_kernels import Nearest, Uses


class ItemStatistics(NamedTuple):
    """Sums over users for each item, in float64."""

    n_users: Array
    squares: Array  # the diagonal of G
    pairs: Array  # number of all items of its users: an upper bound on the entries of a column of G

    def gram_diagonal(self, dtype: Any) -> Array:
        """Return the diagonal of G; it is infinite where it is too large for `dtype`."""
        with np.errstate(over="ignore"):
            return self.squares.astype(dtype)


class Group(NamedTuple):
    """The rows of some users, and the transpose, as in `Systems`."""

    users: CsrArrays
    items: CsrArrays


def statistics_of(X: sp.csr_array[Any], weights: Array) -> ItemStatistics:
    """Return the sums over the users of some rows."""
    n_items = np.diff(X.indptr)
    return ItemStatistics(
        sum_by_item(X, np.ones(len(n_items))),
        column_squares(X, weights).astype(np.float64),
        sum_by_item(X, n_items),
    )


def rank(statistics: ItemStatistics, objective: Objective, n: float, dtype: Any) -> Ranking:
    """Return the items by descending number of users."""
    gram_diagonal = statistics.gram_diagonal(dtype)
    diagonal = diagonal_of(gram_diagonal, objective.penalty(gram_diagonal, n))
    return ranking_of(diagonal, np.argsort(-statistics.n_users, kind="stable"))


def stack(parts: Sequence[tuple[sp.csr_array[Any], Array]], ranking: Ranking) -> Group:
    """Return the rows of several parts, with items by rank."""
    lengths = np.concatenate([np.diff(X.indptr) for X, _ in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    data, ranks = np.concatenate([X.data for X, _ in parts]), np.empty(indptr[-1], np.int32)
    end = 0
    for X, _ in parts:
        ranks[end : end + X.nnz] = ranking.rank_of[X.indices]
        end += X.nnz
    rows = sp.csr_array((data, ranks, indptr), shape=(len(lengths), len(ranking.item_of)))
    rows.sort_indices()
    items = weighted_items(rows, np.concatenate([weights for _, weights in parts]))
    return Group(csr_arrays(rows, data.dtype), csr_arrays(items, data.dtype))


def sum_columns(group: Group, ranks: range, before: CsrArrays | None = None) -> CsrArrays:
    """Return columns of G, a row for each rank: the sums so far plus the share of a group."""
    from shallow_ae._solvers.neighborhood.partial_kernels import add_columns, bound_columns

    start = _or_nothing(before, len(ranks), group)
    bounds, n_items = np.empty(len(ranks), np.int64), len(group.items.indptr) - 1
    bound_columns(*group, ranks.start, bounds)
    most = int(np.minimum(bounds + np.diff(start.indptr), n_items).sum())
    after = CsrArrays(
        np.zeros(len(ranks) + 1, np.int64),
        np.empty(most, np.int32),
        np.empty(most, start.data.dtype),
    )
    add_columns(*group, ranks.start, start, after)
    n = after.indptr[-1]
    return CsrArrays(after.indptr, after.indices[:n].copy(), after.data[:n].copy())


def find_nearest(
    group: Group,
    ranking: Ranking,
    ranks: range,
    n_neighbors: int,
    before: CsrArrays | None = None,
) -> Nearest:
    """Return the nearest items of a block of ranks, given the sums over all groups but this one."""
    from shallow_ae._solvers.neighborhood.partial_kernels import Nearest, choose_nearest

    nearest = Nearest(
        np.zeros((len(ranks), n_neighbors), np.int32),
        np.zeros((len(ranks), n_neighbors), ranking.diagonal.dtype),
        np.zeros(len(ranks), np.int64),
    )
    before = _or_nothing(before, len(ranks), group)
    space = workspace_for(ranking, n_neighbors)
    choose_nearest(*group, ranking, ranks.start, before, nearest, space)
    return nearest


def entries_by_rank(nearest: Nearest, n_items: int) -> Array:
    """Return how many entries of each row of the triangle of G the systems of a block need."""
    systems, columns = _places_in_systems(nearest)
    ranks = nearest.ranks[systems, columns - 1]
    return np.bincount(ranks, nearest.counts[systems] - columns, minlength=n_items)


def sum_entries(
    group: Group,
    nearest: Nearest,
    lengths: Sequence[int],
    strip: range,
    before: Sequence[Array] | None = None,
) -> list[Array]:
    """Return the entries that the systems need from a strip of the triangle of G.

    They are the sums so far plus the share of a group, in an array for each block of systems;
    `lengths` are the numbers of systems in the blocks.
    """
    from shallow_ae._solvers.neighborhood.partial_kernels import add_entries

    uses, ends = _uses(nearest, strip)
    nothing = [np.zeros(ends[-1], nearest.given.dtype)]
    entries = np.concatenate(nothing if before is None else before)
    add_entries(*group, nearest, strip.start, uses, entries)
    last = np.cumsum(lengths)
    return [piece.copy() for piece in np.split(entries, ends[last[:-1] - 1])]


def solve_block(
    ranking: Ranking, nearest: Nearest, strips: Sequence[range], pieces: Sequence[Array]
) -> Solutions:
    """Return the solutions of a block, whose entries `pieces` holds for each strip, last first."""
    from shallow_ae._solvers.neighborhood.partial_kernels import solve_stored

    n, n_neighbors = nearest.ranks.shape
    solutions = no_solutions(n, n_neighbors, nearest.given.dtype)
    firsts = np.array([strip.start for strip in strips])
    places = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
    space = workspace_for(ranking, n_neighbors)
    solve_stored(ranking, nearest, firsts, places, np.concatenate(pieces), solutions, space)
    return solutions


def join(blocks: Sequence[Nearest]) -> Nearest:
    """Return the nearest items of several blocks of ranks, joined as one block."""
    if len(blocks) == 1:
        return blocks[0]
    return type(blocks[0])(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))


def _places_in_systems(nearest: Nearest, strip: range | None = None) -> tuple[Array, Array]:
    """Return the system and the first column of each row that the systems need from a strip."""
    is_there = np.arange(nearest.ranks.shape[1]) < nearest.counts[:, None]
    if strip is not None:
        is_there &= nearest.ranks >= strip.start
        is_there &= nearest.ranks < strip.stop
    systems, indices = np.nonzero(is_there)
    return systems, indices + 1


def _uses(nearest: Nearest, strip: range) -> tuple[Uses, Array]:
    """Return the uses of the rows of a strip, and where the entries of each system end."""
    from shallow_ae._solvers.neighborhood.partial_kernels import Uses

    systems, columns = _places_in_systems(nearest, strip)
    lengths = nearest.counts[systems] - columns
    ends = np.cumsum(lengths)
    rows = nearest.ranks[systems, columns - 1] - strip.start
    order = np.argsort(rows, kind="stable")
    n_uses = np.bincount(rows, minlength=len(strip))
    uses = Uses(
        np.concatenate([[0], np.cumsum(n_uses)]),
        systems[order].astype(np.int32),
        columns[order].astype(np.int32),
        (ends - lengths)[order],
    )
    by_system = np.bincount(systems, lengths, minlength=len(nearest.counts))
    return uses, np.cumsum(by_system).astype(np.int64)


def _or_nothing(sums: CsrArrays | None, n: int, group: Group) -> CsrArrays:
    """Return the sums so far, or `n` empty columns."""
    if sums is not None:
        return sums
    return CsrArrays(
        np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, group.users.data.dtype)
    )
