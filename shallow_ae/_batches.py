"""Minibatches of users for the gradient: drawn rows of X as matrices of few distinct shapes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jax.experimental.sparse import BCSR

from shallow_ae._validation import Array, Interactions

Matrix: TypeAlias = BCSR | jax.Array


class Batch(NamedTuple):
    """Rows of X, the same transposed, and a weight for each row (mean 1 over all users)."""

    rows: Matrix  # (b, n_items)
    columns: Matrix  # (n_items, b)
    weights: jax.Array  # (b,)


def draw_users(n_users: int, batch_size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Yield the rows of each batch: drawn with replacement, or all of them and no draw.

    All of them when `batch_size` reaches `n_users`: then a weight of 2 for a user is exactly the
    same as the user's row given twice.
    """
    if batch_size >= n_users:
        yield from repeat(slice(None))
    while True:
        yield rng.integers(n_users, size=batch_size)


def make_batch(rows: Interactions, weights: Array) -> Batch:
    """Return rows of X as a batch: dense stays dense, csr stays sparse.

    Must be called with JAX's x64 mode on for float64 rows.
    """
    if isinstance(rows, sp.csr_array):
        return Batch(_padded(rows), _padded(rows.T.tocsr()), jnp.asarray(weights))
    return Batch(jnp.asarray(rows), jnp.asarray(rows.T), jnp.asarray(weights))


def _padded(matrix: sp.csr_array[Any]) -> BCSR:
    """Return `matrix` with zeros stored at the end of its last row, up to a round number.

    A jitted function is compiled anew for each number of stored entries. Rounding up to four
    binary digits leaves so few of them that most batches, fits and folds share one.
    """
    unit = 1 << max(4, int(matrix.nnz).bit_length() - 4)
    padding = -matrix.nnz % unit
    indptr = matrix.indptr.astype(np.int32)
    indptr[-1] += padding
    data = np.pad(matrix.data, (0, padding))
    indices = np.pad(matrix.indices.astype(np.int32, copy=False), (0, padding))
    entries = (jnp.asarray(data), jnp.asarray(indices), jnp.asarray(indptr))
    return BCSR(entries, shape=matrix.shape)
