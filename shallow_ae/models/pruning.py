"""The largest weights of a model, and the sparse model of them that `sparsify` returns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._cluster.parts import Part
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._linalg.csr import column_squares, row_squares
from shallow_ae._objective.objective import Objective, count_scale
from shallow_ae._objective.training_data import TrainingData
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.dask_graphs import computed, shared, task
from shallow_ae._runtime.memory import free_memory
from shallow_ae._solvers.costs import check_neighbors_fit
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import ItemWeights, SparseWeights, WeightMatrix
from shallow_ae._weights.largest import bytes_needed, largest_weights
from shallow_ae.data.arguments import check_integer
from shallow_ae.models.fitted import AutoEncoderState

_COLUMNS = 128
_PRODUCTS = 2**18  # maximum entries of the product of a block of rows and the weights


def pruned_weights(weights: WeightMatrix, n_neighbors: int | None) -> sp.csr_array[Any]:
    """Return the `n_neighbors` largest weights of each column; None means all nonzero weights.

    Raises
    ------
    MemoryError
        If the weights do not fit in the free memory. The message states a number that fits.
    """
    n_items = weights.n_inputs
    # With zero rows, `cheapest_for` does not compute P of a product, and adds up sparse matrices.
    form = weights.cheapest_for(sp.csr_array((0, n_items), dtype=weights.dtype))
    n_kept = max(1, n_items - 1)
    if n_neighbors is not None:
        n_kept = min(check_integer("n_neighbors", n_neighbors, low=1), n_kept)
    check_neighbors_fit(n_items, n_kept, partial(bytes_needed, form), free_memory())
    return largest_weights(form, n_kept)


def prune(state: AutoEncoderState, n_neighbors: int) -> AutoEncoderState:
    """Return the state of a sparse model with the `n_neighbors` largest weights of each column."""
    objective, weights, item_counts = state.objective, state.weights.form, state.item_counts
    n_items, itemsize = weights.n_inputs, weights.dtype.itemsize

    def bytes_of(number: int) -> int:
        # For the objective: the csr matrix and three float64 numbers for each weight.
        for_objective = number * n_items * (itemsize + 4 + 3 * 8) + 3 * 12 * _PRODUCTS
        return max(bytes_needed(weights, number), for_objective)

    check_neighbors_fit(n_items, n_neighbors, bytes_of, free_memory())
    P = largest_weights(weights, n_neighbors)
    scale = count_scale(item_counts, objective.item_exponent)
    data = P.data * np.repeat(scale, np.diff(P.indptr))
    data /= scale[P.indices]
    unscaled = sp.csr_array((data, P.indices, P.indptr), shape=P.shape)
    assert state.training_data is not None  # true for exact models
    loss = _objective(state.training_data, unscaled, state.diagonal, objective)
    return replace(
        state,
        weights=ItemWeights(SparseWeights(P)),
        loss_curve=[state.loss_curve[-1], loss],
        training_data=None,
    )


def _objective(
    data: TrainingData | PartitionedRows, P: sp.csr_array[Any], own: Array, objective: Objective
) -> float:
    """Return the objective at P plus the diagonal `own`; P itself has a zero diagonal."""
    squares = row_squares(P) + own**2
    missing = sp.csr_array(sp.diags_array(1 - own) - P)
    if isinstance(data, TrainingGram):
        n, gram = float(data.n_rows), data.matrix
        scale = n / data.total_weight
        diagonal = scale * gram.diagonal()
        errors, columns = 0.0, sp.csc_array(missing)
        for items in blocks(gram.shape[0], _COLUMNS):
            of_items = columns[:, items]
            errors += scale * float(((gram @ of_items) * of_items.toarray()).sum())
    elif isinstance(data, PartitionedRows):
        parts, shared_missing = data.weighted(objective.user_exponent), shared(missing)
        n, diagonal = float(data.n_rows), data.item_sums(parts).squares
        errors = sum(computed([task(_errors_of_part, part, shared_missing) for part in parts]))
    else:
        X, weights = data.weighted(objective.user_exponent)
        n, diagonal = float(weights.sum(dtype=np.float64)), column_squares(X, weights)
        errors = _errors(X, weights, missing)
    return float((errors + objective.penalty(diagonal, n) @ squares) / n)


def _errors(X: sp.csr_array[Any], weights: Array, missing: sp.csr_array[Any]) -> float:
    """Return the weighted sum of the squares of X times `missing`."""
    errors = 0.0
    for users in blocks(X.shape[0], max(1, _PRODUCTS // X.shape[1])):
        missed = sp.csr_array(X[users] @ missing)
        errors += float(weights[users] @ missed.multiply(missed).sum(axis=1))
    return errors


def _errors_of_part(part: Part, missing: sp.csr_array[Any]) -> float:
    return _errors(*part, missing)
