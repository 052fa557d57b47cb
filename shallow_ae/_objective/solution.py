"""What every minimum in closed form is made of, whichever systems it comes from."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from shallow_ae._objective.objective import check_regularization, count_scale, too_large
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import Weights

# What the residual, and the share of rounding, may be. In trials, weights were off by less than the
# first, and by a quarter to four times the second, relative to the largest.
_INEXACT = {"float32": 1e-2, "float64": 1e-6}


class Objective(NamedTuple):
    """What the minimum depends on beside the data."""

    regularization: float
    dropout: float
    diagonal_slack: float
    user_exponent: float
    item_exponent: float


def objective_of(model: Any) -> Objective:
    """Return what the minimum depends on of a model's parameters."""
    return Objective(*(float(getattr(model, name)) for name in Objective._fields))


class Solution(NamedTuple):
    """The weights at the minimum, and what is known about them."""

    weights: Weights
    diagonal: Array  # of P, which the weights leave out
    objective: float
    residual: float | None  # of what was solved, relative; None if not looked at
    rounding: float | None = None  # what it moves weights by, relative, where residuals are blind


class ColumnScaling(NamedTuple):
    """What turns an inverse into weights, one number an item, in float64."""

    penalty: Array  # Lambda
    inverse_diagonal: Array  # C_jj
    columns: Array  # s_j
    counts: Array  # users ** item_exponent
    slack: float  # diagonal_slack

    def minimum(
        self, weights: Weights, n: float, residual: float | None, unexplained: Array
    ) -> Solution:
        """Return the minimum, with `unexplained` the 1 / C_jj - Lambda_j.

        That is what an item's column has left of its square. The caller knows it better than by
        that difference, of which nothing may be left where values are small.
        """
        own = self.columns * self.inverse_diagonal
        beyond = np.maximum(unexplained - self.slack / self.inverse_diagonal, 0)  # s_j - Lambda_j
        errors = (beyond**2 + self.penalty * unexplained) * self.inverse_diagonal
        return Solution(weights, 1 - own, float(errors.sum() / n), residual)


def penalty_of(gram_diagonal: Array, n: float, parameters: Objective) -> Array:
    """Return Lambda; 1 where nothing is known of an item and nothing is penalised."""
    if not np.isfinite(gram_diagonal).all():
        raise ValueError(too_large(gram_diagonal.dtype))
    share = parameters.dropout / (1 - parameters.dropout)
    penalty = n * parameters.regularization + share * gram_diagonal.astype(np.float64)
    check_regularization(parameters.regularization, gram_diagonal + penalty, gram_diagonal.dtype)
    return np.where(penalty > 0, penalty, 1.0)


def column_scaling(
    inverse_diagonal: Array, penalty: Array, item_counts: Array, parameters: Objective
) -> ColumnScaling:
    inverse_diagonal = inverse_diagonal.astype(np.float64)
    if not (inverse_diagonal > 0).all():
        raise np.linalg.LinAlgError("The inverse has a diagonal that is not positive.")
    columns = np.maximum((1 - parameters.diagonal_slack) / inverse_diagonal, penalty)
    counts = count_scale(item_counts, parameters.item_exponent)
    return ColumnScaling(penalty, inverse_diagonal, columns, counts, parameters.diagonal_slack)


def check_has_minimum(parameters: Objective) -> None:
    if not parameters.regularization and not parameters.dropout:
        raise ValueError(
            "`regularization`=0 must be > 0 here (unless `dropout` is): the closed form does not "
            "exist at 0. Start at 0.02."
        )


def indefinite(regularization: float, dtype: np.dtype[Any]) -> str:
    wider = ", or pass float64 data" if dtype == np.float32 else ""
    return (
        f"`regularization`={regularization:g} is too small for these data in {dtype}: the matrix "
        f"to be inverted is not positive definite after rounding. Raise it{wider}."
    )


def warn_if_inexact(
    minimum: Solution, dtype: np.dtype[Any], regularization: float, *, stacklevel: int
) -> None:
    """Warn if weights are further off than the type of the data explains."""
    most = _INEXACT[dtype.name]
    found = {
        "their relative residual is": minimum.residual,
        "rounding moves them by about": minimum.rounding,
    }
    for what, size in found.items():
        if size is not None and not size <= most:
            wider = ", or pass float64 data" if dtype == np.float32 else ""
            warnings.warn(
                f"The weights are inexact: {what} {size:.1e}, expected at most {most:.0e} in "
                f"{dtype}. Raise `regularization`={regularization:g}{wider}.",
                stacklevel=stacklevel + 1,
            )
            return
