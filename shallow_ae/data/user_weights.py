"""Sample weights by raw user id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight, check_some_left, plain
from shallow_ae.data.id_index import index_of
from shallow_ae.data.interaction_log import Update


def is_by_user(given: Any) -> bool:
    """Return whether weights have user ids: a pandas Series with them as its index, or a dict."""
    return isinstance(given, pd.Series | Mapping)


def weights_of_users(given: Any, users: Array, *, may_be_zero: bool = False) -> Array:
    """Return the weight of each of the users, in order. An array has the same order.

    Raises
    ------
    ValueError
        If a user has no weight, a user has several weights, or a weight is not a number >= 0.
    """
    if not is_by_user(given):
        return check_sample_weight(given, len(users), may_be_zero=may_be_zero)
    ids = index_of(given.index if isinstance(given, pd.Series) else given)
    values = np.asarray(given if isinstance(given, pd.Series) else list(given.values()))
    if not ids.is_unique:
        raise ValueError(
            f"`sample_weight` has several weights for {plain(ids[ids.duplicated()][0])!r}: pass "
            "one weight for each user."
        )
    places = ids.get_indexer(index_of(users))
    if (places < 0).any():
        raise ValueError(
            f"`sample_weight` has no weight for {int((places < 0).sum()):,} of {len(users):,} "
            f"users, the first is {plain(users[places < 0][0])!r}. Give each user a weight. (A "
            "search of scikit-learn takes rows out of a Series that is as long as the "
            "interactions, but not out of a dict.)"
        )
    return check_sample_weight(values[places], len(users), may_be_zero=may_be_zero)


def check_by_user(given: Any, n_interactions: int, n_users: int) -> None:
    """Raise a ValueError for a Series of weights of interactions, whose labels are row numbers."""
    is_numbered = isinstance(given, pd.Series) and isinstance(given.index, pd.RangeIndex)
    if is_numbered and len(given) == n_interactions != n_users:
        raise ValueError(
            f"`sample_weight` is a Series with the labels {given.index[0]} to {given.index[-1]}, "
            "as many as there are interactions. Its labels must be user ids. For a weight of each "
            "interaction, name a column: `weight` of IdMapper."
        )


def weights_after(
    update: Update, before: Array | None, given: Any = None, ids: Array | None = None
) -> Array | None:
    """Return the weight of each user after an update; None if no user has had a weight.

    `before` are the weights before the update. `given` are those of the touched users with these
    ids. All other users have the weight 1.
    """
    if before is None and given is None:
        return None
    weights, is_known = np.ones(len(update.users)), update.users >= 0
    if before is not None:
        weights[is_known] = before[update.users[is_known]]
    if given is not None and ids is not None:
        weights[update.touched] = weights_of_users(given, ids, may_be_zero=True)
    check_some_left(bool(weights.any()))
    return weights
