"""Raw ids of any hashable type as an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd


def index_of(ids: Iterable[Any]) -> pd.Index[Any]:
    """Return ids of any hashable type as an index that compares them as Python does."""
    # Keeps tuples as ids: pandas would make a MultiIndex of them, NumPy a two-dimensional array.
    values = ids if isinstance(ids, np.ndarray) else list(ids)
    return pd.Index(values, dtype=object, tupleize_cols=False)
