"""Training rows in partitions on Dask workers."""

from __future__ import annotations

from typing import Any, NamedTuple

import scipy.sparse as sp

from shallow_ae._typing import Array


class Part(NamedTuple):
    """The rows of one partition that have a weight in the objective, and these weights."""

    X: sp.csr_array[Any]
    weights: Array  # in the dtype of X
