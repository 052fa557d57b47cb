"""The item weights P in the form in which they were learned, and what they are used for."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._blocks import block_rows, blocks
from shallow_ae._memory import free_memory, gib
from shallow_ae._offer import Offer
from shallow_ae._ranking import (
    rank_dense,
    rank_given,
    rank_sparse,
    rank_stored,
    rows_of,
    score_dense,
    score_sparse,
    share_rows,
)
from shallow_ae._speed import SPARSE
from shallow_ae._threads import n_threads, workers
from shallow_ae._validation import Array
from shallow_ae._weighting import scale_columns

_WIDTH = 256


class Weights(Protocol):
    """What a fitted model holds."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of the weights and scores."""

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P of checked rows."""

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each of the checked rows and their scores, as many as fit."""

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j."""

    def dense(self) -> Array:
        """Return P as an array."""

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
        """Return the form in which the scores of all rows of X take least time."""


class DenseWeights(NamedTuple):
    """P as an array of shape (n_items, n_items)."""

    P: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of P."""
        return self.P.dtype

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P."""
        rows, P = rows_of(X, self.dtype), np.ascontiguousarray(self.P)
        scores = np.empty((X.shape[0], P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_dense(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each row, scored one at a time."""
        rows, P = rows_of(X, self.dtype), np.ascontiguousarray(self.P)

        def rank(part: slice) -> None:
            rank_dense(rows, P, offer, part.start, items[part], scores[part])

        share_rows(X.shape[0], rank, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        entries: Array = self.P[inputs, outputs]
        return entries

    def dense(self) -> Array:
        """Return P itself."""
        return self.P

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
        """Return these weights."""
        return self


class SparseWeights(NamedTuple):
    """P with few entries in each row, as a csr_array of shape (n_items, n_items)."""

    P: sp.csr_array[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of P."""
        return self.P.dtype

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P, as a dense array."""
        rows, P = rows_of(X, self.dtype), rows_of(self.P, self.dtype)
        scores = np.empty((X.shape[0], self.P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_sparse(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each row, most often of those that its items point to."""
        rows, P, n_items = rows_of(X, self.dtype), rows_of(self.P, self.dtype), self.P.shape[1]

        def rank(part: slice) -> None:
            rank_sparse(rows, P, n_items, offer, part.start, items[part], scores[part])

        share_rows(X.shape[0], rank, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        entries: Any = self.P[inputs, outputs]
        return np.asarray(entries.toarray() if sp.issparse(entries) else entries)

    def dense(self) -> Array:
        """Return P as an array, if it fits in the free memory."""
        needed = self.P.shape[0] * self.P.shape[1] * self.dtype.itemsize
        _check_fits(needed, self.P.shape[1])
        return self.P.toarray()

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
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

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P without P."""
        scores = np.empty(X.shape, self.dtype)

        def score(part: slice) -> None:
            scores[part] = self._scores(X[part])

        share_rows(len(scores), score, most=block_rows(*X.shape))
        return scores

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each row, scored in blocks without P."""

        def rank(part: slice) -> None:
            rank_given(self._scores(X[part]), offer, part.start, items[part], scores[part])

        share_rows(X.shape[0], rank, most=block_rows(*X.shape), verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P, by way of whole columns."""
        distinct, column = np.unique(outputs, return_inverse=True)
        entries = np.empty(len(inputs), self.dtype)
        for block in blocks(len(distinct), _WIDTH):
            pairs = np.flatnonzero((block.start <= column) & (column < block.stop))
            columns = self._columns(distinct[block])
            entries[pairs] = columns[inputs[pairs], column[pairs] - block.start]
        entries *= self.input_scale[inputs]
        entries[inputs == outputs] = 0
        return entries

    def dense(self) -> Array:
        """Return P, in blocks of columns.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        """
        n_items, _ = self.items.shape
        _check_fits(self._dense_bytes(), n_items)
        P = np.empty((n_items, n_items), self.dtype)

        def fill(block: slice) -> None:
            P[:, block] = self._columns(block)

        def scale(block: slice) -> None:
            P[block] *= self.input_scale[block, None]

        with workers() as pool:
            list(pool.map(fill, blocks(n_items, _WIDTH)))
            list(pool.map(scale, blocks(n_items, _WIDTH)))
        np.fill_diagonal(P, 0)
        return P

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
        """Return dense weights if forming and using them takes less than doing without."""
        n_items, n_users = self.items.shape
        without = X.shape[0] * (n_users**2 + SPARSE * self.items.nnz)
        with_them = SPARSE * (self.items.nnz * (n_users + n_items) + X.nnz * n_items)
        if with_them < without and self._dense_bytes() < free_memory():
            return DenseWeights(self.dense())
        return self

    def _scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P of a block, by the likeness of each row to each user learned from."""
        rows = X.astype(self.dtype, copy=False)
        users = (scale_columns(rows, self.input_scale) @ self.items).toarray() @ self.M
        scores = np.ascontiguousarray((self.items @ users.T.copy()).T)
        scores *= self.output_scale[None, :]
        scores[rows.tocoo().coords] -= rows.data * self.diagonal[rows.indices]
        return scores

    def _columns(self, outputs: slice | NDArray[np.intp]) -> Array:
        """Return columns of P, but for the input scale and the diagonal."""
        users = self.items[outputs] @ self.M  # of these items, M x_j
        columns: Array = self.items @ users.T.copy()
        columns *= self.output_scale[None, outputs]
        return columns

    def _dense_bytes(self) -> int:
        n_items, n_users = self.items.shape
        beside = n_threads() * _WIDTH * (2 * n_users + n_items)
        return (n_items**2 + beside) * self.dtype.itemsize


def _check_fits(needed: int, n_items: int) -> None:
    if needed > free_memory():
        raise MemoryError(
            f"The weights of all pairs of {n_items:,} items need {gib(needed)} and "
            f"{gib(free_memory())} are free. Predict and recommend do without them."
        )


def best_items(
    weights: Weights, X: sp.csr_array[Any], k: int, offer: Offer, *, verbose: int = 0
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` best items of each row and their scores; -1 and NaN in places left empty."""
    items = np.empty((X.shape[0], k), np.int64)
    scores = np.empty(items.shape, weights.dtype)
    weights.rank(X, offer, items, scores, verbose=verbose)
    return items, scores


def explain_scores(
    weights: Weights, X: sp.csr_array[Any], items: Array, k: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` entries of each row that add most to the scores of `items`, and how much.

    `items`, -1 in places left empty, and both results have a row for each row of X.
    """
    n_users, n_places = items.shape
    reasons = np.empty((n_users, n_places, k), np.int64)
    parts = np.empty(reasons.shape, weights.dtype)
    most = int(np.diff(X.indptr).max(initial=0)) * n_places
    for block in blocks(n_users, block_rows(n_users, most)):
        users = np.repeat(np.arange(block.start, block.stop), n_places)
        own = X[users].astype(weights.dtype, copy=False)  # once for each of the items
        explained = np.repeat(items[block].ravel(), np.diff(own.indptr))
        own.data *= weights.entries(own.indices, np.maximum(explained, 0))
        own.data[explained < 0] = -np.inf
        of_items = (len(users), k)
        rank_stored(
            rows_of(own, weights.dtype),
            reasons[block].reshape(of_items),
            parts[block].reshape(of_items),
        )
    return reasons, parts
