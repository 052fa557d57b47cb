"""How many threads work at once, and how they share work."""

from __future__ import annotations

import os

import joblib

_MOST = 8


def n_threads() -> int:
    """Return how many threads to work with: the cores there are, or this process's share.

    OMP_NUM_THREADS is where joblib tells its processes their share, as other libraries read it.
    """
    share = os.environ.get("OMP_NUM_THREADS", "")
    n_cores = int(joblib.effective_n_jobs(-1))
    return min(_MOST, n_cores, int(share) if share.isdigit() and int(share) else n_cores)
