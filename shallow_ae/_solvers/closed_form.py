"""The minimum of the objective in closed form, by one inverse of the smaller side.

With G = X'WX over rows whose weights w_u sum to n, and

    A = G + diag(Lambda),    Lambda_j = n * regularization + dropout / (1 - dropout) * G_jj,

the minimum is P_ij = -C_ij s_j off the diagonal, for C the inverse of A ("primal") and
s_j = max((1 - diagonal_slack) / C_jj, Lambda_j). Where there are fewer users than items, C comes
from an inverse of users x users ("dual", the Woodbury identity):

    M = (X diag(1/Lambda) X' + diag(1/w))^-1,
    C = diag(1/Lambda) - diag(1/Lambda) X' M X diag(1/Lambda).

Sources: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019 (the minimum) and
"Autoencoders that don't overfit towards the Identity", NeurIPS 2020 (dropout); J. Moon, H. Kim and
J. Lee, "It's Enough", SIGIR 2023 (slack).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import column_squares
from shallow_ae._linalg.gram import add_gram
from shallow_ae._linalg.inverse import invert, mirror_and_scale, negated_inverse
from shallow_ae._objective.objective import check_item_exponent
from shallow_ae._objective.solution import (
    ColumnScaling,
    Objective,
    Solution,
    check_has_minimum,
    column_scaling,
    indefinite,
    penalty_of,
)
from shallow_ae._objective.training_data import TrainingData, TrainingGram, TrainingRows
from shallow_ae._runtime.blocks import block_rows, blocks
from shallow_ae._runtime.memory import release_free_memory
from shallow_ae._runtime.threads import map_on_threads
from shallow_ae._typing import Array
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights

Product: TypeAlias = Callable[[Array], Array]

_PROBES = 8
_COLUMNS = 128

# So many times its rounding error is what the objective must have left of a difference from the
# penalty. Less is left where values are small; it is computed from the products of items then.
_LEAST_LEFT = 1e4


def minimize(history: TrainingData, parameters: Objective, *, verbose: int = 0) -> Solution:
    """Return the minimum for what was learned from.

    Raises
    ------
    ValueError
        If there is none, or none that the type of the data can tell.
    """
    return next(_minima(history, [parameters], verbose, has_residual=True))


def minimize_each(history: TrainingData, settings: Sequence[Objective]) -> Iterator[Solution]:
    """Yield the minimum for each of the settings of one inverse, without its residual.

    Its `user_exponent` must be that of a history that is a Gram matrix.
    """
    return _minima(history, settings, 0, has_residual=False)


def inverse_of(parameters: Objective) -> tuple[float, float, float]:
    """Return what an inverse depends on: settings for which it is equal can share a primal one."""
    return parameters.user_exponent, parameters.regularization, parameters.dropout


def _minima(
    history: TrainingData, settings: Sequence[Objective], verbose: int, *, has_residual: bool
) -> Iterator[Solution]:
    """Yield the minimum for each of the settings that can share an inverse."""
    check_has_minimum(settings[0])
    counts = history.item_counts
    for parameters in settings:
        check_item_exponent(counts, parameters.item_exponent, history.dtype)
    try:
        if isinstance(history, TrainingRows) and is_dual(*history.X.shape):
            for parameters in settings:
                yield _dual(history, counts, parameters, verbose, has_residual=has_residual)
        else:
            yield from _primal(history, counts, settings, verbose, has_residual=has_residual)
    except np.linalg.LinAlgError as error:
        raise ValueError(indefinite(settings[0].regularization, history.dtype)) from error


def is_dual(n_users: int, n_items: int) -> bool:
    """Return whether an inverse of users x users is the smaller one."""
    return n_users < n_items


def _primal(
    history: TrainingData,
    item_counts: Array,
    settings: Sequence[Objective],
    verbose: int,
    *,
    has_residual: bool,
) -> Iterator[Solution]:
    A, n, times_gram = _normal_matrix(history, settings[0].user_exponent)
    gram_diagonal = A.diagonal().astype(np.float64)
    penalty = penalty_of(A.diagonal(), n, settings[0])
    A[np.diag_indices_from(A)] += penalty.astype(A.dtype)
    negated_inverse(A, verbose=verbose)
    inverse_diagonal = -A.diagonal()
    for parameters in settings:
        P = A if parameters is settings[-1] else A.copy()
        scales = column_scaling(inverse_diagonal, penalty, item_counts, parameters)
        rows, columns = 1 / scales.counts, scales.columns * scales.counts
        mirror_and_scale(P, rows.astype(P.dtype), columns.astype(P.dtype))
        np.fill_diagonal(P, 0)
        times_inverse = _times_inverse(P, scales, rows, columns)
        residual = _residual(times_inverse, times_gram, penalty) if has_residual else None
        unexplained = 1 / scales.inverse_diagonal - penalty
        if unexplained.sum() < _LEAST_LEFT * np.finfo(A.dtype).eps * penalty.sum():
            solutions = partial(_solutions, P, rows, columns * scales.inverse_diagonal)
            unexplained = gram_diagonal - _explained(times_gram, solutions, len(penalty))
        yield scales.minimum(DenseWeights(P), n, residual, np.maximum(unexplained, 0))
        del P, times_inverse  # before the next copy takes its memory


def _solutions(P: Array, rows: Array, columns: Array, block: slice) -> Array:
    """Return the ridge regressions of some items on all others, which P has been scaled from."""
    solutions: Array = P[:, block] / rows[:, None]
    solutions /= columns[None, block]
    return solutions


def _explained(times_gram: Product, solutions: Callable[[slice], Array], n_items: int) -> Array:
    """Return what each item's regression w on the others explains of its square, g' w."""
    explained = np.empty(n_items)
    for block in blocks(n_items, _COLUMNS):
        products = times_gram(solutions(block))
        explained[block] = products[block].diagonal()
    return explained


def _times_inverse(P: Array, scales: ColumnScaling, rows: Array, columns: Array) -> Product:
    """Return the product with the inverse that P has been scaled from."""

    def times_inverse(V: Array) -> Array:
        U: Array = P @ (V / columns[:, None]).astype(P.dtype)
        return scales.inverse_diagonal[:, None] * V - U / rows[:, None]

    return times_inverse


def _normal_matrix(history: TrainingData, user_exponent: float) -> tuple[Array, float, Product]:
    """Return G, to be overwritten, the sum n of the weights, and the product with G."""
    if isinstance(history, TrainingGram):
        scale = history.n_rows / history.total_weight
        A = np.empty(history.matrix.shape, history.dtype)
        np.multiply(history.matrix, scale, out=A, casting="same_kind")
        return A, float(history.n_rows), _times_matrix(history.matrix, scale)
    X, weights = history.weighted(user_exponent)
    n = float(weights.sum(dtype=np.float64))
    A = np.zeros((X.shape[1], X.shape[1]), X.dtype)
    add_gram(X, weights, A)
    release_free_memory()  # of the products, before the inverse needs some
    return A, n, _times_gram(X, weights)


def _times_matrix(matrix: Array, scale: float) -> Product:
    return lambda V: scale * np.asarray(matrix @ V.astype(matrix.dtype))


def _times_gram(X: sp.csr_array[Any], weights: Array) -> Product:
    return lambda V: np.asarray(X.T @ (weights[:, None] * (X @ V)))


def _dual(
    history: TrainingRows,
    item_counts: Array,
    parameters: Objective,
    verbose: int,
    *,
    has_residual: bool,
) -> Solution:
    X, weights = history.weighted(parameters.user_exponent)
    n_users = X.shape[0]
    n = float(weights.sum(dtype=np.float64))
    penalty = penalty_of(column_squares(X, weights), n, parameters)
    shrink = (1 / penalty).astype(X.dtype)
    K = np.zeros((n_users, n_users), X.dtype)
    items = X.T.tocsr()
    add_gram(items, shrink, K)
    K[np.diag_indices_from(K)] += 1 / weights
    invert(K, verbose=verbose)
    explained = _quadratic_forms(X, items, K) / penalty
    scales = column_scaling((1 - explained) / penalty, penalty, item_counts, parameters)
    input_scale = 1 / (penalty * scales.counts)
    output_scale = scales.columns * scales.counts / penalty
    diagonal = explained * scales.columns / penalty
    dual = DualWeights(
        items, K, *(scale.astype(X.dtype) for scale in (input_scale, output_scale, diagonal))
    )

    def times_inverse(V: Array) -> Array:
        U: Array = items @ (K @ (X @ (V / penalty[:, None])).astype(K.dtype))
        return np.asarray((V - U) / penalty[:, None])

    residual = None
    if has_residual:
        residual = _residual(times_inverse, _times_gram(X, weights), penalty)
    return scales.minimum(dual, n, residual, penalty * explained / (1 - explained))


def _quadratic_forms(X: sp.csr_array[Any], items: sp.csr_array[Any], M: Array) -> Array:
    """Return x_j' M x_j of each column of X, whose transpose is `items`."""
    n_users, n_items = X.shape

    def part(users: slice) -> Array:
        products = items @ np.ascontiguousarray(M[:, users])  # of these users, M x_j
        rows = X[users]
        own = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        values = rows.data.astype(np.float64) * products[rows.indices, own]
        return np.bincount(rows.indices, values, minlength=n_items)

    parts = map_on_threads(part, blocks(n_users, block_rows(n_users, n_items)))
    return np.asarray(np.sum(parts, axis=0))


def _residual(times_inverse: Product, times_gram: Product, penalty: Array) -> float:
    """Return ||A C V - V|| / ||V|| for a few random columns V: what the inverse C of A misses."""
    V = np.random.default_rng(0).standard_normal((len(penalty), _PROBES))
    U = times_inverse(V)
    missed = times_gram(U) + penalty[:, None] * U - V
    return float(np.linalg.norm(missed) / np.linalg.norm(V))
