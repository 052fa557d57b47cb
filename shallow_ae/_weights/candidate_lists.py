"""Candidate filtering: seen items, allow list, deny list."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import as_argument


class ItemLists(NamedTuple):
    """A list of items for each user, `items[starts[user] : stops[user]]`, in ascending order."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    items: NDArray[np.int32]

    def of(self, users: NDArray[np.bool_]) -> ItemLists:
        """Return the lists of the selected users."""
        return self._replace(starts=self.starts[users], stops=self.stops[users])

    def in_columns(self, first: int, last: int) -> ItemLists:
        """Return the items from `first` to `last` - 1 of each list, numbered from 0."""
        inside = (self.items >= first) & (self.items < last)
        place = np.concatenate([[0], np.cumsum(inside)])
        return ItemLists(
            place[self.starts], place[self.stops], self.items[inside] - np.int32(first)
        )


class CandidateFilter(NamedTuple):
    """The items that may be recommended to each user."""

    seen: ItemLists  # not recommended
    excluded: ItemLists  # not recommended
    candidates: ItemLists  # the only items to recommend, if `is_restricted`
    is_restricted: bool

    def of(self, users: NDArray[np.bool_]) -> CandidateFilter:
        """Return the filter for the selected users."""
        seen, excluded, candidates = (lists.of(users) for lists in self[:3])
        return CandidateFilter(seen, excluded, candidates, self.is_restricted)

    def in_columns(self, first: int, last: int) -> CandidateFilter:
        """Return the filter for the items from `first` to `last` - 1, numbered from 0."""
        seen, excluded, candidates = (lists.in_columns(first, last) for lists in self[:3])
        return CandidateFilter(seen, excluded, candidates, self.is_restricted)


def lists_of_rows(X: sp.csr_array[Any]) -> ItemLists:
    """Return the columns of the stored entries of each row, which must be sorted."""
    ends = X.indptr.astype(np.int64)
    return ItemLists(ends[:-1], ends[1:], as_argument(X.indices, np.int32))


def shared_list(items: NDArray[np.int32], n_users: int) -> ItemLists:
    """Return the same list of items, in ascending order, for each user."""
    starts = np.zeros(n_users, np.int64)
    return ItemLists(starts, starts + len(items), items)
