"""The solution of the objective: weights, and how exact they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shallow_ae._objective.objective import Objective, count_scale
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import WeightMatrix

# The largest residual and the largest share of rounding without a warning. In trials, weights were
# off by less than the residual, and by a quarter to four times the share of rounding, relative to
# the largest weight.
_LARGEST_ERROR = {"float32": 1e-2, "float64": 1e-6}


class Solution(NamedTuple):
    """The weights at the minimum of the objective."""

    weights: WeightMatrix  # P, without its diagonal
    diagonal: Array  # of P
    objective: float  # its value at P
    residual: float | None  # relative, of the systems that were solved; None if not computed
    rounding: float | None = None  # the share by which it moves weights, where known

    def warn_if_inexact(self, dtype: np.dtype[Any], regularization: float) -> None:
        """Warn if the weights are further off than the type of the data explains."""
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
    """Numbers for each item, in float64, that turn the inverse C into P_ij = -C_ij * s_j."""

    penalty: Array  # Lambda
    inverse_diagonal: Array  # C_jj
    multipliers: Array  # s_j = max((1 - diagonal_slack) / C_jj, Lambda_j)
    item_scale: Array  # (users of the item) ** item_exponent
    slack: float  # diagonal_slack

    def solution(
        self, weights: WeightMatrix, n: float, residual: float | None, unexplained: Array
    ) -> Solution:
        """Return the solution, given `unexplained` = 1 / C_jj - Lambda_j.

        `unexplained` is the part of an item's square that the other items do not explain. The
        caller computes it, as the difference is lost to rounding where values are small.
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
        If the diagonal is not positive, as that of an inverse must be.
    """
    inverse_diagonal = inverse_diagonal.astype(np.float64)
    if not (inverse_diagonal > 0).all():
        raise np.linalg.LinAlgError("The inverse has a diagonal that is not positive.")
    multipliers = np.maximum((1 - objective.diagonal_slack) / inverse_diagonal, penalty)
    item_scale = count_scale(item_counts, objective.item_exponent)
    return ColumnScaling(
        penalty, inverse_diagonal, multipliers, item_scale, objective.diagonal_slack
    )
