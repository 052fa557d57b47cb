"""Item weights prepared for single requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import csr_arrays
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import (
    ItemWeights,
    SparseWeights,
    WeightMatrix,
    rank_by_arrays,
)
from shallow_ae._weights.ranking import best_items, check_rows
from shallow_ae._weights.weighted_sum import SummedWeights


class PreparedWeights:
    """Weights in the form that answers a single request fastest.

    A product with a matrix of users is computed once, as an array. A sum of sparse parts is one
    sparse matrix. The arrays of a sparse matrix are converted once for compiled functions.
    """

    def __init__(self, weights: WeightMatrix) -> None:
        self.form = form = _form_for_requests(weights)
        self._arrays = csr_arrays(form.P, form.dtype) if isinstance(form, SparseWeights) else None

    def best(
        self, X: sp.csr_array[Any], k: int, allowed: CandidateFilter
    ) -> tuple[NDArray[np.int64], Array]:
        """Return the `k` best items of each row and their scores, as `best_items` does."""
        if self._arrays is None:
            return best_items(self.form, X, k, allowed)
        check_rows(self.form, X)
        items = np.empty((X.shape[0], k), np.int64)
        scores = np.empty(items.shape, self.form.dtype)
        rank_by_arrays(self._arrays, X, allowed, items, scores)
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
