"""The item weights P in the form in which they were learned, and what they are used for.

What is compiled is imported where it is used: Numba takes 50 MB and half a second to import, which
a fit does without.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import rows_of
from shallow_ae._offer import Offer
from shallow_ae._runtime.blocks import block_rows, blocks, share_rows
from shallow_ae._runtime.memory import free_memory, gib
from shallow_ae._typing import Array


class Weights(Protocol):
    """What a fitted model holds."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of the weights and scores."""

    @property
    def n_inputs(self) -> int:
        """Return how many columns a row to score has."""

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P of checked rows."""

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each of the checked rows and their scores, as many as fit."""

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j."""

    def columns(self, block: slice) -> Array:
        """Return columns of P, as an array."""

    def formed(self) -> Formed:
        """Return P as such, in the form that it is shown in."""

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
        """Return the form in which the scores of all rows of X take least time."""


class DenseWeights(NamedTuple):
    """P as an array of shape (n_items, n_items)."""

    P: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of P."""
        return self.P.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of rows of P."""
        return len(self.P)

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P."""
        from shallow_ae._ranking import score_dense

        rows, P = rows_of(X, self.dtype), np.ascontiguousarray(self.P)
        scores = np.empty((X.shape[0], P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_dense(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each row, scored one at a time."""
        from shallow_ae._ranking import rank_dense

        rows, P = rows_of(X, self.dtype), np.ascontiguousarray(self.P)

        def rank(part: slice) -> None:
            rank_dense(rows, P, offer, part.start, items[part], scores[part])

        share_rows(X.shape[0], rank, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        entries: Array = self.P[inputs, outputs]
        return entries

    def columns(self, block: slice) -> Array:
        """Return columns of P, not a copy of them."""
        return self.P[:, block]

    def formed(self) -> DenseWeights:
        """Return these weights."""
        return self

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

    @property
    def n_inputs(self) -> int:
        """Return the number of rows of P."""
        return int(self.P.shape[0])

    def scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P, as a dense array."""
        from shallow_ae._ranking import score_sparse

        rows, P = rows_of(X, self.dtype), rows_of(self.P, self.dtype)
        scores = np.empty((X.shape[0], self.P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_sparse(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self, X: sp.csr_array[Any], offer: Offer, items: Array, scores: Array, *, verbose: int = 0
    ) -> None:
        """Write the best items of each row, most often of those that its items point to."""
        from shallow_ae._ranking import rank_sparse

        rows, P, n_items = rows_of(X, self.dtype), rows_of(self.P, self.dtype), self.P.shape[1]

        def rank(part: slice) -> None:
            rank_sparse(rows, P, n_items, offer, part.start, items[part], scores[part])

        share_rows(X.shape[0], rank, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        if not len(inputs):  # scipy answers that with a sparse array
            return np.empty(0, self.dtype)
        return np.asarray(self.P[inputs, outputs])

    def columns(self, block: slice) -> Array:
        """Return columns of P, as an array."""
        return np.asarray(self.P[:, block].toarray())

    def formed(self) -> SparseWeights:
        """Return these weights."""
        return self

    def ready_for(self, X: sp.csr_array[Any]) -> Weights:
        """Return these weights."""
        return self


Formed: TypeAlias = DenseWeights | SparseWeights


def best_items(
    weights: Weights, X: sp.csr_array[Any], k: int, offer: Offer, *, verbose: int = 0
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` best items of each row and their scores; -1 and NaN in places left empty."""
    check_rows(weights, X)
    items = np.empty((X.shape[0], k), np.int64)
    scores = np.empty(items.shape, weights.dtype)
    weights.rank(X, offer, items, scores, verbose=verbose)
    return items, scores


def best_of_rows(table: Array, k: int, offer: Offer) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` largest entries of each row, of a table that is used up, and their columns."""
    from shallow_ae._ranking import rank_given

    items = np.empty((len(table), k), np.int64)
    values = np.empty(items.shape, table.dtype)
    rank_given(table, offer, 0, items, values)
    return items, values


def popular_items(item_counts: Array, k: int, offer: Offer) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` items with most users and how many those are, for each user of an offer."""
    counts = DenseWeights(np.asarray(item_counts, np.float64)[None, :])
    return best_items(counts, sp.csr_array(np.ones((len(offer.seen.starts), 1))), k, offer)


def explain_scores(
    weights: Weights, X: sp.csr_array[Any], items: Array, k: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` entries of each row that add most to the scores of `items`, and how much.

    `items`, -1 in places left empty, and both results have a row for each row of X.
    """
    from shallow_ae._ranking import rank_stored

    check_rows(weights, X)
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


def check_rows(weights: Weights, X: sp.csr_array[Any]) -> None:
    """Raise if compiled code would read beyond P, or beyond the arrays of X.

    X has been checked before; but the model may have been fitted to other items since, and a list
    that was read since may have changed what X shares with the caller.
    """
    if X.shape[1] != weights.n_inputs:
        raise RuntimeError(
            f"X has {X.shape[1]} items and the weights have {weights.n_inputs}: the model was "
            "fitted to other items since X was checked. Ask again."
        )
    starts, n_entries = X.indptr, min(len(X.indices), len(X.data))
    is_whole = len(starts) == X.shape[0] + 1 and starts[0] == 0 and starts[-1] <= n_entries
    if not is_whole or (np.diff(starts) < 0).any():
        raise RuntimeError("The rows of X were changed since X was checked. Ask again.")
    used = X.indices[: starts[-1]]
    if len(used) and not 0 <= used.min() <= used.max() < X.shape[1]:
        raise RuntimeError("The items of X were changed since X was checked. Ask again.")


def fits(needed: int) -> bool:
    """Return whether so many bytes are free."""
    return needed <= free_memory()


def check_dense_fits(needed: int, n_items: int) -> None:
    """Raise a MemoryError if P, of so many bytes, does not fit as an array."""
    if not fits(needed):
        raise MemoryError(
            f"The weights of all pairs of {n_items:,} items need {gib(needed)} and "
            f"{gib(free_memory())} are free. Predict and recommend do without them."
        )
