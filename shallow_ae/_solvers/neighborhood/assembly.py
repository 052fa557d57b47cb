"""From the solutions of all systems to the weights, the objective, and how exact they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._objective.objective import Objective
from shallow_ae._objective.solution import ColumnScaling, Solution, column_scaling
from shallow_ae._runtime.blocks import blocks
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import SparseWeights

if TYPE_CHECKING:
    from shallow_ae._solvers.neighborhood.systems import Solutions

_PER_BLOCK = 4096  # items whose weights are scaled at a time


def diagonal_of(gram_diagonal: Array, penalty: Array) -> Array:
    """Return the diagonal of A in the dtype of the data."""
    diagonal: Array = (gram_diagonal + penalty).astype(gram_diagonal.dtype)
    return diagonal


def assemble(
    solutions: Solutions,
    objective: Objective,
    item_counts: Array,
    n: float,
    gram_diagonal: Array,
) -> Solution:
    """Return the solution; `solutions` has a row for each item and is modified.

    Raises
    ------
    ValueError
        If the precision of the data's dtype is too low for the problem.
    """
    penalty = objective.penalty(gram_diagonal, n)
    unexplained = diagonal_of(gram_diagonal, penalty) - solutions.explained  # 1 / C_jj
    if (solutions.n_neighbors < 0).any() or not (unexplained > 0).all():
        raise objective.not_positive_definite(gram_diagonal.dtype)
    scaling = column_scaling(1 / unexplained, penalty, item_counts, objective)
    rounding = _rounding(solutions, scaling)
    residual_sq, rhs_sq = solutions.residual_sq.sum(), solutions.rhs_sq.sum()
    residual = float(np.sqrt(residual_sq / rhs_sq)) if rhs_sq else 0.0
    _scale(solutions, scaling)
    left = np.maximum(gram_diagonal - solutions.explained, 0)
    solution = scaling.solution(SparseWeights(_as_csr(solutions)), n, residual, left)
    return solution._replace(rounding=rounding)


def _rounding(solutions: Solutions, scaling: ColumnScaling) -> float:
    """Estimate the largest error of a weight by rounding, relative to the largest weight.

    The residual of a system, computed in its own precision, is of the size of the rounding errors,
    including the rounding errors of the system's entries. The correction, A^-1 times the residual,
    is therefore of the size of the errors of the weights.
    """
    own = scaling.multipliers * scaling.inverse_diagonal
    largest = (own * solutions.largest).max()
    return float((own * solutions.correction_max).max() / largest) if largest else 0.0


def _scale(solutions: Solutions, scaling: ColumnScaling) -> None:
    """Turn the solutions into weights, in place."""
    own = scaling.multipliers * scaling.inverse_diagonal * scaling.item_scale
    scales_rows = (scaling.item_scale != 1).any()
    for part in blocks(len(own), _PER_BLOCK):
        weights = solutions.weights[part]
        weights *= own[part, None]
        if scales_rows:
            weights /= scaling.item_scale[solutions.neighbors[part]]


def _as_csr(solutions: Solutions) -> sp.csr_array[Any]:
    """Return P, whose columns are the solutions."""
    n_items, most = solutions.neighbors.shape
    indptr = np.concatenate([[0], np.cumsum(solutions.n_neighbors)])
    if indptr[-1] <= np.iinfo(np.int32).max:  # otherwise scipy makes all indices int64
        indptr = indptr.astype(np.int32)
    neighbors, weights = solutions.neighbors, solutions.weights
    if indptr[-1] < neighbors.size:
        is_there = np.arange(most) < solutions.n_neighbors[:, None]
        neighbors, weights = neighbors[is_there], weights[is_there]
        del is_there  # a byte for each weight, before the weights are copied again
    columns = (weights.ravel(), neighbors.ravel(), indptr)
    P = sp.csr_array(sp.csc_array(columns, shape=(n_items, n_items)))
    P.eliminate_zeros()
    return P
