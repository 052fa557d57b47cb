"""Hits: the ranks at which lists hold relevant items."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import as_argument
from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.matrices import canonical
from shallow_ae.data.tables import is_frame

ListsByUser: TypeAlias = Mapping[Any, Iterable[Any]] | Sequence[Iterable[Any]]
Truth: TypeAlias = ListsByUser | NDArray[Any] | sp.sparray | sp.spmatrix
Ranking: TypeAlias = ListsByUser | NDArray[Any]

_MOST_MARKS = 2**27  # bytes of the mark array; larger indices are matched by hashing, as raw ids


class Hits(NamedTuple):
    """The hits of all users, and the numbers of relevant and of recommended items."""

    users: NDArray[np.intp]  # user position of each hit, ascending
    ranks: NDArray[np.intp]  # place of each hit in its list, from 0, ascending for each user
    n_relevant: NDArray[np.int64]  # distinct relevant items of each user
    n_listed: NDArray[np.int64]  # nonempty places of each user's list
    k: int | None  # cutoff of the lists


def find_hits(y_true: Truth, y_rec: Ranking, k: int | None) -> Hits:
    """Find the items of `y_true` in the first `k` places of `y_rec`.

    The arguments and errors are documented in :func:`shallow_ae.ndcg_score`.
    """
    k = None if k is None else min(k, sys.maxsize)  # no list is longer
    truth, ranked = _by_position(*readable(y_true, y_rec))
    relevant = _relevant_indices(truth) if are_indices(ranked) else None
    if relevant is None:
        return _match_ids(_lists(truth), _lists(ranked), k)
    return _match_indices(*relevant, ranked, k, is_array=are_indices(truth))


def readable(*of_users: Any) -> list[Any]:
    """Return lists of items for the same users in forms that can be iterated more than once.

    A Series is read as a mapping from its index if all arguments are a mapping or a Series, and by
    position otherwise.
    """
    # A sparse matrix in the format dok is also a dict, whose keys are its entries.
    given = [canonical(lists) if sp.issparse(lists) else lists for lists in of_users]
    by_user = all(isinstance(lists, Mapping | pd.Series) for lists in given)
    return [_readable(lists, by_user=by_user) for lists in given]


def _readable(lists: Any, *, by_user: bool) -> Any:
    if isinstance(lists, pd.Series) and by_user:
        if not lists.index.is_unique:
            again = lists.index[lists.index.duplicated()][0]
            raise ValueError(
                f"A Series of lists needs each user once in its index: found {plain(again)!r} "
                "again. Merge the lists of each user."
            )
        lists = lists.to_dict()
    if isinstance(lists, Mapping):
        return {user: _sized(items) for user, items in lists.items()}
    if not isinstance(lists, Iterable):
        raise TypeError(
            f"Expected a list of items for each user, a dict by user or a matrix, got {lists!r}."
        )
    if isinstance(lists, list | tuple | pd.Series) or not hasattr(lists, "__len__"):
        return [_sized(items) for items in lists]
    return lists


def _sized(items: Any) -> Any:
    return items if hasattr(items, "__len__") else list(items)


def first_places(y_rec: Ranking, k: int | None) -> Array | list[list[Any]]:
    """Return the items in the first `k` places: an index array if `y_rec` is one, else lists."""
    y_rec = _readable(y_rec, by_user=False)
    _check_is_table(y_rec)
    if are_indices(y_rec):
        return np.asarray(y_rec)[:, :k]
    return [listed[:k] for listed in _lists(y_rec)]


def _by_position(y_true: Any, y_rec: Any) -> tuple[Any, Any]:
    """Return truth and recommendations in the same order of users."""
    if isinstance(y_true, Mapping) != isinstance(y_rec, Mapping):
        raise TypeError(
            f"y_true is a {type(y_true).__name__} and y_rec a {type(y_rec).__name__}: pass dicts "
            "by user for both, or lists, arrays or matrices by position for both. "
            "`shallow_ae.evaluation.item_lists(frame)` makes a dict of a frame."
        )
    for given in (y_true, y_rec):
        _check_is_table(given)
    if isinstance(y_true, Mapping):
        if y_true and y_rec and not any(user in y_rec for user in y_true):
            first, other = plain(next(iter(y_true))), plain(next(iter(y_rec)))
            raise ValueError(
                f"y_true and y_rec have no user in common: {first!r} is one of the former, "
                f"{other!r} one of the latter. Pass the same user ids in both."
            )
        return list(y_true.values()), [y_rec.get(user, ()) for user in y_true]
    n_true = y_true.shape[0] if hasattr(y_true, "shape") else len(y_true)
    if n_true != len(y_rec):
        raise ValueError(
            f"y_true has {n_true:,} users and y_rec {len(y_rec):,}; expected equal numbers."
        )
    return y_true, y_rec


def _check_is_table(given: Any) -> None:
    if is_frame(given):
        raise TypeError(
            "Found a frame, expected a list of items for each user. Convert the frame by "
            "`shallow_ae.evaluation.item_lists(frame)`."
        )
    if not isinstance(given, np.ndarray):
        return
    if given.ndim != 2:
        raise ValueError(f"An array needs shape (n_users, n_places), got {given.shape}.")
    if given.dtype.kind in "bfc":
        raise ValueError(
            f"An array of {given.dtype} holds no items: an array is read as item indices. Pass a "
            "users x items matrix of relevance as a sparse matrix."
        )


def are_indices(lists: Any) -> bool:
    """Return whether `lists` is an array of item indices."""
    return isinstance(lists, np.ndarray) and lists.dtype.kind in "iu"


def _relevant_indices(truth: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the start of each user's relevant items, and all relevant items as indices.

    Returns None if an item is not an index or is too large for the mark array.
    """
    if isinstance(truth, sp.csr_array):  # canonical, from `readable`
        starts, items = truth.indptr, truth.indices
    elif are_indices(truth):
        n_users, n_places = truth.shape
        starts, items = np.arange(n_users + 1) * n_places, truth.ravel()
    else:
        lists = _lists(truth)
        starts = np.cumsum([0, *map(len, lists)])
        flat = list(chain.from_iterable(lists))
        items = np.array(flat if all(type(item) is int for item in flat) else [-1])
        if items.min(initial=0) < 0:  # in a list, a negative number is a raw id
            return None
    if items.max(initial=0) >= _MOST_MARKS:
        return None
    return starts.astype(np.int64), items.astype(np.int64)


def _match_indices(
    starts: NDArray[np.int64],
    items: NDArray[np.int64],
    ranked: Array,
    k: int | None,
    *,
    is_array: bool,
) -> Hits:
    from shallow_ae.metrics.hits_kernel import mark_hits  # imports Numba only when needed

    ranked = as_argument(ranked[:, :k], np.int64)
    hits, n_relevant = np.empty(ranked.shape, np.bool_), np.empty(len(ranked), np.int64)
    marks = np.zeros(items.max(initial=0) + 1, np.bool_)
    mark_hits(starts, items, ranked, marks, hits, n_relevant)
    if is_array and n_relevant.sum() < np.count_nonzero(items >= 0):
        raise ValueError(
            "y_true repeats items within a row: an array is read as item indices. Pass a "
            "users x items matrix of relevance as a sparse matrix."
        )
    users, ranks = np.divmod(np.flatnonzero(hits), max(1, ranked.shape[1]))
    return Hits(users, ranks, n_relevant, np.count_nonzero(ranked >= 0, axis=1), k)


def _lists(lists: Any) -> list[list[Any]]:
    """Return a list of ids for each user, None in empty places."""
    if isinstance(lists, Mapping):
        lists = lists.values()
    if sp.issparse(lists):
        rows = canonical(lists)
        return [items.tolist() for items in np.split(rows.indices, rows.indptr[1:-1])]
    if any(isinstance(items, str) for items in lists):
        raise TypeError("Each user needs a list of items, found a single string.")
    return [items if isinstance(items, list) else _listed(items) for items in lists]


def _listed(items: Any) -> list[Any]:
    if not isinstance(items, np.ndarray):
        return list(items)
    listed: list[Any] = items.tolist()
    if items.dtype.kind in "iu" and items.min(initial=0) < 0:
        return [None if item < 0 else item for item in listed]
    return listed


def _match_ids(truth: list[list[Any]], ranked: list[list[Any]], k: int | None) -> Hits:
    """Find hits among ids of any type, with one set for each user.

    This is faster than numbering all ids, because a user has few items.
    """
    users: list[int] = []
    ranks: list[int] = []
    n_relevant, n_listed = np.empty(len(truth), np.int64), np.empty(len(truth), np.int64)
    for user, (own, places) in enumerate(zip(truth, ranked, strict=True)):
        listed = places if k is None or len(places) <= k else places[:k]
        relevant = set(own)
        relevant.discard(None)
        found = [rank for rank, item in enumerate(listed) if item in relevant]
        if len({listed[rank] for rank in found}) < len(found):  # the list repeats items
            found = sorted({listed[rank]: rank for rank in reversed(found)}.values())
        users += [user] * len(found)
        ranks += found
        n_relevant[user], n_listed[user] = len(relevant), len(listed) - listed.count(None)
    return Hits(np.array(users, np.intp), np.array(ranks, np.intp), n_relevant, n_listed, k)
