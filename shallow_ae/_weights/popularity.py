"""Scores by popularity: the same for every user."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
import scipy.sparse as sp

from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix


class PopularityScores(NamedTuple):
    """The score of each item, for all users. It is no product of X and item weights."""

    popularity: Array  # of shape (n_items,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the scores."""
        return self.popularity.dtype

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return len(self.popularity)

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return the scores of all items, in a row for each row of X."""
        return np.tile(self.popularity, (X.shape[0], 1))

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the most popular items that are allowed in each row."""
        ones = sp.csr_array(np.ones((X.shape[0], 1), self.dtype))
        as_row = DenseWeights(self.popularity[None, :])
        as_row.rank(ones, allowed, items, scores, verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return zeros: no item of a user contributes to a score."""
        return np.zeros(len(inputs), self.dtype)

    def columns(self, block: slice) -> NoReturn:
        """Raise an AttributeError: there are no weights."""
        raise AttributeError(
            "Scores by popularity are the same for all users: there are no item weights. For the "
            "weights of a sum of models, set the weight of its popularity part to 0."
        )

    def materialized(self) -> NoReturn:
        """Raise an AttributeError: there are no weights."""
        self.columns(slice(None))

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return these scores."""
        return self
