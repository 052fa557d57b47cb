"""Which interactions and which users a split holds out."""

from __future__ import annotations

import numbers
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_integer, check_real, plain
from shallow_ae.data.tables import encode, take_rows
from shallow_ae.data.times import times_in


def check_holdout(holdout: float) -> None:
    """Raise an error unless `holdout` is a fraction in (0, 1] or a number of items >= 1."""
    if _is_number(holdout):
        check_integer("holdout", holdout, low=1)
    else:
        check_real("holdout", holdout, low=0, high=1, open_low=True)


def _is_number(share: float) -> bool:
    """Return whether `share` is a number of items or users, and not a fraction."""
    return isinstance(share, numbers.Integral) and not isinstance(share, bool)


class UserItemPairs:
    """The distinct (user, item) pairs in a frame, list of tuples or array."""

    def __init__(self, interactions: Any, user: str, item: str, count: str) -> None:
        columns = encode(interactions, user, item, count)
        self.users_of_rows, n_items = columns.users, len(columns.item_ids)
        self.is_met_in_rows = columns.counts > 0
        keys = columns.users.astype(np.int64) * n_items + columns.items
        self.of_rows, pairs = pd.factorize(keys)
        self.users = pairs // n_items
        self.is_met = np.bincount(self.of_rows, columns.counts) > 0

    def first(self, times: Array) -> NDArray[np.int64]:
        """Return the position of each pair's earliest interaction when rows are sorted by time."""
        place = np.empty(len(times), np.int64)
        place[np.argsort(times, kind="stable")] = np.arange(len(times))
        first = np.full(len(self.users), len(times))
        met = self.is_met_in_rows
        np.minimum.at(first, self.of_rows[met], place[met])
        return first

    def new_in_rows(self, is_visible: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows have an item that the user has in no visible row."""
        seen = is_visible & self.is_met_in_rows
        is_known = np.bincount(self.of_rows, seen, minlength=len(self.users)) > 0
        return np.asarray(self.is_met_in_rows & ~is_known[self.of_rows])


def lowest(users: Array, keys: Array, holdout: float) -> NDArray[np.bool_]:
    """Return which interactions to hide: for each user, the interactions with the lowest keys.

    `users` holds integer codes from 0; `holdout` determines the number for each user.
    """
    check_holdout(holdout)
    per_user = np.bincount(users)
    if _is_number(holdout):
        n_hidden = np.full(len(per_user), holdout)
    else:
        n_hidden = np.maximum(np.rint(holdout * per_user).astype(np.int64), 1)
    n_hidden = np.minimum(n_hidden, per_user - 1)  # -1 for users without items hides none
    order = np.lexsort((keys, users))
    place = np.empty(len(users), dtype=np.int64)  # rank of each interaction within its user
    place[order] = np.arange(len(users)) - np.repeat(np.cumsum(per_user) - per_user, per_user)
    return np.asarray(place < n_hidden[users])


def draw(n: int, random_state: Any) -> Array:
    """Return n uniform random numbers."""
    return np.asarray(check_random_state(random_state).random_sample(n))


def draw_users(n_items: Array, users: float, rng: np.random.RandomState) -> NDArray[np.bool_]:
    """Return which users are held out, drawn from the users with two items or more."""
    eligible, n_users = np.flatnonzero(n_items >= 2), len(n_items)
    if _is_number(users):
        n_held = check_integer("users", users, low=1)
    else:
        check_real("users", users, low=0, high=1, open_low=True, open_high=True)
        n_held = max(1, round(users * n_users))
    if n_held > min(len(eligible), n_users - 1):
        raise ValueError(
            f"`users`={plain(users)!r} would hold out {n_held:,} of {n_users:,} users, of whom "
            f"{len(eligible):,} have two items or more: choose fewer, so that some are left to "
            "learn from."
        )
    is_held = np.zeros(n_users, np.bool_)
    is_held[rng.choice(eligible, n_held, replace=False)] = True
    return is_held


def keep(X: sp.csr_array[Any], entries: Any) -> sp.csr_array[Any]:
    """Return a matrix with only the selected stored entries of `X`."""
    indptr = np.concatenate([[0], np.cumsum(entries)])[X.indptr].astype(X.indptr.dtype)
    return sp.csr_array((X.data[entries], X.indices[entries], indptr), shape=X.shape)


def hold_out_pairs(
    interactions: Any,
    holdout: float,
    *,
    time: str | None = None,
    user: str,
    item: str,
    count: str,
    random_state: Any,
) -> tuple[Any, Any]:
    """Hide some of each user's items in a frame, list of tuples or array, as `hold_out_items`."""
    pairs = UserItemPairs(interactions, user, item, count)
    is_met = pairs.is_met
    if time is None:
        keys = draw(len(pairs.users), random_state)
    else:
        keys = -pairs.first(times_in(interactions, time).values).astype(np.float64)
    is_hidden = np.zeros(len(pairs.users), np.bool_)
    is_hidden[is_met] = lowest(pairs.users[is_met], keys[is_met], holdout)
    is_hidden = is_hidden[pairs.of_rows] & pairs.is_met_in_rows
    return take_rows(interactions, ~is_hidden), take_rows(interactions, is_hidden)


def hold_out_window(
    frame: Any, windows: pd.Series[Any], *, user: str, item: str, count: str
) -> tuple[Any, Any]:
    """Hide the rows of the last window with items that are new to their users.

    `windows` is an ordered categorical with the window of each row, as `pandas.cut` returns it;
    missing means before all windows. The visible part has the rows before the last window and a row
    with a count of 0 for each user without such a row, whose recommendations have no input then.
    """
    of_rows = windows.cat.codes.to_numpy()
    is_visible = of_rows < max(of_rows.max(initial=0), 0)
    if len(of_rows) != len(frame) or is_visible.all() or not is_visible.any():
        raise ValueError(
            f"`y` has {int(is_visible.sum()):,} rows before the last window and "
            f"{int((~is_visible).sum()):,} in it, and X has {len(frame):,} rows. Expected the "
            "window of each row of X, and rows of both kinds, as in a test part of TimeWindowSplit."
        )
    pairs = UserItemPairs(frame, user, item, count)
    is_hidden = pairs.new_in_rows(is_visible)
    users, first = np.unique(pairs.users_of_rows[is_hidden], return_index=True)
    has_rows = np.bincount(pairs.users_of_rows, is_visible)[users] > 0
    new = np.flatnonzero(is_hidden)[first[~has_rows]]  # a row of each user without visible rows
    hidden = take_rows(frame, is_hidden)
    if len(new):
        return _with_users(frame, np.flatnonzero(is_visible), new, user, count), hidden
    return take_rows(frame, is_visible), hidden


def _with_users(frame: Any, rows: Array, new: Array, user: str, count: str) -> Any:
    """Return some rows of a frame, and a row with a count of 0 for the users in the rows `new`."""
    columns = nw.from_native(frame, eager_only=True)
    own = np.concatenate([rows, new]).tolist()
    # The other values are those of a visible row, so that nothing of the new rows gets in.
    taken = columns[np.concatenate([rows, np.repeat(rows[-1:], len(new))]).tolist()]
    given = (
        taken.get_column(count).to_numpy()
        if count in columns.columns
        else np.ones(len(own), np.int8)
    )
    counts = given * (np.arange(len(own)) < len(rows))
    zeroed = nw.new_series(count, counts, backend=columns.implementation)
    return taken.with_columns(columns.get_column(user)[own], zeroed).to_native()
