"""Fits to Dask arrays: rows read by the workers, solution, fitted state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import scipy.sparse as sp
from sklearn.base import clone

from shallow_ae._cluster.exact import gram_of_partitions
from shallow_ae._cluster.neighborhood import solve_neighborhoods
from shallow_ae._cluster.rows import PartitionedRows, read_rows, rows_in_memory
from shallow_ae._cluster.workers import check_worker_memory, worker_memory
from shallow_ae._objective.objective import Objective
from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingData, TrainingRows, own_rows
from shallow_ae._objective.training_gram import GRAM_DTYPE, TrainingGram, keeps_gram
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._runtime.memory import free_memory
from shallow_ae._solvers.costs import check_memory, check_neighbors_fit, gram_need
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.dask_arrays import row_blocks, split_like
from shallow_ae.data.fitting import forget_names
from shallow_ae.data.matrices import check_interactions, check_width
from shallow_ae.models import fit_exact
from shallow_ae.models.fitted import AutoEncoderState, solved_state

_VECTORS = 20  # vectors of n_items numbers in the fit of a model of nearest items
_COPIES_OF_ROWS = 4  # copies in memory while the rows of a partition are sorted and transposed


def read_partitions(
    trial: Any, X: Any, sample_weight: Any, *, reset: bool = True
) -> PartitionedRows:
    """Return the checked rows of a Dask array or of a matrix in memory as partitions.

    If `reset`, `trial` gets the number of items of X; otherwise the numbers must be equal.
    """
    if not is_dask(X):
        matrix = sp.csr_array(check_interactions(trial, X, reset=reset))
        n_rows = matrix.shape[0]
        weights = check_sample_weight(sample_weight, n_rows, may_be_zero=not reset)
        return rows_in_memory(*own_rows(matrix, weights, X, sample_weight))
    blocks, heights = row_blocks(X), X.chunks[0]
    if reset:
        forget_names(trial, X.shape[1])
    else:
        check_width(trial, X.shape[1])
    parts: list[Any] = [None] * len(blocks)
    if sample_weight is not None:
        parts = split_like("sample_weight", sample_weight, heights)
    rows = read_rows(clone(trial), blocks, parts, X.shape[1])
    if reset:
        rows.check_total()
    return rows


def updated(
    model: Any,
    kept: TrainingData | PartitionedRows,
    X: Any,
    sample_weight: Any,
    *,
    is_added: bool,
) -> TrainingGram | PartitionedRows:
    """Return the kept training data with rows added or removed.

    X is a Dask array, or the kept data lie in partitions.
    """
    if not isinstance(kept, TrainingGram):
        return updated_rows(model, kept, X, sample_weight, is_added=is_added)
    exponent = float(model.user_exponent)
    kept.check_exponent(exponent)
    rows = read_partitions(model, X, sample_weight, reset=False)
    check_memory("exact", gram_need(rows.n_items, rows.dtype, GRAM_DTYPE, 3), {})
    change = gram_of_partitions(rows, exponent, GRAM_DTYPE)
    return kept.plus(change) if is_added else kept.minus(change)


def updated_rows(
    model: Any,
    kept: TrainingRows | PartitionedRows,
    X: Any,
    sample_weight: Any,
    *,
    is_added: bool,
) -> PartitionedRows:
    """Return the kept rows with rows added or removed.

    Rows to remove are compared with the kept rows, and are gathered in this process.
    """
    rows = read_partitions(model, X, sample_weight, reset=False)
    partitions = kept if isinstance(kept, PartitionedRows) else rows_in_memory(*kept)
    return partitions.plus(rows) if is_added else partitions.minus(*rows.gathered())


def fit_nearest(rows: PartitionedRows, objective: Objective, n_neighbors: int) -> AutoEncoderState:
    """Return the state of a model of nearest items fitted to these rows by the workers.

    Raises
    ------
    MemoryError
        If the weights do not fit in this process, or a partition does not fit on a worker.
    """
    n_items, itemsize = rows.n_items, rows.dtype.itemsize

    def bytes_of(number: int) -> int:
        return 3 * n_items * number * (itemsize + 4) + _VECTORS * 8 * n_items

    check_neighbors_fit(n_items, n_neighbors, bytes_of, free_memory())
    of_rows = _COPIES_OF_ROWS * max(rows.part_bytes) + _VECTORS * 8 * n_items
    check_worker_memory("The largest partition", of_rows, "cut the rows into more partitions")
    problem = problem_of(rows, objective)
    parts = rows.weighted(objective.user_exponent)
    solution = solve_neighborhoods(
        parts,
        rows.part_bytes,
        objective,
        problem.item_counts,
        float(rows.n_rows),
        rows.dtype,
        n_neighbors,
        worker_memory(),
    )
    return solved_state(problem, solution)


def fit_gram(rows: PartitionedRows, objective: Objective, *, verbose: int = 0) -> AutoEncoderState:
    """Return the state of a model fitted with "exact" to these rows.

    The workers add up the Gram matrix, and this process inverts it. The model keeps the matrix or
    the rows, whichever is smaller.

    Raises
    ------
    MemoryError
        If the matrices fit neither on a worker nor in this process.
    """
    keeps_matrix = keeps_gram(rows.n_entries, rows.n_items)
    dtype = GRAM_DTYPE if keeps_matrix else rows.dtype
    check_memory("exact", gram_need(rows.n_items, rows.dtype, dtype), {})
    gram = gram_of_partitions(rows, objective.user_exponent, dtype)
    gram.check_total()
    state = fit_exact.fit(gram, objective, verbose=verbose)
    return state if keeps_matrix else replace(state, training_data=rows)
