"""Item weights P as an array or a sparse matrix, and the holder that a model keeps.

Methods import compiled functions when they use them. The import of Numba takes 50 MB and half a
second, and a fit does not need it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import CsrArrays, as_argument, csr_arrays
from shallow_ae._runtime.blocks import share_rows
from shallow_ae._runtime.memory import free_memory, gib
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter


class WeightMatrix(Protocol):
    """A form of P: an array, a sparse matrix, or a product that is not evaluated."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the weights and scores."""

    @property
    def n_inputs(self) -> int:
        """Return the number of input items: the number of columns of X."""

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for a block of checked rows, as a new array, without starting threads."""

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the best items of each checked row, and their scores, into the given arrays."""

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j."""

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P, as an array."""

    def materialized(self) -> Materialized:
        """Return P as an array or a sparse matrix."""

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return the form that computes the scores of all rows of X in the least time."""


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

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for a block of rows."""
        from shallow_ae._weights.top_k import score_dense

        scores = np.empty((X.shape[0], self.P.shape[1]), self.dtype)
        score_dense(csr_arrays(X, self.dtype), as_argument(self.P, self.dtype), scores)
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
        """Write the best items of each row. Rows are scored one at a time."""
        rows, P = csr_arrays(X, self.dtype), as_argument(self.P, self.dtype)
        rank_by_dense(P, rows, allowed, items, scores, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        entries: Array = self.P[inputs, outputs]
        return entries

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P, as a view."""
        return self.P[:, block]

    def materialized(self) -> DenseWeights:
        """Return these weights."""
        return self

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these weights."""
        return self


class SparseWeights(NamedTuple):
    """P with few entries in each column, as a csr_array of shape (n_items, n_items)."""

    P: sp.csr_array[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of P."""
        return self.P.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of rows of P."""
        return int(self.P.shape[0])

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for a block of rows, as a dense array."""
        from shallow_ae._weights.top_k import score_sparse

        scores = np.empty((X.shape[0], self.P.shape[1]), self.dtype)
        score_sparse(csr_arrays(X, self.dtype), csr_arrays(self.P, self.dtype), scores)
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
        """Write the best items of each row, usually by ranking only the neighbors of its items."""
        rows, P = csr_arrays(X, self.dtype), csr_arrays(self.P, self.dtype)
        rank_by_sparse(P, rows, allowed, items, scores, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return entries of P."""
        if not len(inputs):  # scipy would return a sparse array
            return np.empty(0, self.dtype)
        return np.asarray(self.P[inputs, outputs])

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P, as an array."""
        return np.asarray(self.P[:, block].toarray())

    def materialized(self) -> SparseWeights:
        """Return these weights."""
        return self

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these weights."""
        return self


def rank_by_sparse(
    P: CsrArrays,
    rows: CsrArrays,
    allowed: CandidateFilter,
    items: Array,
    scores: Array,
    *,
    verbose: int = 0,
) -> None:
    """Write the best items of each row, given the arrays of a square csr matrix P."""
    from shallow_ae._weights.top_k import rank_sparse

    n_items = len(P.indptr) - 1

    def rank(part: slice) -> None:
        rank_sparse(rows, P, n_items, allowed, part.start, items[part], scores[part])

    share_rows(len(items), rank, verbose=verbose)


def rank_by_dense(
    P: Array,
    rows: CsrArrays,
    allowed: CandidateFilter,
    items: Array,
    scores: Array,
    *,
    verbose: int = 0,
) -> None:
    """Write the best items of each row, given a contiguous array P."""
    from shallow_ae._weights.top_k import rank_dense

    def rank(part: slice) -> None:
        rank_dense(rows, P, allowed, part.start, items[part], scores[part])

    share_rows(len(items), rank, verbose=verbose)


Materialized: TypeAlias = DenseWeights | SparseWeights


class ItemWeights:
    """The item weights of one fit, held in the form that is cheapest to use.

    A product that is not evaluated becomes an array when `item_weights_` is read, or when computing
    and using the array is faster than scoring all rows by the product. The array is then kept.
    """

    def __init__(self, form: WeightMatrix) -> None:
        self._form = form

    @property
    def form(self) -> WeightMatrix:
        """Return the current form."""
        return self._form

    @property
    def is_materialized(self) -> bool:
        """Return whether P is stored as an array or a sparse matrix."""
        return isinstance(self._form, DenseWeights | SparseWeights)

    def materialized(self) -> Materialized:
        """Return P as an array or a sparse matrix, and keep that form."""
        self._form = form = self._form.materialized()
        return form

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return and keep the form that computes the scores of all rows of X in the least time."""
        self._form = form = self._form.cheapest_for(X)
        return form


def fits(needed: int) -> bool:
    """Return whether this many bytes are free."""
    return needed <= free_memory()


def check_dense_fits(needed: int, n_items: int) -> None:
    """Raise a MemoryError if P does not fit in memory as an array of `needed` bytes."""
    if not fits(needed):
        raise MemoryError(
            f"The weights of all pairs of {n_items:,} items need {gib(needed)} and "
            f"{gib(free_memory())} are free. `predict` and `recommend` work without them."
        )
