"""JAX's settings while something is computed: its globals are never touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np


@contextmanager
def numerics(dtype: Any) -> Iterator[None]:
    """Set JAX for this block of this thread: float64 where the data are, full products always."""
    with jax.enable_x64(dtype == np.float64), jax.default_matmul_precision("highest"):
        yield
