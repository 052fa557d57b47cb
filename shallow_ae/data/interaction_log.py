"""Updates of interactions: some added or taken back, and the new numbers of users and items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallow_ae._linalg.columns import appended
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_some_left, plain
from shallow_ae.data.id_index import index_of
from shallow_ae.data.tables import IndexedInteractions, check_sums
from shallow_ae.data.times import Times, check_span, converted


class Update(NamedTuple):
    """Interactions after an update. Codes are the numbers of users and of items."""

    columns: IndexedInteractions
    users: NDArray[np.intp]  # for each code after the update, the code before it, or -1
    items: NDArray[np.intp]
    touched: NDArray[np.intp]  # the codes of the users with changed interactions
    touched_before: NDArray[np.intp]  # their codes before the update, without new users
    is_added: bool  # whether interactions were only added


def added_to(before: IndexedInteractions, added: IndexedInteractions) -> Update:
    """Return all interactions, numbered as if they had been read at once.

    The touched users are in the order of the ids of `added`.
    """
    user_codes, user_ids = _joined_ids(before.user_ids, added.user_ids)
    item_codes, item_ids = _joined_ids(before.item_ids, added.item_ids)
    n_users, n_items = len(before.user_ids), len(before.item_ids)
    both = IndexedInteractions(
        np.concatenate([before.users, user_codes[added.users]]).astype(np.int32, copy=False),
        np.concatenate([before.items, item_codes[added.items]]).astype(np.int32, copy=False),
        np.concatenate([before.counts, added.counts]),
        np.float64 if np.float64 in (before.dtype, added.dtype) else np.float32,
        user_ids,
        item_ids,
        _joined_times(before.times, added.times),
    )
    check_sums(both)
    return Update(
        both,
        appended(n_users, len(user_ids)),
        appended(n_items, len(item_ids)),
        user_codes,
        user_codes[user_codes < n_users],
        is_added=True,
    )


def taken_from(before: IndexedInteractions, gone: NDArray[np.bool_]) -> Update:
    """Return the interactions that are not `gone`, numbered as if only they had been read."""
    left = ~gone
    check_some_left(bool(left.any()))
    users, of_users = pd.factorize(before.users[left])
    items, of_items = pd.factorize(before.items[left])
    columns = before._replace(
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        counts=before.counts[left],
        user_ids=before.user_ids[of_users],
        item_ids=before.item_ids[of_items],
        times=_taken(before.times, left),
    )
    touched_before = np.unique(before.users[gone])
    after = np.full(len(before.user_ids), -1)
    after[of_users] = np.arange(len(of_users))
    touched = after[touched_before]
    touched = touched[touched >= 0]
    return Update(columns, of_users, of_items, touched, touched_before, is_added=False)


def are_of_users(
    columns: IndexedInteractions, users: Iterable[Any], codes: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return which interactions are of the given users, whose codes are given.

    Raises
    ------
    ValueError
        If a user has the code -1, which stands for a user without interactions.
    """
    missing = codes < 0
    if missing.any():
        raise ValueError(
            f"{int(missing.sum()):,} of {len(codes):,} users are not among the kept interactions, "
            f"the first is {plain(index_of(users)[missing][0])!r}. Nothing was forgotten."
        )
    is_asked = np.zeros(len(columns.user_ids), np.bool_)
    is_asked[codes] = True
    return np.asarray(is_asked[columns.users])


def of_users(
    columns: IndexedInteractions, codes: NDArray[np.intp], ids: Array | None = None
) -> IndexedInteractions:
    """Return the interactions of the users with the given codes, renumbered in this order.

    The code -1 stands for a user without interactions, whose id is in `ids`.
    """
    numbers = np.full(len(columns.user_ids) + 1, -1)  # the last is for -1
    numbers[codes] = np.arange(len(codes))
    numbers[-1] = -1
    users = numbers[columns.users]
    chosen = users >= 0
    return columns._replace(
        users=users[chosen],
        items=columns.items[chosen],
        counts=columns.counts[chosen],
        user_ids=columns.user_ids[codes] if ids is None else ids,
        times=_taken(columns.times, chosen),
    )


def are_like(columns: IndexedInteractions, given: IndexedInteractions) -> NDArray[np.bool_]:
    """Return which interactions equal the given ones: for each of these, the last such row.

    Raises
    ------
    ValueError
        If there are fewer equal interactions than given ones.
    """
    users = index_of(columns.user_ids).get_indexer(index_of(given.user_ids))
    items = index_of(columns.item_ids).get_indexer(index_of(given.item_ids))
    users_of_rows, times = users[given.users], given.times
    if columns.times is not None and times is not None:
        values, is_exact = converted(times.values, columns.times.values.dtype)
        times = times._replace(values=values)
        users_of_rows = np.where(is_exact, users_of_rows, -1)  # equal to no kept interaction
    sought = _fields(given._replace(times=times), users_of_rows, items[given.items])
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
    are_gone = np.zeros(len(columns.users), np.bool_)
    are_gone[found.astype(np.intp)] = True
    return are_gone


def _joined_ids(known: Array, others: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the code of each of the `others`, where new ids follow the known ones, and all ids."""
    index, other_index = index_of(known), index_of(others)
    codes = index.get_indexer(other_index)
    is_new = codes < 0
    if not is_new.any():
        return codes, known
    codes[is_new] = len(known) + np.arange(is_new.sum())
    if known.dtype == others.dtype:
        return codes, np.concatenate([known, others[is_new]])
    # NumPy's common type would change the ids: numbers to text, large integers to floats.
    return codes, index.append(other_index[is_new]).to_numpy()


def _taken(times: Times | None, chosen: NDArray[np.bool_]) -> Times | None:
    return None if times is None else times._replace(values=times.values[chosen])


def _joined_times(before: Times | None, added: Times | None) -> Times | None:
    if before is None or added is None:
        return None
    if before.is_date != added.is_date:
        raise ValueError(
            "The times of earlier interactions are dates and these are numbers, or the reverse: "
            "convert the column with pandas.to_datetime."
        )
    for dtype in (before.values.dtype, added.values.dtype):
        parts = [converted(times.values, dtype) for times in (before, added)]
        if all(is_exact.all() for _, is_exact in parts):
            times = Times(np.concatenate([values for values, _ in parts]), before.is_date)
            check_span(times, "of earlier interactions and these")
            return times
    raise ValueError(
        "The times of earlier interactions and these are integers and floats, which have no type "
        "in common that holds all of them exactly. Convert the column to the type that it had in "
        "`fit`."
    )


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
        f"count of {given.counts[row]:g}. Pass rows as they were passed to `fit` or `partial_fit`. "
        "Nothing was forgotten."
    )
