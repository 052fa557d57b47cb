"""The rows of a fit by gradient descent in memory, as an array or a sparse matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._objective.objective import item_counts, mean_squared_length, user_weights
from shallow_ae._solvers.gradient_descent.sizes import choose_layout
from shallow_ae._typing import Array, Interactions


class DescentRows(NamedTuple):
    """Checked rows with their sample weights."""

    X: Interactions
    sample_weight: Array

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return int(self.X.shape[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the data."""
        return self.X.dtype

    @property
    def total_weight(self) -> float:
        """Return the sum of the sample weights."""
        return float(self.sample_weight.sum())

    @property
    def item_counts(self) -> Array:
        """Return the sum of the sample weights of each item's users."""
        return item_counts(self.X, self.sample_weight)

    def mean_squared_length(self, user_exponent: float) -> float:
        """Return the mean of w_u ||x_u||^2 over the users, for weights w_u with mean 1."""
        weights = user_weights(self.X, self.sample_weight, user_exponent)
        return mean_squared_length(self.X, weights)

    def batch_layout(self, backend: str) -> str:
        """Return the form of batches with faster products, "sparse" or "dense"."""
        return choose_layout(self.X, backend)

    def split(self, rows: NDArray[np.intp]) -> tuple[Interactions, DescentRows]:
        """Return the rows with the given numbers, in ascending order, and the other rows."""
        is_taken = np.zeros(self.n_rows, np.bool_)
        is_taken[rows] = True
        return self.X[is_taken], DescentRows(self.X[~is_taken], self.sample_weight[~is_taken])
