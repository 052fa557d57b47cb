"""The truncated SVD of the scaled rows, from products with the rows of each partition.

scikit-learn's `randomized_svd` alternates products with a matrix A and with its transpose. Here one
pass over the partitions computes A'A Q for a matrix Q with a row for each item, and nothing with a
row for each user is kept. Let Q be the basis after the last power iteration, T = A'A Q, and
T'Q = E diag(l) E'. The columns of A Q E diag(l)^-1/2 are an orthonormal basis of the range of A Q,
and the projection of A on it is the transpose of T E diag(l)^-1/2. Its SVD is what `randomized_svd`
returns from the same random start, up to rounding. With fewer users than items, `randomized_svd`
starts with a matrix for the users instead, and the results differ like those of two random starts.

Source: N. Halko, P. G. Martinsson and J. A. Tropp, "Finding Structure with Randomness", SIAM Review
2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.random import RandomState
from sklearn.utils import check_random_state

from shallow_ae._cluster.parts import Part, groups_of
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._cluster.workers import check_worker_memory
from shallow_ae._linalg.csr import scale_columns
from shallow_ae._runtime.dask_graphs import Task, computed, constant, persisted, task, tree_sum
from shallow_ae._solvers.low_rank import (
    LowRankSettings,
    Spectrum,
    n_iterations,
    n_vectors,
    scales_of_items,
)
from shallow_ae._typing import Array


def leading_spectrum_of_partitions(
    rows: PartitionedRows,
    item_counts: Array,
    settings: LowRankSettings,
    n_components: int,
    random_state: int | RandomState | None,
) -> Spectrum:
    """Return what `leading_spectrum` returns for the stacked rows.

    Raises
    ------
    MemoryError
        If the vectors of all items do not fit on a worker.
    """
    shape, dtype = (rows.n_rows, rows.n_items), rows.dtype
    n_components = min(n_components, *shape)
    width = n_vectors(shape, n_components)
    n_bytes = rows.n_items * width * 8
    check_worker_memory(
        f"The sum of the vectors of {rows.n_items:,} items", 4 * n_bytes, "lower `n_components`"
    )
    largest = max(size.largest_value for size in rows.sizes) or 1  # so that squares do not overflow
    scale = constant(
        scales_of_items(item_counts, settings.item_normalization, dtype) / dtype.type(largest)
    )
    scaled = persisted(
        [task(_scaled, part, scale) for part in rows.weighted(settings.user_exponent)]
    )
    groups = groups_of(scaled, rows.part_bytes, n_bytes)
    random = check_random_state(random_state)
    Q = task(_random_start, rows.n_items, width, random.get_state())
    random.random_sample()  # so that the next fit starts elsewhere
    for _ in range(n_iterations(shape, n_components)):
        Q = persisted([task(_orthonormal, _times_gram(groups, Q))])[0]
    singular_values, vectors = computed([task(_projected_svd, Q, _times_gram(groups, Q))])[0]
    singular_values, vectors = singular_values[:n_components], vectors[:, :n_components]
    vectors = vectors.astype(dtype)
    vectors[item_counts == 0] = 0  # without rounding errors
    relative = (singular_values / (singular_values[0] or 1)).astype(dtype)
    return Spectrum(relative, vectors)


def _times_gram(groups: list[list[Task]], Q: Task) -> Task:
    return tree_sum([task(_group_times, group, Q) for group in groups], np.add)


def _scaled(part: Part, scale: Array) -> Any:
    """Return the scaled rows in float64: X'X has the squares of the singular values."""
    X = scale_columns(part.X.astype(np.float64), scale)
    X.data *= np.repeat(np.sqrt(part.weights), np.diff(X.indptr))
    return X


def _group_times(parts: list[Any], Q: Array) -> Array:
    """Return X'(X Q), summed over the rows X of a group."""
    total = np.zeros_like(Q)
    for X in parts:
        total += X.T @ (X @ Q)
    return total


def _random_start(n_items: int, width: int, state: Any) -> Array:
    """Return the start of `randomized_svd`."""
    random = RandomState()
    random.set_state(state)
    return np.asarray(random.normal(size=(n_items, width)))


def _orthonormal(vectors: Array) -> Array:
    return np.asarray(scipy.linalg.qr(vectors, mode="economic", check_finite=False)[0])


def _projected_svd(Q: Array, T: Array) -> tuple[Array, Array]:
    """Return the singular values, and the right singular vectors in columns."""
    eigenvalues, vectors = np.linalg.eigh(T.T @ Q)
    is_there = eigenvalues > eigenvalues.max() * len(eigenvalues) * np.finfo(T.dtype).eps
    inverse_root = np.where(is_there, eigenvalues, 1) ** -0.5 * is_there
    projected = T @ (vectors * inverse_root)
    left, singular_values, _ = scipy.linalg.svd(projected, full_matrices=False, check_finite=False)
    return singular_values, left
