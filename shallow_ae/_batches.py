"""Minibatches of users for the gradient: rows of X as stacked arrays of few distinct shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse as sp
from jax.experimental.sparse import BCSR

from shallow_ae._typing import Array, Interactions
from shallow_ae._weighting import item_penalty, row_squares

# On a CPU, batches with a smaller share of nonzero entries are multiplied faster as csr: measured
# on two cores with 2,048 and 4,096 items.
_DENSE_FROM = 0.2


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


class Feed:
    """Hands out the rows of X as stacks of batches.

    `user_weights` have a mean of 1; `users` yields the rows of each batch, as `draw_users` does.
    """

    def __init__(
        self,
        X: Interactions,
        user_weights: Array,
        users: Iterator[Any],
        *,
        layout: str,
        regularization: float,
        dropout: float,
    ) -> None:
        self.dtype = X.dtype
        self.n_items = X.shape[1]
        self._X = X
        self._weights = user_weights
        self._users = users
        self._layout = layout
        self._regularization = regularization
        self._dropout = dropout
        self._zero_losses = user_weights * row_squares(X)
        self._everyone: Batches | None = None
        self._n_stored = 0
        self.zero_loss = float(self._zero_losses.mean())  # of all users with zero weights

    def take(self, n_batches: int, size: int) -> tuple[Batches, list[float]]:
        """Return the next batches, and the loss that zero weights have on each.

        The last batch is repeated up to `size`, and users of weight 0 make up for those that a
        batch has less than the first: one shape, one compiled function. Batches of everyone are
        one only. Call it with JAX's x64 mode on for float64.
        """
        users = list(islice(self._users, n_batches))
        zero_losses = [float(self._zero_losses[chosen].mean()) for chosen in users]
        if not isinstance(users[0], slice):
            return self._stack(users + [users[-1]] * (size - n_batches)), zero_losses
        self._everyone = self._everyone or self._stack(users[:1])
        return self._everyone, zero_losses

    def _stack(self, users: list[Any]) -> Batches:
        rows, weights, penalties = [], [], []
        n_rows = len(self._weights[users[0]])
        for chosen in users:
            in_mean = self._weights[chosen] / len(self._weights[chosen])
            missing = n_rows - len(in_mean)
            padded = np.pad(chosen, (0, missing), mode="edge") if missing else chosen
            weights.append(np.pad(in_mean, (0, missing)))
            rows.append(self._laid_out(self._X[padded]))
            penalties.append(
                item_penalty(rows[-1], weights[-1], self._regularization, self._dropout)
            )
        of_users = jax.device_put(np.stack(weights))
        penalty = jax.device_put(np.stack(penalties).astype(self.dtype))
        if self._layout == "dense":
            return Batches(jax.device_put(np.stack(rows)), None, of_users, penalty)
        # Never fewer than before: another number would have the steps compiled anew.
        self._n_stored = max(self._n_stored, *(_rounded_up(part.nnz) for part in rows))
        columns = _padded((part.T.tocsr() for part in rows), len(rows), self._n_stored)
        return Batches(_padded(rows, len(rows), self._n_stored), columns, of_users, penalty)

    def _laid_out(self, rows: Interactions) -> Any:
        """Return rows as csr or as ndarray, whatever X is."""
        if self._layout == "sparse":
            return sp.csr_array(rows)
        return rows.toarray() if isinstance(rows, sp.csr_array) else rows


def choose_layout(X: Interactions, backend: str) -> str:
    """Return "sparse" or "dense": the form of batches whose products are the faster.

    Accelerators always get "dense": JAX multiplies csr there by way of an array with a row of
    weights for each interaction, which costs more memory than the weights themselves.
    """
    share = _n_stored(X) / (X.shape[0] * X.shape[1])
    return "sparse" if backend == "cpu" and share < _DENSE_FROM else "dense"


def batch_cost(X: Interactions, batch_size: int, layout: str) -> tuple[int, int]:
    """Return how many entries a batch of average users stores, and in how many bytes."""
    n_users, n_items = X.shape
    n_rows, itemsize = min(batch_size, n_users), int(X.dtype.itemsize)
    if layout == "dense":
        return n_rows * n_items, n_rows * n_items * itemsize
    entries = _n_stored(X) * n_rows // n_users
    return entries, 2 * entries * (itemsize + 4) + 4 * (n_rows + n_items)


def draw_users(n_users: int, batch_size: int, rng: np.random.Generator) -> Iterator[Any]:
    """Yield the rows of each batch: drawn with replacement, or all of them and no draw.

    All of them when `batch_size` reaches `n_users`: then a weight of 2 for a user is exactly the
    same as the user's row given twice.
    """
    if batch_size >= n_users:
        yield from repeat(slice(None))
    while True:
        yield rng.integers(n_users, size=batch_size)


def deal_users(n_users: int, batch_size: int, rng: np.random.Generator) -> list[Any]:
    """Return the rows of batches that take each user once, equally many but for one."""
    n_batches = -(-n_users // batch_size)
    return [slice(None)] if n_batches == 1 else np.array_split(rng.permutation(n_users), n_batches)


def _n_stored(X: Interactions) -> int:
    return int(X.nnz) if isinstance(X, sp.csr_array) else int(np.count_nonzero(X))


def _rounded_up(n_stored: int) -> int:
    """Return `n_stored` up to four binary digits: then most batches, fits and folds share it."""
    return n_stored + -n_stored % (1 << max(4, int(n_stored).bit_length() - 4))


def _padded(matrices: Iterable[sp.csr_array[Any]], n_matrices: int, n_stored: int) -> Csr:
    """Return the matrices with zeros stored at the end of their last rows, up to `n_stored`."""
    for i, matrix in enumerate(matrices):
        if i == 0:
            data = np.zeros((n_matrices, n_stored), matrix.dtype)
            indices = np.zeros(data.shape, np.int32)
            indptr = np.full((n_matrices, len(matrix.indptr)), n_stored, np.int32)
        data[i, : matrix.nnz] = matrix.data
        indices[i, : matrix.nnz] = matrix.indices
        indptr[i, :-1] = matrix.indptr[:-1]
    return Csr(*jax.device_put((data, indices, indptr)))
