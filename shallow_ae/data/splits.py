"""Splits of interactions into a training part and a held-out part.

Interactions are a users x items matrix, or a frame with one row for each interaction. Rows of a
frame with the same user and item stay in the same part, because a split hides items and not single
listens.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from shallow_ae.data.arguments import plain
from shallow_ae.data.holdout import UserItemPairs, draw, draw_users, hold_out_pairs, keep, lowest
from shallow_ae.data.matrices import canonical
from shallow_ae.data.sources import as_table
from shallow_ae.data.tables import are_interactions, column_in, take_rows
from shallow_ae.data.times import times_in


def hold_out_items(
    X: Any,
    holdout: float = 0.2,
    *,
    time: str | None = None,
    user: str = "user",
    item: str = "item",
    count: str = "count",
    random_state: Any = None,
) -> tuple[Any, Any]:
    """Hide some of each user's items.

    Parameters
    ----------
    X : ndarray, sparse matrix of shape (n_users, n_items), DataFrame or list of tuples
        Interactions: the nonzero entries of a matrix, the rows of a frame of any kind that narwhals
        reads, or tuples (user, item) or (user, item, count). `X` is not modified. Paths, relations
        and streams that :class:`~shallow_ae.IdMapper` reads are read into a pandas frame.
    holdout : float or int, default=0.2
        How many of each user's items to hide. A float in (0, 1] is a fraction, rounded to the
        nearest whole number of items but at least one; an integer is a number of items. Each user
        keeps at least one item, so a user with a single item has none hidden.
    time : str, default=None
        Column of a frame with the time of each interaction, a date or a number. For each user, the
        items with the latest first interaction are hidden. None hides items at random.
    user, item, count : str, default="user", "item", "count"
        Column names, for frames only. Rows with a count of 0 are not interactions and are not
        hidden. Without a count column, each row is one interaction.
    random_state : int, RandomState instance or None, default=None
        Determines the hidden items. Pass an int for the same split in every call.

    Returns
    -------
    visible, hidden : csr_array of shape (n_users, n_items), or DataFrame or list like `X`
        The two parts of `X`. No item of a user is in both.

    Raises
    ------
    ValueError
        If `holdout` is out of range, or a frame lacks one of the named columns.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import hold_out_items
    >>> X = np.array([[1, 1, 1, 1, 1], [0, 0, 2, 0, 2], [3, 0, 0, 0, 0]])
    >>> visible, hidden = hold_out_items(X, random_state=0)
    >>> hidden.count_nonzero(axis=1).tolist()
    [1, 1, 0]

    Hide the song that each listener heard for the first time most recently:

    >>> import pandas as pd
    >>> listens = pd.DataFrame(
    ...     [("ann", "Kashmir", 2019), ("ann", "Clocks", 2021), ("ann", "Kashmir", 2022)],
    ...     columns=["user", "item", "year"],
    ... )
    >>> hold_out_items(listens, 1, time="year")[1]
      user    item  year
    1  ann  Clocks  2021
    """
    X = as_table(X, user, item, count, time)
    if are_interactions(X):
        names = {"user": user, "item": item, "count": count}
        return hold_out_pairs(X, holdout, time=time, **names, random_state=random_state)
    if time is not None:
        raise ValueError(
            "`time` names a column of a frame, but X is a matrix and a matrix has no times. "
            "Pass a frame, or `time`=None."
        )
    X = canonical(X)
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    is_hidden = lowest(users, draw(X.nnz, random_state), holdout)
    return keep(X, ~is_hidden), keep(X, is_hidden)


def hold_out_after(
    interactions: Any,
    start: Any,
    *,
    time: str = "time",
    user: str = "user",
    item: str = "item",
    count: str = "count",
) -> tuple[Any, Any]:
    """Hide all interactions from a point in time on.

    Users without interactions before that time keep their first item visible, because a user
    without any item cannot receive recommendations.

    Parameters
    ----------
    interactions : DataFrame
        One row for each interaction, in a pandas or polars frame or any other kind that narwhals
        reads. It is not modified.
    start : same type as the times, or str of a date or time as pandas reads it
        Interactions at this time or later are hidden.
    time, user, item, count : str, default="time", "user", "item", "count"
        Column names. Rows with a count of 0 are not interactions. Without a count column, each row
        is one interaction.

    Returns
    -------
    visible, hidden : DataFrame like `interactions`
        Rows before `start`, and rows from `start` on. Later rows with an item that the user has in
        `visible`, and later rows with a count of 0, are in neither part, because they are not
        relevant items.

    Raises
    ------
    ValueError
        If `visible` or `hidden` would be empty, if `start` cannot be compared with the times, or if
        the times are neither dates nor numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from shallow_ae import hold_out_after
    >>> listens = pd.DataFrame(
    ...     [("ann", "Kashmir", 2019), ("ann", "Clocks", 2021), ("bob", "Clocks", 2021),
    ...      ("bob", "Yellow", 2022), ("ann", "Kashmir", 2022)],
    ...     columns=["user", "item", "year"],
    ... )
    >>> visible, hidden = hold_out_after(listens, 2021, time="year")
    >>> visible
      user     item  year
    0  ann  Kashmir  2019
    2  bob   Clocks  2021
    >>> hidden
      user    item  year
    1  ann  Clocks  2021
    3  bob  Yellow  2022
    """
    interactions = as_table(interactions, user, item, count, time)
    pairs = UserItemPairs(interactions, user, item, count)
    times, numbers = column_in(interactions, time), times_in(interactions, time).values
    try:
        is_visible = np.array(_are_before(times, start, time).to_numpy(), np.bool_)
    except Exception as error:  # each frame library raises its own error types
        raise ValueError(
            f"`start`={plain(start)!r} cannot be compared with column {time!r}, which holds "
            f"{times.dtype}: {error}"
        ) from error
    if is_visible.all() or not is_visible.any():
        raise ValueError(
            f"`start`={plain(start)!r} leaves no rows before it or no rows after it: the "
            f"times of column {time!r} go from {plain(times.min())!r} to {plain(times.max())!r}. "
            "Choose a `start` between them."
        )
    by_time = np.argsort(numbers, kind="stable")
    by_time = by_time[pairs.is_met_in_rows[by_time]]
    _, first = np.unique(pairs.users_of_rows[by_time], return_index=True)
    is_visible[by_time[first]] = True  # changes only users whose first item comes after `start`
    is_hidden = pairs.new_in_rows(is_visible)
    if not is_hidden.any():
        raise ValueError(
            f"Nothing is hidden: from `start`={plain(start)!r} on, no user has an interaction "
            "with a new item, except the first items of users without earlier interactions. "
            "Choose an earlier `start`."
        )
    return take_rows(interactions, is_visible), take_rows(interactions, is_hidden)


def _are_before(times: Any, start: Any, name: str) -> Any:
    """Return which times are before `start`. Only pandas compares times with a string."""
    is_date = times.dtype == nw.Date
    is_known = times.implementation.is_pandas_like() or not (is_date or times.dtype == nw.Datetime)
    if is_known or not isinstance(start, str):
        return times < start
    try:
        moment = pd.Timestamp(start)
    except ValueError as error:
        raise ValueError(
            f"`start`={plain(start)!r} is not a date, and column {name!r} has {times.dtype}. "
            "Pass a date."
        ) from error
    if is_date:
        times = times.cast(nw.Datetime)
    elif times.dtype.time_zone and moment.tzinfo is None:
        moment = moment.tz_localize(times.dtype.time_zone)
    return times < moment.to_pydatetime()


def hold_out_users(
    X: Any,
    users: float = 0.2,
    holdout: float = 0.2,
    *,
    user: str = "user",
    item: str = "item",
    count: str = "count",
    random_state: Any = None,
) -> tuple[Any, Any, Any]:
    """Hold out whole users, and hide some of the held-out users' items.

    Evaluation on users who are not in the training data is called strong generalisation [1]_. The
    model is fitted to `train`. It recommends to the held-out users from `fold_in`, and metrics
    compare the recommendations with `target`.

    Parameters
    ----------
    X : ndarray, sparse matrix of shape (n_users, n_items), DataFrame or list of tuples
        As for `hold_out_items`. It is not modified.
    users : float or int, default=0.2
        How many users to hold out: a fraction of all users in (0, 1), or a number of users. They
        are drawn from the users with at least two items.
    holdout : float or int, default=0.2
        How many of a held-out user's items to hide, as for `hold_out_items`.
    user, item, count : str, default="user", "item", "count"
        Column names, for frames only, as for `hold_out_items`.
    random_state : int, RandomState instance or None, default=None
        Determines the held-out users and the hidden items. Pass an int for the same split in every
        call.

    Returns
    -------
    train, fold_in, target : csr_array with n_items columns, or DataFrame or list like `X`
        The three parts of `X`. Matrix rows keep the order of `X`. Row i of `fold_in` and row i of
        `target` belong to the same user.

    Raises
    ------
    ValueError
        If `users` or `holdout` is out of range, or if too few users have two items.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import hold_out_users
    >>> X = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 0]])
    >>> train, fold_in, target = hold_out_users(X, 1, 1, random_state=0)
    >>> train.shape, fold_in.toarray().tolist(), target.toarray().tolist()
    ((3, 3), [[1, 1, 0]], [[0, 0, 1]])

    References
    ----------
    .. [1] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational Autoencoders for
       Collaborative Filtering", WWW 2018.
    """
    rng = check_random_state(random_state)
    X = as_table(X, user, item, count)
    if are_interactions(X):
        pairs = UserItemPairs(X, user, item, count)
        n_items = np.bincount(pairs.users, pairs.is_met)
        is_held = draw_users(n_items, users, rng)[pairs.users_of_rows]
        held = take_rows(X, is_held)
        rest = take_rows(X, ~is_held)
    else:
        X = canonical(X)
        is_held = draw_users(np.diff(X.indptr), users, rng)
        rest, held = X[~is_held], X[is_held]
    names = {"user": user, "item": item, "count": count}
    return rest, *hold_out_items(held, holdout, **names, random_state=rng)
