"""An objective over training data, checked once for a solver in closed form."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from shallow_ae._objective.objective import Objective, check_item_exponent
from shallow_ae._objective.solution import ColumnScaling, column_scaling
from shallow_ae._typing import Array


class Data(Protocol):
    """Training data in any form: rows or their Gram matrix, in memory or on workers."""

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the data."""

    @property
    def item_counts(self) -> Array:
        """Return the sum of the sample weights of each item's users."""

    def mean_squared_length(self, user_exponent: float) -> float:
        """Return the mean of w_u ||x_u||^2 over the users, for weights w_u with mean 1."""


_Data = TypeVar("_Data", bound=Data)
_Data_co = TypeVar("_Data_co", bound=Data, covariant=True)


class Problem(NamedTuple, Generic[_Data_co]):
    """The problem that a closed-form solver minimizes: an objective over training data."""

    objective: Objective
    data: _Data_co
    item_counts: Array  # sum of the sample weights of each item's users

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the data."""
        return self.data.dtype

    def scaling(self, inverse_diagonal: Array, penalty: Array) -> ColumnScaling:
        """Return the scaling that turns the inverse into weights."""
        return column_scaling(inverse_diagonal, penalty, self.item_counts, self.objective)


def problem_of(
    data: _Data, objective: Objective, item_counts: Array | None = None
) -> Problem[_Data]:
    """Check the objective against the data, and return the problem.

    If `item_counts` is None, it is computed from the data.

    Raises
    ------
    ValueError
        If the objective has no closed form, or its `item_exponent` is too large for the data.
    """
    objective.check_has_closed_form()
    counts = data.item_counts if item_counts is None else item_counts
    check_item_exponent(counts, objective.item_exponent, data.dtype)
    return Problem(objective, data, counts)
