"""The formula of each ranking metric: one number for each user."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shallow_ae.metrics.hits import Hits

Values: TypeAlias = NDArray[np.float64]


def values_of_users(name: str, hits: Hits, *, omit_unanswered: bool) -> Values:
    """Return the named metric for each user; NaN for users who are left out.

    Raises a ValueError if all users are left out.
    """
    counted = hits.n_relevant > 0
    if omit_unanswered:
        counted &= hits.n_listed > 0
    if not counted.any():
        raise ValueError(
            f"Nothing to measure: none of {len(counted):,} users has held-out items"
            + (" and recommendations." if omit_unanswered else ".")
            + " A user needs two or more items so that one can be held out. In a search that "
            "begins with few users, such as HalvingRandomSearchCV, raise `min_resources`."
        )
    return np.where(counted, MEASURES[name](hits), np.nan)


def _ndcg(hits: Hits, *, is_cut: bool) -> Values:
    n_ideal = _n_ideal(hits, is_cut=is_cut)
    n_ranks = max(n_ideal.max(initial=0), hits.ranks.max(initial=0) + 1)
    gain = 1 / np.log2(np.arange(2, n_ranks + 2))
    return _sums(hits, gain[hits.ranks]) / np.cumsum(gain)[n_ideal - 1]


def _recall(hits: Hits, *, is_cut: bool) -> Values:
    return _n_hits(hits) / _n_ideal(hits, is_cut=is_cut)


def _precision(hits: Hits) -> Values:
    n_places = np.maximum(hits.n_listed, 1) if hits.k is None else hits.k
    return _n_hits(hits) / n_places


def _hit_rate(hits: Hits) -> Values:
    return np.minimum(_n_hits(hits), 1.0)


def _average_precision(hits: Hits, *, is_cut: bool) -> Values:
    precision = (_hits_before(hits) + 1) / (hits.ranks + 1)
    return _sums(hits, precision) / _n_ideal(hits, is_cut=is_cut)


def _reciprocal_rank(hits: Hits) -> Values:
    return _sums(hits, (_hits_before(hits) == 0) / (hits.ranks + 1))


def _n_ideal(hits: Hits, *, is_cut: bool) -> NDArray[np.int64]:
    """Return the number of relevant items in the ideal list, at least 1 to avoid division by 0."""
    n_ideal = np.maximum(hits.n_relevant, 1)
    return np.minimum(hits.k, n_ideal) if is_cut and hits.k is not None else n_ideal


def _sums(hits: Hits, of_hits: Values) -> Values:
    sums = np.bincount(hits.users, of_hits, minlength=len(hits.n_relevant))
    return np.asarray(sums, np.float64)


def _n_hits(hits: Hits) -> Values:
    return _sums(hits, np.ones(len(hits.users)))


def _hits_before(hits: Hits) -> NDArray[np.intp]:
    """Return for each hit the number of the same user's hits at earlier ranks."""
    return np.arange(len(hits.users)) - np.searchsorted(hits.users, hits.users)


MEASURES: dict[str, Callable[[Hits], Values]] = {
    "ndcg": partial(_ndcg, is_cut=True),
    "ndcg_full": partial(_ndcg, is_cut=False),
    "recall": partial(_recall, is_cut=False),
    "recall_cutoff": partial(_recall, is_cut=True),
    "precision": _precision,
    "hit_rate": _hit_rate,
    "map": partial(_average_precision, is_cut=False),
    "map_cutoff": partial(_average_precision, is_cut=True),
    "mrr": _reciprocal_rank,
}
