"""Sample weights by raw user id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight, plain
from shallow_ae.data.ids import index_of


def is_by_user(given: Any) -> bool:
    """Return whether weights have user ids: a pandas Series with them as its index, or a dict."""
    return isinstance(given, pd.Series | Mapping)


def weights_of_users(given: Any, users: Array) -> Array:
    """Return the weight of each of the users, in order. An array has the same order.

    Raises
    ------
    ValueError
        If a user has no weight, a user has several weights, or a weight is not a number >= 0.
    """
    if not is_by_user(given):
        return check_sample_weight(given, len(users))
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
            f"users, the first is {plain(users[places < 0][0])!r}. Pass a dict, or a Series whose "
            "index holds the user ids. (scikit-learn's searches take rows out of a Series that is "
            "as long as the interactions, but not out of a dict.)"
        )
    return check_sample_weight(values[places], len(users))


def weights_after_update(
    before: Array | None, known: Array, users: Array, given: Any, touched: Array
) -> Array | None:
    """Return the weight of each user after an update; None if no user has had a weight.

    `before` are the weights of the `known` users, and `given` those of the `touched` users. All
    other users have the weight 1.
    """
    if before is None and given is None:
        return None
    weights, index = np.ones(len(users)), index_of(users)
    if before is not None:
        places = index.get_indexer(index_of(known))
        weights[places[places >= 0]] = before[places >= 0]
    if given is not None:
        weights[index.get_indexer(index_of(touched))] = weights_of_users(given, touched)
    return weights
