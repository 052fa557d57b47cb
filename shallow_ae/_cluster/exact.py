"""The Gram matrix of rows in partitions, added up on the workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._cluster.parts import groups_of
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._cluster.workers import check_worker_memory
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram, empty_gram
from shallow_ae._runtime.dask_graphs import computed, task, tree_sum


def gram_of_partitions(rows: PartitionedRows, user_exponent: float, dtype: Any) -> TrainingGram:
    """Return the Gram matrix of the rows, summed in `dtype`.

    A task sums over as many partitions as have the size of the matrix, so that adding the matrices
    costs no more than reading the rows.

    Raises
    ------
    MemoryError
        If the sums do not fit in the memory of a worker.
    """
    n_bytes = rows.n_items**2 * np.dtype(dtype).itemsize
    check_worker_memory(
        f"The sum of two matrices of {rows.n_items:,} x {rows.n_items:,} items",
        3 * n_bytes,
        "fit a SparseShallowAutoEncoder, which keeps `n_neighbors` weights per item",
    )
    groups = groups_of(rows.parts, rows.part_bytes, n_bytes)
    gram: TrainingGram = computed(
        [
            tree_sum(
                [task(_gram_of_group, group, user_exponent, dtype) for group in groups],
                TrainingGram.plus,
            )
        ]
    )[0]
    return gram


def _gram_of_group(parts: list[TrainingRows], user_exponent: float, dtype: Any) -> TrainingGram:
    X = sp.csr_array(sp.vstack([part.X for part in parts], format="csr"))
    weights = np.concatenate([part.sample_weight for part in parts])
    return empty_gram(X, user_exponent, dtype).added(X, weights)
