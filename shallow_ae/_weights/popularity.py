"""Scores by popularity: the same for every user."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.blocks import block_rows, share_rows
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter, ItemLists
from shallow_ae._weights.item_weights import WeightMatrix


class PopularityScores(NamedTuple):
    """The score of each item, the same for all users. It is not a product of X and item weights."""

    popularity: Array  # of shape (n_items,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the scores."""
        return self.popularity.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return len(self.popularity)

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return the scores of all items, in a row for each row of X."""
        return np.tile(self.popularity, (X.shape[0], 1))

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the most popular items that are allowed in each row."""
        PopularityOrder.of(self.popularity).rank(allowed, items, scores, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return zeros: no item of a user contributes to a score."""
        return np.zeros(len(inputs), self.dtype)

    def columns(self, block: slice) -> NoReturn:
        """Raise an AttributeError: there are no weights."""
        raise AttributeError(
            "Scores by popularity are the same for all users: there are no item weights. For the "
            "weights of a sum of models, set the weight of its popularity part to 0."
        )

    def materialized(self) -> NoReturn:
        """Raise an AttributeError: there are no weights."""
        self.columns(slice(None))

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these scores."""
        return self


class PopularityOrder(NamedTuple):
    """The items sorted by popularity, once for all users."""

    popularity: Array
    order: NDArray[np.intp]  # the items, most popular first
    place_of: NDArray[np.int64]  # the place of each item in `order`

    @classmethod
    def of(cls, popularity: Array) -> PopularityOrder:
        """Return the items by descending popularity, ties by ascending index."""
        order = np.argsort(-popularity, kind="stable")
        place_of = np.empty(len(order), np.int64)
        place_of[order] = np.arange(len(order))
        return cls(popularity, order, place_of)

    def rank(
        self, allowed: CandidateFilter, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the first allowed items of each row, without compiled functions."""

        def rank(part: slice) -> None:
            places = _first_allowed(self.place_of, allowed, part, items.shape[1])
            is_empty = places < 0
            items[part] = np.where(is_empty, -1, self.order[places])
            scores[part] = np.where(is_empty, np.nan, self.popularity[items[part]])

        most = block_rows(len(items), len(self.order))
        share_rows(len(items), rank, most=most, verbose=verbose)

    def best(self, k: int, allowed: CandidateFilter) -> tuple[NDArray[np.int64], Array]:
        """Return the `k` most popular items that are allowed in each row, and their popularity."""
        items = np.empty((len(allowed.seen.starts), k), np.int64)
        scores = np.empty(items.shape, self.popularity.dtype)
        self.rank(allowed, items, scores)
        return items, scores


def _first_allowed(
    place_of: NDArray[np.int64], allowed: CandidateFilter, part: slice, k: int
) -> NDArray[np.int64]:
    """Return the first `k` allowed places of each row of a block, and -1 in the rest.

    `place_of` holds the place of each item in the order of popularity. A key is a user of the block
    times `width`, plus a place. Without an allow list, the first `k` allowed places are among as
    many as `k` and the excluded items.
    """
    n_users, width = part.stop - part.start, len(place_of)
    excluded = [_entries(lists, part) for lists in (allowed.seen, allowed.excluded)]
    if allowed.is_restricted:
        users, listed = _entries(allowed.candidates, part)
        keys = np.sort(users * width + place_of[listed])
        for users, listed in excluded:
            keys = keys[np.isin(keys, users * width + place_of[listed], invert=True)]
    else:
        n_excluded = sum(np.bincount(users, minlength=n_users) for users, _ in excluded)
        width = min(width, k + int(np.max(n_excluded, initial=0)))
        is_allowed = np.ones((n_users, width), np.bool_)
        for users, listed in excluded:
            places = place_of[listed]
            inside = places < width
            is_allowed[users[inside], places[inside]] = False
        keys = np.flatnonzero(is_allowed)
    users, places = np.divmod(keys, width)
    column = np.arange(len(keys)) - np.searchsorted(users, users)
    is_first = column < k
    found = np.full((n_users, k), -1, np.int64)
    found[users[is_first], column[is_first]] = places[is_first]
    return found


def _entries(lists: ItemLists, part: slice) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return the user, numbered from 0 in the block, and the item of each entry of the lists."""
    starts, lengths = lists.starts[part], lists.stops[part] - lists.starts[part]
    users = np.repeat(np.arange(len(starts)), lengths)
    within = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return users, lists.items[starts[users] + within]
