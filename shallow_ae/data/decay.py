"""Counts that decay with the age of an interaction."""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._typing import Array
from shallow_ae.data.tables import IndexedInteractions
from shallow_ae.data.times import as_duration

# An interaction of any age keeps this share of its count, so that its item still counts as seen.
_LEAST_SHARE = 2.0**-60


def decayed(columns: IndexedInteractions, reference: Any, half_life: Any) -> IndexedInteractions:
    """Return the interactions with counts that halve with each `half_life` of age.

    The age is the time from the interaction to `reference`, and 0 for later interactions.
    """
    if columns.times is None:
        return columns
    if reference is None:
        raise ValueError("`half_life` was set after `fit`, which found no times. Call `fit` again.")
    length = as_duration("half_life", half_life, columns.times.is_date)
    share = np.maximum(np.exp2(-(_ages(columns.times.values, reference) / length)), _LEAST_SHARE)
    return columns._replace(counts=columns.counts * share)


def _ages(times: Array, reference: Any) -> Array:
    """Return the time from each of `times` to `reference`, and 0 for later times."""
    earlier = np.minimum(times, reference)
    if earlier.dtype.kind != "i":
        return np.asarray(reference - earlier)
    # int64 does not hold the difference of any two int64. uint64 does: it wraps around to it.
    return np.asarray(np.array(reference, np.int64).view(np.uint64) - earlier.view(np.uint64))
