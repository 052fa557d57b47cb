"""The best k of each row, in a stated order."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from numpy.typing import NDArray

from shallow_ae._validation import Array


def top_k(scores: Array, k: int, *, n_rows: int) -> tuple[NDArray[np.int64], Array]:
    """Return the columns and values of the `k` largest of each row, best first.

    Parameters
    ----------
    scores : ndarray of shape (at most n_rows, n_items)
        -inf marks what must not be offered.
    k : int
        Places a row; may exceed `n_items`.
    n_rows : int
        Rows are padded to this number, so that one compiled kernel serves every block.

    Returns
    -------
    indices, values : ndarrays of shape (rows of scores, k)
        Equal scores stand in the order of their columns (0.0 equals -0.0). Places with
        nothing to offer hold -1 and NaN.
    """
    given, n_items = scores.shape
    # jax.lax.top_k prefers the smaller index among equals, but orders -0.0 below 0.0.
    padded = np.zeros((n_rows, n_items), dtype=scores.dtype)
    np.add(scores, 0.0, out=padded[:given])
    offered = min(k, n_items)
    with jax.enable_x64(scores.dtype == np.float64):
        best, columns = map(np.asarray, _lax_top_k(padded, k=offered))

    indices = np.full((given, k), -1, dtype=np.int64)
    values = np.full((given, k), np.nan, dtype=scores.dtype)
    on_offer = best[:given] > -np.inf
    indices[:, :offered] = np.where(on_offer, columns[:given], -1)
    values[:, :offered] = np.where(on_offer, best[:given], np.nan)
    return indices, values


@partial(jax.jit, static_argnames="k")
def _lax_top_k(scores: jax.Array, *, k: int) -> tuple[jax.Array, jax.Array]:
    values, indices = jax.lax.top_k(scores, k)
    return values, indices
