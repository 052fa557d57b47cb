"""The item weights P in the form in which they were learned, and what they are used for.

What is compiled is imported where it is used: Numba takes 50 MB and half a second to import, which
a fit does without.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import csr_arrays
from shallow_ae._runtime.blocks import share_rows
from shallow_ae._runtime.memory import free_memory, gib
from shallow_ae._typing import Array
from shallow_ae._weights.candidates import CandidateFilter


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
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
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
        from shallow_ae._weights.top_k import score_dense

        rows, P = csr_arrays(X, self.dtype), np.ascontiguousarray(self.P)
        scores = np.empty((X.shape[0], P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_dense(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the best items of each row, scored one at a time."""
        from shallow_ae._weights.top_k import rank_dense

        rows, P = csr_arrays(X, self.dtype), np.ascontiguousarray(self.P)

        def rank(part: slice) -> None:
            rank_dense(rows, P, allowed, part.start, items[part], scores[part])

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
        from shallow_ae._weights.top_k import score_sparse

        rows, P = csr_arrays(X, self.dtype), csr_arrays(self.P, self.dtype)
        scores = np.empty((X.shape[0], self.P.shape[1]), self.dtype)
        share_rows(len(scores), lambda part: score_sparse(rows, P, part.start, scores[part]))
        return scores

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the best items of each row, most often of those that its items point to."""
        from shallow_ae._weights.top_k import rank_sparse

        rows, P, n_items = (
            csr_arrays(X, self.dtype),
            csr_arrays(self.P, self.dtype),
            self.P.shape[1],
        )

        def rank(part: slice) -> None:
            rank_sparse(rows, P, n_items, allowed, part.start, items[part], scores[part])

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
