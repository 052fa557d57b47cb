"""What a pipeline answers, in rows and columns, and what it is to find."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.blocks import blocks
from shallow_ae._typing import Array
from shallow_ae._weights.candidates import Offer
from shallow_ae._weights.ranking import popular_items
from shallow_ae.data.ids import IdMapper, index_of
from shallow_ae.data.tables import encode

_PAIRS_AT_ONCE = 2**13  # of users and items to explain


def best_or_popular(
    model: Any, X: sp.csr_array[Any], k: int, offer: Offer, *, popular: bool, verbose: int
) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Return the best items of each row, their scores, and whether anything is known of the user.

    Of whom nothing is, the most popular, by the number of users, or nothing.
    """
    known, k = np.diff(X.indptr) > 0, min(k, X.shape[1])
    items, scores = np.full((len(known), k), -1, np.int64), np.full((len(known), k), np.nan)
    if known.any():
        items[known], scores[known] = model._best(X[known], k, offer.of(known), verbose=verbose)
    if popular and not known.all():
        items[~known], scores[~known] = popular_items(model.item_counts_, k, offer.of(~known))
    return items, scores, known


def reasons_of_pairs(
    model: Any, X: sp.csr_array[Any], rows: Array, items: Array, k: int
) -> tuple[Array, Array, Array, Array]:
    """Return, for pairs of a row and an item: the pair, a reason, its contribution and its rank."""
    none = np.empty(0, np.intp)
    parts = [(none, none, np.empty(0, np.float32), none)]  # where nothing is asked
    for block in blocks(len(rows), _PAIRS_AT_ONCE):
        reasons, contributions = model.explain(X[rows[block]], items[block], k)
        pair, place = np.nonzero(reasons >= 0)
        found = (reasons[pair, place], contributions[pair, place], place + 1)
        parts.append((block.start + pair, *found))
    pairs, reasons, contributions, ranks = map(np.concatenate, zip(*parts, strict=True))
    return pairs, reasons, contributions, ranks


def truth_and_lists(
    hidden: Any, users: Array, items: NDArray[np.int64], mapper: IdMapper
) -> tuple[sp.csr_array[Any], NDArray[np.int64]]:
    """Return hidden interactions as a matrix, and a list of items for each of its rows.

    Rows are `users`, whose lists are given, and those whom only `hidden` has; columns are the items
    of the mapper and those that only `hidden` has, which nothing can find.
    """
    found = encode(hidden, mapper.user, mapper.item, mapper.count)
    rows = _or_beyond(index_of(users).get_indexer(index_of(found.user_ids)), len(users))
    columns = _or_beyond(mapper.item_index(found.item_ids), len(mapper.items_))
    shape = (max(len(users), rows.max() + 1), max(len(mapper.items_), columns.max() + 1))
    pairs = (rows[found.users], columns[found.items])
    truth = sp.csr_array(sp.coo_array((found.counts, pairs), shape=shape))
    nothing = np.full((shape[0] - len(users), items.shape[1]), -1)
    return truth, np.concatenate([items, nothing])


def _or_beyond(places: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return places, with numbers from n on for those that are -1."""
    missing = places < 0
    places[missing] = n + np.arange(missing.sum())
    return places
