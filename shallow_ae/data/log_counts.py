"""The weight of a count, 1 + log(1 + count)."""

from __future__ import annotations

import numpy as np

from shallow_ae._typing import Array


def log_counts(counts: Array) -> Array:
    """Return the weights of counts above 0."""
    weights: Array = np.log1p(counts) + 1
    return weights
