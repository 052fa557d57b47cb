"""Lists of raw ids as rows and columns of a matrix."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.id_index import index_of
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.matrices import as_frame
from shallow_ae.data.tables import encode, is_frame, pairs_in


def known_items(mapper: IdMapper, items: Iterable[Any]) -> NDArray[np.intp]:
    """Return the column of each item; raise a ValueError if `fit` did not see an item."""
    asked = check_ids("items", items)
    return _all_found(mapper.item_index(asked), asked, "items", "were not seen in fit")


def known_users(users: Array, asked: Iterable[Any]) -> NDArray[np.intp]:
    """Return the row of each asked user; raise a ValueError if one is not among `users`."""
    asked = list(asked)
    rows = index_of(users).get_indexer(index_of(asked))
    return _all_found(rows, asked, "users", "have no row in `interactions`")


def lists_of_items(name: str, given: Any, users: Array, mapper: IdMapper) -> Any:
    """Return lists of raw ids in the form that `recommend` of a model accepts.

    One list for all users becomes an array of columns. A dict or frame with items for each user
    becomes a matrix with a row for each of `users`. Items that `fit` did not see are left out, and
    a warning counts them.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) and not is_frame(given):
        return _seen_in_fit(name, mapper.item_index(check_ids(name, given)))
    if isinstance(given, Mapping):
        lists = {user: check_ids(name, items) for user, items in given.items()}
        of_users = np.repeat(np.arange(len(lists)), [len(items) for items in lists.values()])
        rows = index_of(users).get_indexer(index_of(list(lists)))[of_users]
        listed = list(chain.from_iterable(lists.values()))
    else:
        asked, listed = pairs_in(given, mapper.user, mapper.item)
        rows = index_of(users).get_indexer(index_of(asked))
    columns = _seen_in_fit(name, mapper.item_index(listed))
    both = (rows >= 0) & (columns >= 0)
    pairs = (np.ones(int(both.sum()), np.bool_), (rows[both], columns[both]))
    return sp.csr_array(pairs, shape=(len(users), len(mapper.items_)))


class UserLists(NamedTuple):
    """Lists of items for users who are looked up in batches: columns, as the model takes them."""

    columns: Any  # None, an array for all users, or a csr matrix whose last row is empty
    users: pd.Index[Any] | None  # of the rows but the last; None if all users share one list

    def of(self, users: Array) -> Any:
        """Return the lists in the form of `lists_of_items`, with a row for each of `users`."""
        if self.users is None:
            return self.columns
        return self.columns[self.users.get_indexer(index_of(users))]  # -1 is the last row


def lists_by_user(name: str, given: Any, mapper: IdMapper) -> UserLists:
    """Read the lists of `lists_of_items` once, for users who become known later."""
    if isinstance(given, Mapping):
        listed = index_of(given)
    elif is_frame(given):
        listed = index_of(pairs_in(given, mapper.user, mapper.item)[0]).unique()
    else:
        return UserLists(lists_of_items(name, given, np.empty(0), mapper), None)
    columns = lists_of_items(name, given, listed.to_numpy(), mapper)
    columns.resize(len(listed) + 1, len(mapper.items_))
    return UserLists(columns, listed)


def check_ids(name: str, given: Any, what: str = "item ids") -> Any:
    """Return ids as array or list; raise a TypeError if they are a str, a table or no sequence."""
    is_list = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    is_table = is_frame(given) or (isinstance(given, np.ndarray) and given.ndim != 1)
    if not is_list or is_table:
        raise TypeError(f"`{name}` must be a list of {what}, got {plain(given)!r}.")
    ids = given if isinstance(given, np.ndarray) else list(given)
    for value in ids if isinstance(ids, list) or ids.dtype == object else ():
        if not isinstance(value, Hashable):
            raise TypeError(
                f"`{name}` must be a list of {what}, found {plain(value)!r} in it, which cannot be "
                "an id. Lists for each user are given as a dict from users to lists."
            )
    return ids


def _seen_in_fit(name: str, columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the columns, and warn with the number of unknown items, whose column is -1."""
    n_unknown = int((columns < 0).sum())
    if n_unknown:
        warn_caller(
            f"{n_unknown:,} of {len(columns):,} items in `{name}` were not seen in fit; they are "
            "left out."
        )
    return columns


def _all_found(places: NDArray[np.intp], asked: Any, what: str, fault: str) -> NDArray[np.intp]:
    missing = np.flatnonzero(places < 0)
    if len(missing):
        raise ValueError(
            f"{len(missing):,} of {len(places):,} {what} {fault}, the first is "
            f"{plain(asked[missing[0]])!r}."
        )
    return places


def truth_and_lists(
    hidden: Any, users: Array, items: NDArray[np.int64], mapper: IdMapper
) -> tuple[sp.csr_array[Any], NDArray[np.int64]]:
    """Return hidden interactions as a matrix, and recommended items for each of its rows.

    The rows are `users`, for whom `items` are recommended, followed by the users who occur only in
    `hidden`. The columns are the items of the mapper, followed by the items that occur only in
    `hidden` and cannot be recommended.
    """
    frame = as_frame(hidden)
    is_counted = frame is None or mapper.count in frame.columns
    found = encode(hidden, mapper.user, mapper.item, mapper.count if is_counted else "")
    rows = _or_beyond(index_of(users).get_indexer(index_of(found.user_ids)), len(users))
    columns = _or_beyond(mapper.item_index(found.item_ids), len(mapper.items_))
    shape = (max(len(users), rows.max() + 1), max(len(mapper.items_), columns.max() + 1))
    pairs = (rows[found.users], columns[found.items])
    truth = sp.csr_array(sp.coo_array((found.counts, pairs), shape=shape))
    nothing = np.full((shape[0] - len(users), items.shape[1]), -1)
    return truth, np.concatenate([items, nothing])


def _or_beyond(places: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Replace each -1 in `places` by a new number, counting from n."""
    missing = places < 0
    places[missing] = n + np.arange(missing.sum())
    return places
