"""The low-rank solution: the truncated SVD of the rows, with users and items scaled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.random import RandomState
from sklearn.utils.extmath import randomized_svd

from shallow_ae._objective.objective import check_finite, count_scale
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._typing import Array
from shallow_ae._weights.low_rank import LowRankWeights

_N_OVERSAMPLES = 10  # scikit-learn's default


class LowRankSettings(NamedTuple):
    """The parameters of a low-rank model that scale its rows and filter its spectrum."""

    regularization: float
    item_normalization: float
    user_exponent: float
    item_exponent: float


class Spectrum(NamedTuple):
    """The largest singular values, and the right singular vectors, in columns."""

    singular_values: Array  # in descending order, relative to the first
    vectors: Array


def leading_spectrum(
    data: TrainingRows,
    item_counts: Array,
    settings: LowRankSettings,
    n_components: int,
    random_state: int | RandomState | None,
) -> Spectrum:
    """Return the truncated SVD of the scaled rows.

    Row u is multiplied by the square root of its weight, and column i is divided by
    (users of i) ** item_normalization.

    scikit-learn's `randomized_svd` takes a third of the time of scipy's `svds` or less, and its
    subspace holds almost as much of the rows (`benchmarks/svd.py`).
    """
    X, weights = data.weighted(settings.user_exponent)
    per_item = scales_of_items(item_counts, settings.item_normalization, X.dtype)
    largest = np.abs(X.data).max(initial=0) or X.dtype.type(1)  # so that squares do not overflow
    scaled = sp.csr_array((X.data / largest, X.indices, X.indptr), shape=X.shape)
    scaled.data *= per_item[X.indices]
    scaled.data *= np.repeat(np.sqrt(weights), np.diff(X.indptr))
    _, singular_values, vectors = randomized_svd(
        scaled,
        min(n_components, *scaled.shape),
        n_oversamples=_N_OVERSAMPLES,
        n_iter=n_iterations(scaled.shape, n_components),
        flip_sign=False,  # P does not depend on the signs of the vectors
        random_state=random_state,
    )
    vectors = vectors.T
    vectors[item_counts == 0] = 0  # without rounding errors
    return Spectrum(singular_values / (singular_values[0] or 1), vectors)


def scales_of_items(item_counts: Array, item_normalization: float, dtype: Any) -> Array:
    """Return the factor of each column of the rows. The scale of all factors does not matter."""
    with np.errstate(all="ignore"):
        factors = 1 / count_scale(item_counts, item_normalization)
        factors = (factors / factors.max()).astype(dtype)
    check_finite("item_normalization", item_normalization, factors)
    return np.asarray(factors)


class SvdWork(NamedTuple):
    """Multiplications in products of the rows, and in decompositions of dense matrices."""

    sparse: int
    dense: int


def svd_work(shape: tuple[int, int], n_entries: int, n_components: int) -> SvdWork:
    """Return the work of `leading_spectrum`."""
    width = n_vectors(shape, n_components)
    n_passes = n_iterations(shape, n_components)
    n_products = 2 * n_passes + 2
    return SvdWork(n_products * n_entries * width, (n_passes + 2) * sum(shape) * width**2)


def n_vectors(shape: tuple[int, int], n_components: int) -> int:
    """Return the number of vectors that the randomized SVD multiplies."""
    return min(n_components, *shape) + _N_OVERSAMPLES


def n_iterations(shape: tuple[int, int], n_components: int) -> int:
    """Return the number of power iterations, by the default rule of scikit-learn."""
    return 7 if min(n_components, *shape) < 0.1 * min(shape) else 4


def low_rank_bytes(shape: tuple[int, int], n_entries: int, n_components: int, itemsize: int) -> int:
    """Return the peak memory of a fit in bytes, including the rows that the model keeps."""
    width = n_vectors(shape, n_components)
    # randomized_svd holds up to three matrices with max(n_users, n_items) rows and one matrix with
    # min(n_users, n_items) rows.
    of_svd = (3 * max(shape) + min(shape)) * width * itemsize
    rows = n_entries * (3 * itemsize + 4) + 20 * sum(shape)
    return rows + of_svd + of_svd // 16


def low_rank_weights(
    spectrum: Spectrum, item_counts: Array, settings: LowRankSettings
) -> LowRankWeights:
    """Return P_ij = (users of j / users of i) ** item_exponent * (V f(s) V')_ij, with P_jj = 0."""
    exponent, dtype = settings.item_exponent, spectrum.vectors.dtype
    outputs = count_scale(item_counts, exponent)
    with np.errstate(all="ignore"):
        inputs = (1 / np.square(outputs)).astype(dtype)
    kept = filter_of(spectrum.singular_values, settings.regularization, dtype)
    # By rows: scipy copies any other array in each product with sparse rows.
    vectors = np.multiply(spectrum.vectors, np.sqrt(kept).astype(dtype), order="C")
    with np.errstate(all="ignore"):
        vectors *= outputs.astype(dtype)[:, None]
        diagonal = inputs * np.einsum("ic,ic->i", vectors, vectors)
    check_finite("item_exponent", exponent, np.concatenate([inputs, diagonal]))
    return LowRankWeights(vectors, inputs, diagonal)


def filter_of(singular_values: Array, regularization: float, dtype: np.dtype[Any]) -> Array:
    """Return the filter f(s) = s^2 / (s^2 + regularization) of each relative singular value.

    f is 1 without regularization. It is 0 for singular values that are zero up to rounding.
    """
    is_there = singular_values > len(singular_values) * np.finfo(dtype).eps
    squares = np.square(np.where(is_there, singular_values, 1))
    return np.where(is_there, squares / (squares + regularization), 0.0)
