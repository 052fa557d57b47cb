"""Item weights as products of item vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import scale_columns
from shallow_ae._runtime.blocks import ENTRIES_PER_BLOCK, blocks
from shallow_ae._runtime.threads import n_threads
from shallow_ae._typing import Array
from shallow_ae._weights.blockwise import (
    COLUMNS_AT_ONCE,
    dense_of,
    product_rows,
    rank_blocks,
    subtract_diagonal,
)
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix


class LowRankWeights(NamedTuple):
    """P_ij = input_scale_i a_i . a_j for different items with the vectors a_i and a_j; P_jj = 0."""

    vectors: Array  # a, of shape (n_items, n_components)
    input_scale: Array  # of shape (n_items,)
    diagonal: Array  # input_scale_j a_j . a_j, which P does not include

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the vectors."""
        return self.vectors.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return len(self.vectors)

    def user_vectors(self, X: sp.csr_array[Any]) -> Array:
        """Return the vector of each row, whose products with the item vectors are its scores."""
        rows = scale_columns(X.astype(self.dtype, copy=False), self.input_scale)
        return np.asarray(rows @ self.vectors)

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for a block of rows."""
        scores = self.user_vectors(X) @ self.vectors.T
        subtract_diagonal(scores, X.astype(self.dtype, copy=False), self.diagonal)
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
        """Write the best items of each row. Rows are scored in blocks, without computing P."""
        most = product_rows(*X.shape)
        rank_blocks(self, X, allowed, items, scores, most=most, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j."""
        entries = np.empty(len(inputs), self.dtype)
        for pairs in blocks(len(inputs), max(1, ENTRIES_PER_BLOCK // self.vectors.shape[1])):
            left, right = self.vectors[inputs[pairs]], self.vectors[outputs[pairs]]
            entries[pairs] = np.einsum("pc,pc->p", left, right)
        entries *= self.input_scale[inputs]
        entries[inputs == outputs] = 0
        return entries

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P."""
        columns = self.vectors @ self.vectors[block].T
        columns *= self.input_scale[:, None]
        outputs = np.arange(self.n_inputs)[block]
        columns[outputs, np.arange(len(outputs))] = 0
        return columns

    def materialized(self) -> DenseWeights:
        """Return P as an array, computed in blocks of columns.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        """
        n_bytes = (
            self.n_inputs * (self.n_inputs + n_threads() * COLUMNS_AT_ONCE) * self.dtype.itemsize
        )
        return dense_of(self, n_bytes)

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these weights. P as an array would need more memory and more time to read."""
        return self
