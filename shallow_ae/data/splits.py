"""Splits of interactions into a training part and a held-out part.

Interactions are a users x items matrix, or a frame with a row for each. Rows of a frame that name
the same user and item stay together: what is hidden is an item, not one of several listens.
"""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from shallow_ae.data.holdout import UserItemPairs, draw, draw_users, hold_out_pairs, keep, lowest
from shallow_ae.data.matrices import canonical
from shallow_ae.data.tables import are_interactions, column_in, take_rows


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
        Nonzero entries are interactions; or the rows of a frame, of any kind that narwhals reads,
        or tuples (user, item) or (user, item, count). It is not changed.
    holdout : float or int, default=0.2
        A float in (0, 1] is the fraction of each user's items to hide, rounded to the nearest
        whole number but at least one; an integer is how many. Users keep one item at least: of
        those with a single one none is hidden.
    time : str, default=None
        Column of a frame: hide the items that each user has met last, by the time of the first
        interaction with each. None hides items at random.
    user, item, count : str, default="user", "item", "count"
        Names of columns, for frames only. What has a count of 0 is no interaction and is not
        hidden; without the column, each row is one.
    random_state : int, RandomState instance or None, default=None
        Which items: pass an int for the same ones each time.

    Returns
    -------
    visible, hidden : csr_array of shape (n_users, n_items), or DataFrame or list like `X`
        Together they are `X`, and no item of a user is in both.

    Raises
    ------
    ValueError
        For a `holdout` out of range, and for frames without the columns named.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import hold_out_items
    >>> X = np.array([[1, 1, 1, 1, 1], [0, 0, 2, 0, 2], [3, 0, 0, 0, 0]])
    >>> visible, hidden = hold_out_items(X, random_state=0)
    >>> hidden.count_nonzero(axis=1).tolist()
    [1, 1, 0]

    The last song that each listener has come to:

    >>> import pandas as pd
    >>> listens = pd.DataFrame(
    ...     [("ann", "Kashmir", 2019), ("ann", "Clocks", 2021), ("ann", "Kashmir", 2022)],
    ...     columns=["user", "item", "year"],
    ... )
    >>> hold_out_items(listens, 1, time="year")[1]
      user    item  year
    1  ann  Clocks  2021
    """
    if are_interactions(X):
        names = {"user": user, "item": item, "count": count}
        return hold_out_pairs(X, holdout, time=time, **names, random_state=random_state)
    if time is not None:
        raise ValueError("`time` names a column of a frame: a matrix has no times.")
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
    """Hide what has happened since a point in time.

    Users who have come since keep the first item that they met: without any they could not be
    recommended to.

    Parameters
    ----------
    interactions : DataFrame
        A row for each interaction, of pandas, polars or any other kind that narwhals reads. It is
        not changed.
    start : same type as the times, or str of a date or time as pandas reads it
        The first moment that is hidden.
    time, user, item, count : str, default="time", "user", "item", "count"
        Names of columns. What has a count of 0 is no interaction; without the column, each row
        is one.

    Returns
    -------
    visible, hidden : DataFrame like `interactions`
        Rows before and since. Of the latter, those of items that the user has in `visible`, and
        those with a count of 0, are in neither: they are nothing to be found.

    Raises
    ------
    ValueError
        If nothing would be visible or nothing hidden, and for a `start` that cannot be compared
        with the times.

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
    pairs = UserItemPairs(interactions, user, item, count)
    times = column_in(interactions, time)
    try:
        is_visible = np.array(_are_before(times, start, time).to_numpy(), np.bool_)
    except Exception as error:  # each kind of frame has errors of its own
        raise ValueError(
            f"`start`={start!r} cannot be compared with column {time!r}, which holds "
            f"{times.dtype}: {error}"
        ) from error
    if is_visible.all() or not is_visible.any():
        raise ValueError(
            f"`start`={start!r} leaves nothing on one side: the times of column {time!r} go from "
            f"{times.min()!r} to {times.max()!r}."
        )
    by_time = np.argsort(times.to_numpy(), kind="stable")
    by_time = by_time[pairs.is_met_in_rows[by_time]]
    _, first = np.unique(pairs.users_of_rows[by_time], return_index=True)
    is_visible[by_time[first]] = True  # which most are anyway
    seen = is_visible & pairs.is_met_in_rows
    is_known = np.bincount(pairs.of_rows, seen, minlength=len(pairs.users)) > 0
    is_hidden = pairs.is_met_in_rows & ~is_known[pairs.of_rows]
    if not is_hidden.any():
        raise ValueError(
            f"Nothing is hidden: since `start`={start!r} no user has met an item that is new to "
            "them, but for the first items of users who have come since."
        )
    return take_rows(interactions, is_visible), take_rows(interactions, is_hidden)


def _are_before(times: Any, start: Any, name: str) -> Any:
    """Return which times are before a moment. A text is one to pandas alone."""
    is_date = times.dtype == nw.Date
    is_known = times.implementation.is_pandas_like() or not (is_date or times.dtype == nw.Datetime)
    if is_known or not isinstance(start, str):
        return times < start
    try:
        moment = pd.Timestamp(start)
    except ValueError as error:
        raise ValueError(
            f"`start`={start!r} is no date, but column {name!r} holds {times.dtype}."
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
    """Hold users out whole, and hide some of their items.

    To judge by users whom the model has never seen is called strong generalisation: it learns
    from `train`, recommends to the others from `fold_in` and is to find `target`.

    Parameters
    ----------
    X : ndarray, sparse matrix of shape (n_users, n_items), DataFrame or list of tuples
        As for `hold_out_items`. It is not changed.
    users : float or int, default=0.2
        How many to hold out, as a fraction of all users in (0, 1) or a number. They are drawn from
        those who have two items or more.
    holdout : float or int, default=0.2
        How many of their items to hide, as for `hold_out_items`.
    user, item, count : str, default="user", "item", "count"
        Names of columns, for frames only, as for `hold_out_items`.
    random_state : int, RandomState instance or None, default=None
        Which users and items: pass an int for the same ones each time.

    Returns
    -------
    train, fold_in, target : csr_array with n_items columns, or DataFrame or list like `X`
        Together they are `X`. Rows of matrices stand in the order of `X`, and those of `fold_in`
        and `target` are of the same users.

    Raises
    ------
    ValueError
        For fractions and numbers out of range, and where fewer users have two items.

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
