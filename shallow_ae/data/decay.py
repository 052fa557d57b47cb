"""Counts that decay with the age of an interaction."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    age = np.maximum(reference - columns.times.values, 0)
    share = np.maximum(np.exp2(-age / length), _LEAST_SHARE)
    return columns._replace(counts=columns.counts * share)
