"""Metrics of the recommended items alone: coverage, Gini coefficient, novelty.

These functions are public as members of :mod:`shallow_ae.metrics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from shallow_ae.data.arguments import check_integer, plain
from shallow_ae.metrics.formulas import Values
from shallow_ae.metrics.hits import Ranking, are_indices, first_places


def coverage_score(y_rec: Ranking, n_items: int, *, k: int | None = None) -> float:
    """Return the share of the catalogue's items that are recommended to at least one user.

    Parameters
    ----------
    y_rec : dict of lists, list of lists or array of shape (n_users, n_recommended)
        The ranked items of each user, best first, as for :func:`~shallow_ae.ndcg_score`.
    n_items : int
        Number of items in the catalogue.
    k : int, default=None
        Cutoff: only the first `k` places count. None counts all places.

    Returns
    -------
    coverage : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If no item is recommended, if a recommended index is not less than `n_items`, or if more
        than `n_items` different items are recommended.

    Examples
    --------
    >>> from shallow_ae.metrics import coverage_score
    >>> coverage_score({"ann": ["Kashmir", "Clocks"], "bob": ["Kashmir"]}, n_items=8)
    0.25
    """
    return len(_exposures(y_rec, n_items, k)) / n_items


def gini_score(y_rec: Ranking, n_items: int, *, k: int | None = None) -> float:
    """Return the Gini coefficient of the numbers of recommendations of all items.

    The Gini coefficient is twice the area between the Lorenz curve of exposure and the diagonal.
    If x_1 <= ... <= x_n are the numbers of times that the n items are recommended, it equals
    sum_i (2 i - n - 1) x_i / (n sum_i x_i).

    Parameters
    ----------
    y_rec, n_items, k
        As for `coverage_score`.

    Returns
    -------
    gini : float
        0 if all items are recommended equally often, at most 1 - 1/n, if only one item is
        recommended.

    Raises
    ------
    ValueError
        As for `coverage_score`.

    Examples
    --------
    >>> from shallow_ae.metrics import gini_score
    >>> gini_score([[0, 1], [2, 3]], n_items=4), gini_score([[0], [0]], n_items=4)
    (0.0, 0.75)
    """
    times = _exposures(y_rec, n_items, k)
    ranks = np.arange(n_items - len(times) + 1, n_items + 1)  # lower ranks have x_i = 0
    return float(((2 * ranks - n_items - 1) * np.sort(times)).sum() / (n_items * times.sum()))


def novelty_score(
    y_rec: Ranking,
    item_counts: Mapping[Any, float] | ArrayLike,
    n_users: float,
    *,
    k: int | None = None,
) -> float:
    """Return the mean self-information of the recommended items, in bits.

    The self-information of an item that m of n users have seen is -log2(m / n). It is 0 for an item
    that all users have seen, and each halving of the number of users adds 1. An item without users
    counts as if it had one user. If sample weights make counts smaller than 1, it counts as if it
    had the smallest positive count of the recommended items.

    Parameters
    ----------
    y_rec
        As for `coverage_score`. The mean is over all nonempty places.
    item_counts : array-like of shape (n_items,), or mapping of raw id to number
        Number of users of each item. For item indices, pass `item_counts_` of a fitted model.
    n_users : float
        Number of all users: `n_samples_seen_` of a fitted model or, if it was fitted with sample
        weights, the sum of these weights.
    k : int, default=None
        As for `coverage_score`.

    Returns
    -------
    novelty : float
        At least 0. At most log2(n_users) if no positive count is smaller than 1.

    Raises
    ------
    ValueError
        If no item is recommended, or if an item has more than `n_users` users.

    References
    ----------
    .. [1] T. Zhou, Z. Kuscsik, J.-G. Liu, M. Medo, J. R. Wakeling and Y.-C. Zhang, "Solving the
       apparent diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010.

    Examples
    --------
    >>> from shallow_ae.metrics import novelty_score
    >>> novelty_score([["Kashmir", "Clocks"]], {"Kashmir": 8, "Clocks": 2}, n_users=8)
    1.0
    """
    times_of = _times(y_rec, k)
    if isinstance(item_counts, Mapping | pd.Series):
        counts = np.array([item_counts.get(item, 0) for item in times_of], np.float64)
    else:
        counts = _of_indices(np.asarray(item_counts, np.float64), list(times_of))
    if not counts.max() <= n_users:
        raise ValueError(
            f"An item has {counts.max():g} users, but `n_users`={n_users:g}. For a model fitted "
            "with sample weights, pass their sum as `n_users`, because its counts are sums of "
            "sample weights."
        )
    least = min(1, n_users, *counts[counts > 0])
    information = -np.log2(np.maximum(counts, least) / n_users)
    return float(np.average(information, weights=list(times_of.values())))


def _of_indices(item_counts: Values, items: list[Any]) -> Values:
    indices = np.array(items)
    if indices.dtype.kind not in "iu" or not 0 <= indices.min() <= indices.max() < len(item_counts):
        raise ValueError(
            f"`item_counts` has {len(item_counts):,} items by index, and {plain(items[0])!r} to "
            f"{plain(items[-1])!r} are recommended. Pass a mapping for other ids than item indices."
        )
    return np.asarray(item_counts[indices])


def _exposures(y_rec: Ranking, n_items: int, k: int | None) -> NDArray[np.int64]:
    """Return how often each recommended item is recommended; other items are not included."""
    times_of = _times(y_rec, k)
    check_integer("n_items", n_items, low=1)
    if are_indices(y_rec) and max(times_of) >= n_items:
        raise ValueError(
            f"The item index {max(times_of)} is recommended, but `n_items`={n_items:,}: valid "
            "indices are 0 to `n_items` - 1."
        )
    if len(times_of) > n_items:
        raise ValueError(
            f"{len(times_of):,} different items are recommended, but `n_items`={n_items:,}."
        )
    return np.array(list(times_of.values()))


def _times(y_rec: Ranking, k: int | None) -> dict[Any, int]:
    """Return how often each item is in the first `k` places of the lists."""
    if k is not None:
        check_integer("k", k, low=1)
    places = first_places(y_rec, k)
    if isinstance(places, np.ndarray):
        items, times = np.unique(places[places >= 0], return_counts=True)
        times_of = dict(zip(items.tolist(), times.tolist(), strict=True))
    else:
        times_of = dict(Counter(chain.from_iterable(places)))
        times_of.pop(None, None)
    if not times_of:
        raise ValueError("Nothing is recommended: all lists are empty.")
    return times_of
