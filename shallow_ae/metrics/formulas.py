"""The formulas of the measures: one number for each user, from the ranks of the hits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shallow_ae.metrics.hits import Matches

Values: TypeAlias = NDArray[np.float64]


def values_of_users(name: str, matches: Matches, *, omit_unanswered: bool) -> Values:
    """Return a measure by its name for each user; NaN for those who are left out.

    Raises a ValueError if that is everybody.
    """
    counted = matches.n_relevant > 0
    if omit_unanswered:
        counted &= matches.n_listed > 0
    if not counted.any():
        raise ValueError(
            f"Nothing to measure: none of {len(counted):,} users has held-out items"
            + (" and recommendations." if omit_unanswered else ".")
            + " Users need two or more items for one to be held out."
        )
    return np.where(counted, MEASURES[name](matches), np.nan)


def _ndcg(matches: Matches, *, is_cut: bool) -> Values:
    n_ideal = _n_ideal(matches, is_cut=is_cut)
    n_ranks = max(n_ideal.max(initial=0), matches.ranks.max(initial=0) + 1)
    gain = 1 / np.log2(np.arange(2, n_ranks + 2))
    return _sums(matches, gain[matches.ranks]) / np.cumsum(gain)[n_ideal - 1]


def _recall(matches: Matches, *, is_cut: bool) -> Values:
    return _n_hits(matches) / _n_ideal(matches, is_cut=is_cut)


def _precision(matches: Matches) -> Values:
    n_places = np.maximum(matches.n_listed, 1) if matches.k is None else matches.k
    return _n_hits(matches) / n_places


def _hit_rate(matches: Matches) -> Values:
    return np.minimum(_n_hits(matches), 1.0)


def _average_precision(matches: Matches, *, is_cut: bool) -> Values:
    precision = (_hits_before(matches) + 1) / (matches.ranks + 1)
    return _sums(matches, precision) / _n_ideal(matches, is_cut=is_cut)


def _reciprocal_rank(matches: Matches) -> Values:
    return _sums(matches, (_hits_before(matches) == 0) / (matches.ranks + 1))


def _n_ideal(matches: Matches, *, is_cut: bool) -> NDArray[np.int64]:
    """Return how many relevant items the best list has; at least one, to divide by."""
    n_ideal = np.maximum(matches.n_relevant, 1)
    return np.minimum(matches.k, n_ideal) if is_cut and matches.k is not None else n_ideal


def _sums(matches: Matches, of_hits: Values) -> Values:
    sums = np.bincount(matches.users, of_hits, minlength=len(matches.n_relevant))
    return np.asarray(sums, np.float64)


def _n_hits(matches: Matches) -> Values:
    return _sums(matches, np.ones(len(matches.users)))


def _hits_before(matches: Matches) -> NDArray[np.intp]:
    """Return how many hits the same user has at earlier ranks."""
    return np.arange(len(matches.users)) - np.searchsorted(matches.users, matches.users)


MEASURES: dict[str, Callable[[Matches], Values]] = {
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
