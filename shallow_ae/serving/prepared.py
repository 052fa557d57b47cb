"""Item weights prepared for single requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import CsrArrays, as_argument, csr_arrays
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import (
    DenseWeights,
    ItemWeights,
    SparseWeights,
    WeightMatrix,
    rank_by_dense,
    rank_by_sparse,
)
from shallow_ae._weights.popularity import PopularityOrder, PopularityScores
from shallow_ae._weights.ranking import best_items
from shallow_ae._weights.weighted_sum import SummedWeights
from shallow_ae.serving.histories import Histories


class PreparedWeights:
    """Weights in the form in which single requests are fastest.

    A product with a matrix of users is computed once, as an array. A sum of sparse parts is one
    sparse matrix. The arrays of a sparse matrix are converted once for compiled functions, and
    items are sorted by popularity once.
    """

    def __init__(self, weights: WeightMatrix) -> None:
        self.form = form = _form_for_requests(weights)
        self._rank: Callable[..., None] | None = None
        if isinstance(form, SparseWeights):
            self._rank = partial(rank_by_sparse, csr_arrays(form.P, form.dtype))
        elif isinstance(form, DenseWeights):
            self._rank = partial(rank_by_dense, as_argument(form.P, form.dtype))
        elif isinstance(form, PopularityScores):
            order = PopularityOrder.of(form.popularity)
            self._rank = lambda _, allowed, items, scores: order.rank(allowed, items, scores)

    def best(
        self, X: Histories | sp.csr_array[Any], k: int, allowed: CandidateFilter
    ) -> tuple[NDArray[np.int64], Array]:
        """Return the `k` best items of each row and their scores, as `best_items` does.

        Rows of histories need no check, as they share no memory with the caller.
        """
        if self._rank is None or not isinstance(X, Histories):
            matrix = X.matrix(self.form.n_inputs) if isinstance(X, Histories) else X
            return best_items(self.form, matrix, k, allowed)
        values = X.values.astype(self.form.dtype, copy=False)
        items = np.empty((len(X.indptr) - 1, k), np.int64)
        scores = np.empty(items.shape, self.form.dtype)
        self._rank(CsrArrays(X.indptr, X.columns, values), allowed, items, scores)
        return items, scores


def _form_for_requests(form: WeightMatrix) -> WeightMatrix:
    if isinstance(form, DualWeights):
        return form.materialized()
    if isinstance(form, SummedWeights):
        parts = tuple(ItemWeights(_form_for_requests(part)) for part in form.forms)
        total = SummedWeights(parts, form.factors)
        is_sparse = all(isinstance(part.form, SparseWeights) for part in parts)
        return total.materialized() if is_sparse else total
    return form
