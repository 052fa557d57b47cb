"""The item weights P in the form in which they were learned, and what they are used for."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from shallow_ae._blocks import blocks
from shallow_ae._memory import free_memory, gib
from shallow_ae._speed import SPARSE
from shallow_ae._threads import n_threads, workers
from shallow_ae._validation import Array, Interactions
from shallow_ae._weighting import scale_columns

_WIDTH = 256


class Weights(Protocol):
    """What a fitted model holds."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of the weights and scores."""

    def scores(self, X: Interactions) -> Array:
        """Return X P of a block of checked rows."""

    def dense(self) -> Array:
        """Return P as an array."""

    def ready_for(self, X: Interactions) -> Weights:
        """Return the form in which the scores of all rows of X take least time."""


class DenseWeights(NamedTuple):
    """P as an array of shape (n_items, n_items)."""

    P: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of P."""
        return self.P.dtype

    def scores(self, X: Interactions) -> Array:
        """Return X P."""
        scores: Array = X.astype(self.dtype, copy=False) @ self.P
        return scores

    def dense(self) -> Array:
        """Return P itself."""
        return self.P

    def ready_for(self, X: Interactions) -> Weights:
        """Return these weights."""
        return self


class DualWeights(NamedTuple):
    """P by an inverse of users x users.

    With x_j the column of item j in the interactions learned from, an entry is
    P_ij = input_scale_i x_i' M x_j output_scale_j, and P_jj = 0.
    """

    items: sp.csr_array[Any]  # X' of shape (n_items, n_users)
    M: Array  # of shape (n_users, n_users), symmetric
    input_scale: Array  # of shape (n_items,), as the next two
    output_scale: Array
    diagonal: Array  # of the product above, to be left out

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of M."""
        return self.M.dtype

    def scores(self, X: Interactions) -> Array:
        """Return X P without P: by the likeness of each row to each user learned from."""
        rows = sp.csr_array(X.astype(self.dtype, copy=False))
        users = (scale_columns(rows, self.input_scale) @ self.items).toarray() @ self.M
        scores = np.ascontiguousarray((self.items @ users.T.copy()).T)
        scores *= self.output_scale[None, :]
        scores[rows.tocoo().coords] -= rows.data * self.diagonal[rows.indices]
        return scores

    def dense(self) -> Array:
        """Return P, in blocks of columns.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        """
        n_items, _ = self.items.shape
        if self._dense_bytes() > free_memory():
            raise MemoryError(
                f"The weights of all pairs of {n_items:,} items need {gib(self._dense_bytes())} "
                f"and {gib(free_memory())} are free. Predict and recommend do without them."
            )
        P = np.empty((n_items, n_items), self.dtype)

        def fill(block: slice) -> None:
            users = self.items[block] @ self.M  # of the block's items, M x_j
            P[:, block] = self.items @ users.T.copy()
            P[:, block] *= self.output_scale[None, block]

        def scale(block: slice) -> None:
            P[block] *= self.input_scale[block, None]

        with workers() as pool:
            list(pool.map(fill, blocks(n_items, _WIDTH)))
            list(pool.map(scale, blocks(n_items, _WIDTH)))
        np.fill_diagonal(P, 0)
        return P

    def ready_for(self, X: Interactions) -> Weights:
        """Return dense weights if forming and using them takes less than doing without."""
        n_items, n_users = self.items.shape
        n_rows = X.shape[0]
        n_entries = X.nnz if sp.issparse(X) else np.count_nonzero(X)
        without = n_rows * (n_users**2 + SPARSE * self.items.nnz)
        with_them = SPARSE * (self.items.nnz * (n_users + n_items) + n_entries * n_items)
        if with_them < without and self._dense_bytes() < free_memory():
            return DenseWeights(self.dense())
        return self

    def _dense_bytes(self) -> int:
        n_items, n_users = self.items.shape
        beside = n_threads() * _WIDTH * (2 * n_users + n_items)
        return (n_items**2 + beside) * self.dtype.itemsize
