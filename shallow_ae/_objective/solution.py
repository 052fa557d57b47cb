"""The solution of the objective: weights, and measures of their accuracy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shallow_ae._objective.objective import Objective, count_scale
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import WeightMatrix

# The largest `residual` and the largest `rounding` without a warning. In trials, the error of the
# weights, relative to the largest weight, was less than `residual`, and 1/4 to 4 times `rounding`.
_LARGEST_ERROR = {"float32": 1e-2, "float64": 1e-6}


class Solution(NamedTuple):
    """The weights at the minimum of the objective."""

    weights: WeightMatrix  # P, without its diagonal
    diagonal: Array  # diagonal of P
    objective: float  # value of the objective at P
    residual: float | None  # relative residual of the linear systems; None if not computed
    rounding: float | None = None  # estimated relative error by rounding; None if unknown

    def warn_if_inexact(self, dtype: np.dtype[Any], regularization: float) -> None:
        """Warn if the error of the weights is larger than the dtype of the data explains."""
        most = _LARGEST_ERROR[dtype.name]
        found = {
            "their relative residual is": self.residual,
            "rounding moves them by about": self.rounding,
        }
        for what, size in found.items():
            if size is not None and not size <= most:
                wider = ", or pass float64 data" if dtype == np.float32 else ""
                warn_caller(
                    f"The weights are inexact: {what} {size:.1e}, expected at most {most:.0e} in "
                    f"{dtype}. Raise `regularization`={regularization:g}{wider}."
                )
                return


class ColumnScaling(NamedTuple):
    """Values for each item, in float64, that turn the inverse C into P_ij = -C_ij * s_j."""

    penalty: Array  # Lambda
    inverse_diagonal: Array  # C_jj
    multipliers: Array  # s_j = max((1 - diagonal_slack) / C_jj, Lambda_j)
    item_scale: Array  # (users of the item) ** item_exponent
    slack: float  # diagonal_slack

    def solution(
        self, weights: WeightMatrix, n: float, residual: float | None, unexplained: Array
    ) -> Solution:
        """Return the solution, given `unexplained` = 1 / C_jj - Lambda_j.

        `unexplained` is the part of an item's square G_jj that its regression on the other items
        does not explain. The caller computes it, because the difference above is lost to rounding
        where values are small.
        """
        own = self.multipliers * self.inverse_diagonal
        beyond = np.maximum(unexplained - self.slack / self.inverse_diagonal, 0)  # s_j - Lambda_j
        errors = (beyond**2 + self.penalty * unexplained) * self.inverse_diagonal
        return Solution(weights, 1 - own, float(errors.sum() / n), residual)


def column_scaling(
    inverse_diagonal: Array, penalty: Array, item_counts: Array, objective: Objective
) -> ColumnScaling:
    """Return the scaling for an inverse with this diagonal.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the diagonal is not positive. The diagonal of an inverse of a positive definite matrix is
        positive.
    """
    inverse_diagonal = inverse_diagonal.astype(np.float64)
    if not (inverse_diagonal > 0).all():
        raise np.linalg.LinAlgError("The inverse has a diagonal that is not positive.")
    multipliers = np.maximum((1 - objective.diagonal_slack) / inverse_diagonal, penalty)
    item_scale = count_scale(item_counts, objective.item_exponent)
    return ColumnScaling(
        penalty, inverse_diagonal, multipliers, item_scale, objective.diagonal_slack
    )
