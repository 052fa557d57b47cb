"""Item weights as a product with an inverse of users x users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import scale_columns
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.speed import COST_SPARSE_DENSE
from shallow_ae._runtime.threads import n_threads
from shallow_ae._typing import Array
from shallow_ae._weights.blockwise import (
    COLUMNS_AT_ONCE,
    dense_of,
    rank_blocks,
    subtract_diagonal,
)
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix, fits


class DualWeights(NamedTuple):
    """P as a product with M, the inverse of a users x users matrix.

    Let x_j be the column of item j in the training data. An entry of P is
    P_ij = input_scale_i x_i' M x_j output_scale_j, and P_jj = 0.
    """

    items: sp.csr_array[Any]  # X' of shape (n_items, n_users)
    M: Array  # of shape (n_users, n_users), symmetric
    input_scale: Array  # of shape (n_items,)
    output_scale: Array  # of shape (n_items,)
    diagonal: Array  # diagonal of the product above, of shape (n_items,); P_jj is 0 instead

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of M."""
        return self.M.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return int(self.items.shape[0])

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return X P for a block of rows, computed from their similarity to the training users."""
        rows = X.astype(self.dtype, copy=False)
        users = (scale_columns(rows, self.input_scale) @ self.items).toarray() @ self.M
        scores = np.ascontiguousarray((self.items @ users.T.copy()).T)
        scores *= self.output_scale[None, :]
        subtract_diagonal(scores, rows, self.diagonal)
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
        rank_blocks(self, X, allowed, items, scores, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return P_ij for each pair of an input i and an output j, from whole columns of P."""
        distinct, column = np.unique(outputs, return_inverse=True)
        entries = np.empty(len(inputs), self.dtype)
        for block in blocks(len(distinct), COLUMNS_AT_ONCE):
            pairs = np.flatnonzero((block.start <= column) & (column < block.stop))
            columns = self._columns(distinct[block])
            entries[pairs] = columns[inputs[pairs], column[pairs] - block.start]
        entries *= self.input_scale[inputs]
        entries[inputs == outputs] = 0
        return entries

    def columns(self, block: slice) -> Array:
        """Return a block of columns of P."""
        columns = self._columns(block)
        columns *= self.input_scale[:, None]
        columns[np.arange(len(columns))[block], np.arange(columns.shape[1])] = 0
        return columns

    def materialized(self) -> DenseWeights:
        """Return P as an array, computed in blocks of columns.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        """
        return dense_of(self, self._dense_bytes())

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return dense weights if computing and using them is faster than the product."""
        n_items, n_users = self.items.shape
        without = X.shape[0] * (n_users**2 + COST_SPARSE_DENSE * self.items.nnz)
        with_them = COST_SPARSE_DENSE * (self.items.nnz * (n_users + n_items) + X.nnz * n_items)
        if with_them < without and fits(self._dense_bytes()):
            return self.materialized()
        return self

    def _columns(self, outputs: slice | NDArray[np.intp]) -> Array:
        """Return columns of P without the input scale, and with the diagonal of the product."""
        users = self.items[outputs] @ self.M  # x_j' M for these items
        columns: Array = self.items @ users.T.copy()
        columns *= self.output_scale[None, outputs]
        return columns

    def _dense_bytes(self) -> int:
        n_items, n_users = self.items.shape
        beside = n_threads() * COLUMNS_AT_ONCE * (2 * n_users + n_items)
        return (n_items**2 + beside) * self.dtype.itemsize
