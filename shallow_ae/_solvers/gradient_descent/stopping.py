"""When a descent has done enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def has_settled(losses: Sequence[float], n_steps: int, tol: float) -> bool:
    """Return whether the mean of the last `n_steps` losses is less than `tol` below that before.

    Means, as the losses of single batches differ by more than a step gains.
    """
    if len(losses) < 2 * n_steps:
        return False
    before, now = losses[-2 * n_steps : -n_steps], losses[-n_steps:]
    return float(np.mean(before) - np.mean(now)) < tol


def has_peaked(scores: Sequence[float], n_scores: int, tol: float) -> bool:
    """Return whether none of the last `n_scores` is more than `tol` above all before them."""
    best_before = max(scores[:-n_scores], default=-np.inf)
    return len(scores) > n_scores and max(scores[-n_scores:]) <= best_before + tol
