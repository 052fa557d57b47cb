"""Items with a least number of users: interactions and updates without the other items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shallow_ae.data.id_index import index_of
from shallow_ae.data.interaction_log import Update
from shallow_ae.data.tables import IndexedInteractions, to_csr


def with_frequent_items(columns: IndexedInteractions, min_users: int) -> IndexedInteractions:
    """Return the interactions with items that at least `min_users` users have seen.

    The remaining items keep their order. With 1, all items remain.

    Raises
    ------
    ValueError
        If no item remains.
    """
    if min_users == 1:
        return columns
    n_items = len(columns.item_ids)
    n_users = np.bincount(to_csr(columns, n_items).indices, minlength=n_items)
    check_some_frequent(n_users, min_users)
    return of_items(columns, n_users >= min_users)


def check_some_frequent(n_users: NDArray[np.int64], min_users: int) -> None:
    """Raise a ValueError if no item has as many users as an item needs."""
    if n_users.max() < min_users:
        raise ValueError(
            f"No item has `min_users`={min_users:,} users or more, and at most "
            f"{n_users.max():,} users have seen the same item. Lower `min_users`."
        )


def of_items(columns: IndexedInteractions, chosen: NDArray[np.bool_]) -> IndexedInteractions:
    """Return the interactions with the chosen items, which are numbered in the same order."""
    if chosen.all():
        return columns
    rows = chosen[columns.items]
    times = columns.times
    return columns._replace(
        users=columns.users[rows],
        items=_numbers(chosen)[columns.items[rows]],
        counts=columns.counts[rows],
        item_ids=columns.item_ids[chosen],
        times=None if times is None else times._replace(values=times.values[rows]),
    )


def are_among(columns: IndexedInteractions, item_ids: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which items of the interactions are among the given ones."""
    if len(item_ids) == len(columns.item_ids):  # the given ones are items of the interactions
        return np.ones(len(item_ids), np.bool_)
    return np.asarray(index_of(item_ids).get_indexer(index_of(columns.item_ids)) >= 0)


def update_of_items(update: Update, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Update:
    """Return an update of interactions whose items are only the chosen ones, `before` and `after`.

    If an item is chosen after the update and was not before, or the reverse, its users are touched,
    too: the numbers in their rows change without an interaction of theirs.
    """
    if before.all() and after.all():
        return update
    is_old = update.items >= 0
    were = np.zeros(len(after), np.bool_)
    were[is_old] = before[update.items[is_old]]
    moved = is_old & (were != after)
    users = np.unique(update.columns.users[moved[update.columns.items]])
    further = np.setdiff1d(users, update.touched)
    columns_before = np.append(_numbers(before), -1)  # the last is for -1
    return update._replace(
        columns=of_items(update.columns, after),
        items=columns_before[update.items[after]],
        touched=np.concatenate([update.touched, further]),
        touched_before=np.concatenate([update.touched_before, update.users[further]]),
    )


def _numbers(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of each item among the chosen ones, and -1 for the other items."""
    return np.where(chosen, np.cumsum(chosen) - 1, -1)
