"""Minibatches of users, as stacked arrays of few distinct shapes.

JAX compiles the steps for each shape and keeps what it has compiled. So batches are filled up with
users of no interactions and of weight 0, and their stored entries with zeros: to powers of two
where batches are small, and to four binary digits where that would cost too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse as sp
from jax.experimental.sparse import BCSR

from shallow_ae._linalg.csr import row_squares
from shallow_ae._objective.objective import item_penalty
from shallow_ae._solvers.gradient_descent.sizes import (
    ENTRIES,
    expected_entries,
    n_rows_stored,
    rounded_up,
)
from shallow_ae._typing import Array, Interactions


class Csr(NamedTuple):
    """The arrays of a csr matrix, or of a stack of them with equally many entries."""

    data: jax.Array
    indices: jax.Array
    indptr: jax.Array

    def __matmul__(self, block: jax.Array) -> jax.Array:
        """Return the product of one matrix with a dense block."""
        shape = (self.indptr.shape[0] - 1, block.shape[0])
        product: jax.Array = BCSR((self.data, self.indices, self.indptr), shape=shape) @ block
        return product


class Batches(NamedTuple):
    """A stack of s batches of b users: the first axis of every array."""

    rows: Any  # Csr or dense (s, b, n_items)
    columns: Csr | None  # (s, n_items, b), the same transposed; a dense product needs none
    weights: jax.Array  # (s, b): of each user in the mean over the batch
    penalty: jax.Array  # (s, n_items) or, the same for all, (s, 1): of an item's squared weights


class MinibatchStream:
    """Hands out the rows of X as stacks of batches.

    `user_weights` have a mean of 1; `users` yields the rows of each batch, like `sample_batches`.
    """

    def __init__(
        self,
        X: Interactions,
        user_weights: Array,
        users: Iterator[Any],
        *,
        layout: str,
        batch_size: int,
        regularization: float,
        dropout: float,
    ) -> None:
        self.dtype = X.dtype
        self.n_items = X.shape[1]
        self._X = X
        self._weights = user_weights
        self._users = users
        self._layout = layout
        self._batch_size = batch_size
        self._regularization = regularization
        self._dropout = dropout
        self._zero_losses = user_weights * row_squares(X)
        self._everyone: Batches | None = None
        self._n_stored = 0
        self.zero_loss = float(self._zero_losses.mean())  # of all users with zero weights

    def take(self, n_batches: int, size: int) -> tuple[Batches, list[float]]:
        """Return the next batches, and the loss of zero weights on each batch.

        The last batch is repeated up to `size`. Batches of everyone are one only. Call it with
        JAX's x64 mode on for float64.
        """
        users = list(islice(self._users, n_batches))
        zero_losses = [float(self._zero_losses[chosen].mean()) for chosen in users]
        if not isinstance(users[0], slice):
            return self._stack(users, size), zero_losses
        self._everyone = self._everyone or self._stack(users[:1], 1)
        return self._everyone, zero_losses

    def _stack(self, users: list[Any], size: int) -> Batches:
        rows, weights, penalties = [], [], []
        n_rows = n_rows_stored(len(self._weights[users[0]]), self._batch_size)
        for chosen in users:
            in_mean = self._weights[chosen] / len(self._weights[chosen])
            weights.append(np.pad(in_mean, (0, n_rows - len(in_mean))))
            rows.append(_filled_up(self._laid_out(self._X[chosen]), n_rows))
            penalties.append(
                item_penalty(rows[-1], weights[-1], self._regularization, self._dropout)
            )
        for batches in (rows, weights, penalties):
            batches += [batches[-1]] * (size - len(users))
        of_users = jax.device_put(np.stack(weights))
        penalty = jax.device_put(np.stack(penalties).astype(self.dtype))
        if self._layout == "dense":
            return Batches(jax.device_put(np.stack(rows)), None, of_users, penalty)
        # Never fewer than before: JAX compiles the steps again for each number.
        expected = expected_entries(self._X, len(self._weights[users[0]]))
        stored = [rounded_up(n, *ENTRIES) for n in (expected, *(part.nnz for part in rows))]
        self._n_stored = max(self._n_stored, *stored)
        columns = _padded((part.T.tocsr() for part in rows), len(rows), self._n_stored)
        return Batches(_padded(rows, len(rows), self._n_stored), columns, of_users, penalty)

    def _laid_out(self, rows: Interactions) -> Any:
        """Return rows as csr or as ndarray, as the layout says."""
        if self._layout == "sparse":
            return sp.csr_array(rows)
        return rows.toarray() if isinstance(rows, sp.csr_array) else rows


def sample_batches(n_users: int, batch_size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Yield the rows of each batch, drawn with replacement; all rows if a batch holds them all.

    All of them when `batch_size` reaches `n_users`: then a weight of 2 for a user is exactly the
    same as the user's row given twice.
    """
    if batch_size >= n_users:
        yield from repeat(slice(None))
    while True:
        yield rng.integers(n_users, size=batch_size)


def partition_users(n_users: int, batch_size: int, rng: np.random.Generator) -> list[Any]:
    """Return the rows of batches that hold each user once, in sizes that differ by at most one."""
    n_batches = -(-n_users // batch_size)
    return [slice(None)] if n_batches == 1 else np.array_split(rng.permutation(n_users), n_batches)


def _filled_up(rows: Any, n_rows: int) -> Any:
    """Return csr or dense rows, padded with empty rows."""
    missing = n_rows - rows.shape[0]
    if not missing:
        return rows
    if isinstance(rows, np.ndarray):
        return np.pad(rows, ((0, missing), (0, 0)))
    indptr = np.pad(rows.indptr, (0, missing), mode="edge")
    return sp.csr_array((rows.data, rows.indices, indptr), shape=(n_rows, rows.shape[1]))


def _padded(matrices: Iterable[sp.csr_array[Any]], n_matrices: int, n_stored: int) -> Csr:
    """Stack csr matrices; each stores `n_stored` entries, with zeros at the end of its last row."""
    for i, matrix in enumerate(matrices):
        if i == 0:
            data = np.zeros((n_matrices, n_stored), matrix.dtype)
            indices = np.zeros(data.shape, np.int32)
            indptr = np.full((n_matrices, len(matrix.indptr)), n_stored, np.int32)
        data[i, : matrix.nnz] = matrix.data
        indices[i, : matrix.nnz] = matrix.indices
        indptr[i, :-1] = matrix.indptr[:-1]
    return Csr(*jax.device_put((data, indices, indptr)))
