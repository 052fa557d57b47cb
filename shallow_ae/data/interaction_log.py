"""The interactions of a fit, with interactions added and removed, for models that learn on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.ids import index_of
from shallow_ae.data.tables import IndexedInteractions, check_sums
from shallow_ae.data.times import Times


def compact(columns: IndexedInteractions) -> IndexedInteractions:
    """Return the interactions with codes of 32 bits."""
    return columns._replace(
        users=columns.users.astype(np.int32, copy=False),
        items=columns.items.astype(np.int32, copy=False),
    )


def joined(before: IndexedInteractions, added: IndexedInteractions) -> IndexedInteractions:
    """Return all interactions, numbered as if they had been read at once."""
    users, user_ids = _joined_codes(before.users, before.user_ids, added.users, added.user_ids)
    items, item_ids = _joined_codes(before.items, before.item_ids, added.items, added.item_ids)
    dtype = np.float64 if np.float64 in (before.dtype, added.dtype) else np.float32
    counts = np.concatenate([before.counts, added.counts])
    times = _joined_times(before.times, added.times)
    both = IndexedInteractions(users, items, counts, dtype, user_ids, item_ids, times)
    check_sums(both)
    return both


def without(columns: IndexedInteractions, gone: NDArray[np.bool_]) -> IndexedInteractions:
    """Return the interactions that are not `gone`, numbered as if only they had been read."""
    left = ~gone
    if not left.any():
        raise ValueError("Nobody would be left to learn from. Nothing was forgotten.")
    users, of_users = pd.factorize(columns.users[left])
    items, of_items = pd.factorize(columns.items[left])
    return compact(
        columns._replace(
            users=users,
            items=items,
            counts=columns.counts[left],
            user_ids=columns.user_ids[of_users],
            item_ids=columns.item_ids[of_items],
            times=_taken(columns.times, left),
        )
    )


def rows_of_users(columns: IndexedInteractions, users: Iterable[Any]) -> NDArray[np.bool_]:
    """Return which interactions are of the given users; raise a ValueError if one has none."""
    asked = index_of(users)
    codes = index_of(columns.user_ids).get_indexer(asked)
    if (codes < 0).any():
        raise ValueError(
            f"{int((codes < 0).sum()):,} of {len(codes):,} users are not among the kept "
            f"interactions, the first is {plain(asked[codes < 0][0])!r}. Nothing was forgotten."
        )
    is_asked = np.zeros(len(columns.user_ids), np.bool_)
    is_asked[codes] = True
    chosen: NDArray[np.bool_] = is_asked[columns.users]
    return chosen


def of_users(columns: IndexedInteractions, users: Iterable[Any]) -> IndexedInteractions:
    """Return the interactions of the given users, numbered in the given order.

    A user without interactions has a number, too.
    """
    asked = index_of(users).unique()
    numbers = asked.get_indexer(index_of(columns.user_ids))[columns.users]
    chosen = numbers >= 0
    return columns._replace(
        users=numbers[chosen],
        items=columns.items[chosen],
        counts=columns.counts[chosen],
        user_ids=asked.to_numpy(),
        times=_taken(columns.times, chosen),
    )


def rows_like(columns: IndexedInteractions, given: IndexedInteractions) -> NDArray[np.bool_]:
    """Return which interactions equal the given ones: for each of these, the last such row.

    Raises
    ------
    ValueError
        If there are fewer equal interactions than given ones.
    """
    users = index_of(columns.user_ids).get_indexer(index_of(given.user_ids))
    items = index_of(columns.item_ids).get_indexer(index_of(given.item_ids))
    sought = _fields(given, users[given.users], items[given.items])
    is_possible = np.isin(columns.users, users[users >= 0])
    rows = np.flatnonzero(is_possible)[::-1]
    known = _fields(columns, columns.users, columns.items).iloc[rows]
    keys = list(known.columns)
    # The n-th equal row of one table belongs to the n-th equal row of the other.
    known["place"], sought["place"] = (
        table.groupby(keys, sort=False).cumcount().to_numpy() for table in (known, sought)
    )
    known["row"] = rows
    found = sought.merge(known, on=[*keys, "place"], how="left", sort=False)["row"].to_numpy()
    if np.isnan(found).any():
        _tell_missing(given, int(np.isnan(found).argmax()), int(np.isnan(found).sum()))
    gone = np.zeros(len(columns.users), np.bool_)
    gone[found.astype(np.intp)] = True
    return gone


def _taken(times: Times | None, chosen: NDArray[np.bool_]) -> Times | None:
    return None if times is None else times._replace(values=times.values[chosen])


def _joined_times(before: Times | None, added: Times | None) -> Times | None:
    if before is None or added is None:
        if before is not added:
            raise ValueError(
                "Either all or none of the interactions need times: `half_life` was changed after "
                "`fit`. Call `fit`."
            )
        return None
    if before.is_date != added.is_date:
        raise ValueError(
            "The times of earlier interactions are dates and these are numbers, or the reverse: "
            "convert the column with pandas.to_datetime."
        )
    return Times(np.concatenate([before.values, added.values]), before.is_date)


def _joined_codes(
    before: Array, known: Array, added: Array, others: Array
) -> tuple[NDArray[np.int32], Array]:
    places = index_of(known).get_indexer(index_of(others))
    is_new = places < 0
    places[is_new] = len(known) + np.arange(is_new.sum())
    codes = np.concatenate([before, places[added]]).astype(np.int32)
    return codes, np.concatenate([known, others[is_new]]) if is_new.any() else known


def _fields(columns: IndexedInteractions, users: Array, items: Array) -> pd.DataFrame:
    fields = {"user": users, "item": items, "count": columns.counts}
    if columns.times is not None:
        fields["time"] = columns.times.values
    return pd.DataFrame(fields)


def _tell_missing(given: IndexedInteractions, row: int, n_missing: int) -> None:
    user, item = given.user_ids[given.users[row]], given.item_ids[given.items[row]]
    raise ValueError(
        f"{n_missing:,} of {len(given.users):,} interactions are not among the kept interactions, "
        f"or are given more often. The first is of {plain(user)!r} and {plain(item)!r} with a "
        f"count of {given.counts[row]:g}. Pass rows as they were passed to `fit` or "
        "`partial_fit`. Nothing was forgotten."
    )
