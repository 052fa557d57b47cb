"""How many threads work at once, and how they share work."""

from __future__ import annotations

import joblib

_MOST = 8


def n_threads() -> int:
    """Return how many threads to work with: the cores there are, one in joblib's processes."""
    return min(_MOST, int(joblib.effective_n_jobs(-1)))
