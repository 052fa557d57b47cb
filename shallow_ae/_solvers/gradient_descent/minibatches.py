"""Minibatches of users, as stacked arrays of few distinct shapes.

JAX compiles the steps for each shape and keeps the compiled code. Batches are therefore padded with
users without interactions and with weight 0, and the stored entries are padded with zeros. Small
sizes are rounded up to powers of two. Larger sizes, for which this would cost too much, are rounded
up to four significant binary digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    """The arrays of a csr matrix, or of a stack of csr matrices with equal numbers of entries."""

    data: Any
    indices: Any
    indptr: Any

    def __matmul__(self, block: jax.Array) -> jax.Array:
        """Return the product of one matrix with a dense block."""
        shape = (self.indptr.shape[0] - 1, block.shape[0])
        product: jax.Array = BCSR((self.data, self.indices, self.indptr), shape=shape) @ block
        return product


class Batches(NamedTuple):
    """A stack of s batches of b users. The first axis of each array runs over the batches."""

    rows: Any  # Csr or dense (s, b, n_items)
    columns: Csr | None  # (s, n_items, b): `rows` transposed; None if `rows` are dense
    weights: Any  # (s, b): weight of each user in the mean over the batch
    penalty: Any  # (s, n_items), or (s, 1) if equal for all items: on squared weights


class MinibatchStream:
    """Provides the rows of X in stacks of batches.

    `user_weights` have a mean of 1. `users` yields the row indices of each batch, like
    `sample_batches`. `put` moves batches from the host to where the steps are taken. `n_stored` is
    a number of entries that hardly any batch exceeds, by default estimated from X.
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
        put: Callable[[Batches], Batches] = jax.device_put,
        n_stored: int | None = None,
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
        self._all_users: Batches | None = None
        self._put = put
        self._expected = n_stored
        self._n_stored = n_stored or 0
        self.zero_loss = float(self._zero_losses.mean())  # mean over all users, at P = 0

    @property
    def n_stored(self) -> int:
        """Return the number of entries that sparse batches are padded to so far."""
        return self._n_stored

    def skip(self, n_batches: int, n_stored: int) -> None:
        """Draw the users of the next batches, and pad later batches to at least `n_stored` entries.

        The stream is then as it was when these batches had been taken.
        """
        next(islice(self._users, n_batches, n_batches), None)
        self._n_stored = n_stored

    def take(self, n_batches: int, size: int) -> tuple[Batches, list[float]]:
        """Return the next batches, and the loss at P = 0 on each batch.

        The last batch is repeated until the stack has `size` batches. If the batches contain all
        users, the stack has only one batch. For float64, JAX's x64 mode must be on.
        """
        users = list(islice(self._users, n_batches))
        zero_losses = [float(self._zero_losses[chosen].mean()) for chosen in users]
        if not isinstance(users[0], slice):
            return self._stack(users, size), zero_losses
        self._all_users = self._all_users or self._stack(users[:1], 1)
        return self._all_users, zero_losses

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
        of_users = np.stack(weights)
        penalty = np.stack(penalties).astype(self.dtype)
        if self._layout == "dense":
            return self._put(Batches(np.stack(rows), None, of_users, penalty))
        # The number never decreases, as JAX compiles the steps again for each new number.
        expected = self._expected
        if expected is None:
            expected = expected_entries(self._X, len(self._weights[users[0]]))
        stored = [rounded_up(n, *ENTRIES) for n in (expected, *(part.nnz for part in rows))]
        self._n_stored = max(self._n_stored, *stored)
        columns = _padded((part.T.tocsr() for part in rows), len(rows), self._n_stored)
        return self._put(
            Batches(_padded(rows, len(rows), self._n_stored), columns, of_users, penalty)
        )

    def _laid_out(self, rows: Interactions) -> Any:
        """Return rows as csr_array or as ndarray, depending on the layout."""
        if self._layout == "sparse":
            return sp.csr_array(rows)
        return rows.toarray() if isinstance(rows, sp.csr_array) else rows


def sample_batches(n_users: int, batch_size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Yield the row indices of each batch, drawn with replacement.

    If `batch_size` is at least `n_users`, each batch contains every row once. A user's weight of 2
    then has exactly the same effect as two copies of the user's row.
    """
    if batch_size >= n_users:
        yield from repeat(slice(None))
    while True:
        yield rng.integers(n_users, size=batch_size)


def partition_users(n_users: int, batch_size: int, rng: np.random.Generator) -> list[Any]:
    """Return the row indices of batches that contain each user once, of nearly equal sizes."""
    n_batches = -(-n_users // batch_size)
    return [slice(None)] if n_batches == 1 else np.array_split(rng.permutation(n_users), n_batches)


def _filled_up(rows: Any, n_rows: int) -> Any:
    """Return csr or dense rows, padded with empty rows to `n_rows` rows."""
    missing = n_rows - rows.shape[0]
    if not missing:
        return rows
    if isinstance(rows, np.ndarray):
        return np.pad(rows, ((0, missing), (0, 0)))
    indptr = np.pad(rows.indptr, (0, missing), mode="edge")
    return sp.csr_array((rows.data, rows.indices, indptr), shape=(n_rows, rows.shape[1]))


def _padded(matrices: Iterable[sp.csr_array[Any]], n_matrices: int, n_stored: int) -> Csr:
    """Stack csr matrices; zeros at the end of the last row pad each to `n_stored` entries."""
    for i, matrix in enumerate(matrices):
        if i == 0:
            data = np.zeros((n_matrices, n_stored), matrix.dtype)
            indices = np.zeros(data.shape, np.int32)
            indptr = np.full((n_matrices, len(matrix.indptr)), n_stored, np.int32)
        data[i, : matrix.nnz] = matrix.data
        indices[i, : matrix.nnz] = matrix.indices
        indptr[i, :-1] = matrix.indptr[:-1]
    return Csr(data, indices, indptr)
