"""The solution in closed form, by one inverse of items x items or users x users.

Let G = X'WX, over rows whose weights w_u sum to n, and

    A = G + diag(Lambda),    Lambda_j = n * regularization + dropout / (1 - dropout) * G_jj,

and let C be the inverse of A ("primal"). The minimum is P_ij = -C_ij s_j off the diagonal, with
s_j = max((1 - diagonal_slack) / C_jj, Lambda_j). If there are fewer users than items, C is computed
from the inverse of a users x users matrix ("dual"), by the Woodbury identity:

    M = (X diag(1/Lambda) X' + diag(1/w))^-1,
    C = diag(1/Lambda) - diag(1/Lambda) X' M X diag(1/Lambda).

Sources: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019 (the minimum) and
"Autoencoders that don't overfit towards the Identity", NeurIPS 2020 (dropout); J. Moon, H. Kim and
J. Lee, "It's Enough", SIGIR 2023 (slack).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import column_squares
from shallow_ae._linalg.gram import add_gram
from shallow_ae._linalg.inverse import invert, mirror_and_scale, negated_inverse
from shallow_ae._objective.problem import Problem
from shallow_ae._objective.solution import ColumnScaling, Solution
from shallow_ae._objective.training_data import TrainingData, TrainingRows
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._runtime.blocks import block_rows, blocks
from shallow_ae._runtime.memory import release_free_memory
from shallow_ae._runtime.threads import map_on_threads
from shallow_ae._typing import Array
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights

Product: TypeAlias = Callable[[Array], Array]

_PROBES = 8  # random vectors that the residual is computed from
_COLUMNS = 128  # columns in a block of regressions

# The sum of 1 / C_jj - Lambda_j must be at least this multiple of its rounding error, eps times the
# sum of Lambda_j. Where values are small, it is smaller. The difference is then computed from the
# Gram matrix.
_LEAST_LEFT = 1e4


def solve(problem: Problem[TrainingData], *, verbose: int = 0) -> Solution:
    """Return the solution with its residual.

    Raises
    ------
    ValueError
        If the precision of the data's dtype is too low for the problem.
    """
    return next(_solutions_of([problem], verbose, has_residual=True))


def solve_each(problems: Sequence[Problem[TrainingData]]) -> Iterator[Solution]:
    """Yield the solutions of problems on the same data that share an inverse, without residuals.

    All objectives must have the same `user_exponent`, `regularization` and `dropout`, on which the
    inverse depends. If the data are a Gram matrix, it must have the
    same `user_exponent`.
    """
    return _solutions_of(problems, 0, has_residual=False)


def is_dual(n_users: int, n_items: int) -> bool:
    """Return whether the users x users inverse is smaller than the items x items inverse."""
    return n_users < n_items


def _solutions_of(
    problems: Sequence[Problem[TrainingData]], verbose: int, *, has_residual: bool
) -> Iterator[Solution]:
    first = problems[0]
    try:
        inverse = _inverse_of(first, verbose)
        for problem in problems:
            # The last solution overwrites the inverse, which is not needed afterwards.
            overwrite = problem is problems[-1]
            yield inverse.solution(problem, overwrite=overwrite, has_residual=has_residual)
    except np.linalg.LinAlgError as error:
        raise first.objective.not_positive_definite(first.dtype) from error


def _inverse_of(problem: Problem[TrainingData], verbose: int) -> PrimalInverse | DualInverse:
    data = problem.data
    if isinstance(data, TrainingRows) and is_dual(*data.X.shape):
        return DualInverse(cast("Problem[TrainingRows]", problem), verbose)
    return PrimalInverse(problem, verbose)


class PrimalInverse:
    """The inverse C of the items x items matrix A, computed once for all problems that share it.

    It is stored as the lower triangle of -C.
    """

    def __init__(self, problem: Problem[TrainingData], verbose: int) -> None:
        A, self._n, self._times_gram = _normal_matrix(problem.data, problem.objective.user_exponent)
        self._gram_diagonal = A.diagonal().astype(np.float64)
        self._penalty = problem.objective.penalty(A.diagonal(), self._n)
        A[np.diag_indices_from(A)] += self._penalty.astype(A.dtype)
        negated_inverse(A, verbose=verbose)
        self._diagonal = -A.diagonal()
        self._negated = A

    def solution(
        self, problem: Problem[TrainingData], *, overwrite: bool, has_residual: bool
    ) -> Solution:
        """Return the solution of a problem; `overwrite` lets it overwrite the inverse."""
        P = self._negated if overwrite else self._negated.copy()
        scaling, penalty = problem.scaling(self._diagonal, self._penalty), self._penalty
        rows, columns = 1 / scaling.item_scale, scaling.multipliers * scaling.item_scale
        mirror_and_scale(P, rows.astype(P.dtype), columns.astype(P.dtype))
        np.fill_diagonal(P, 0)
        residual = None
        if has_residual:
            times_inverse = _times_inverse(P, scaling, rows, columns)
            residual = _residual(times_inverse, self._times_gram, penalty)
        unexplained = 1 / scaling.inverse_diagonal - penalty
        if unexplained.sum() < _LEAST_LEFT * np.finfo(P.dtype).eps * penalty.sum():
            regressions = partial(_regressions, P, rows, columns * scaling.inverse_diagonal)
            explained = _explained(self._times_gram, regressions, len(penalty))
            unexplained = self._gram_diagonal - explained
        return scaling.solution(DenseWeights(P), self._n, residual, np.maximum(unexplained, 0))


class DualInverse:
    """The inverse M of the users x users matrix, computed once for all problems that share it."""

    def __init__(self, problem: Problem[TrainingRows], verbose: int) -> None:
        objective = problem.objective
        self._X, self._user_weights = X, weights = problem.data.weighted(objective.user_exponent)
        self._n = float(weights.sum(dtype=np.float64))
        self._penalty = objective.penalty(column_squares(X, weights), self._n)
        self._M = np.zeros((X.shape[0], X.shape[0]), X.dtype)
        self._items = X.T.tocsr()
        add_gram(self._items, (1 / self._penalty).astype(X.dtype), self._M)
        self._M[np.diag_indices_from(self._M)] += 1 / weights
        invert(self._M, verbose=verbose)
        self._explained = _quadratic_forms(X, self._items, self._M) / self._penalty

    def solution(
        self,
        problem: Problem[TrainingData],
        *,
        overwrite: bool,  # has no effect, as all solutions share M
        has_residual: bool,
    ) -> Solution:
        """Return the solution of a problem; its weights are a product with M, not evaluated."""
        penalty, explained, dtype = self._penalty, self._explained, self._X.dtype
        scaling = problem.scaling((1 - explained) / penalty, penalty)
        input_scale = 1 / (penalty * scaling.item_scale)
        output_scale = scaling.multipliers * scaling.item_scale / penalty
        diagonal = explained * scaling.multipliers / penalty
        scales = (scale.astype(dtype) for scale in (input_scale, output_scale, diagonal))
        weights = DualWeights(self._items, self._M, *scales)
        residual = None
        if has_residual:
            times_gram = _times_gram(self._X, self._user_weights)
            residual = _residual(self._times_inverse, times_gram, penalty)
        unexplained = penalty * explained / (1 - explained)
        return scaling.solution(weights, self._n, residual, unexplained)

    def _times_inverse(self, V: Array) -> Array:
        """Return C V for the inverse C of the items x items matrix."""
        penalty, M = self._penalty[:, None], self._M
        U: Array = self._items @ (M @ (self._X @ (V / penalty)).astype(M.dtype))
        return np.asarray((V - U) / penalty)


def _regressions(P: Array, rows: Array, columns: Array, block: slice) -> Array:
    """Return the ridge regressions of some items on all others, by undoing the scaling of P."""
    weights: Array = P[:, block] / rows[:, None]
    weights /= columns[None, block]
    return weights


def _explained(times_gram: Product, regressions: Callable[[slice], Array], n_items: int) -> Array:
    """Return, for each item, the part of its square G_jj that its regression explains.

    This is g' w for the item's column g of G and the regression w on the other items.
    """
    explained = np.empty(n_items)
    for block in blocks(n_items, _COLUMNS):
        products = times_gram(regressions(block))
        explained[block] = products[block].diagonal()
    return explained


def _times_inverse(P: Array, scaling: ColumnScaling, rows: Array, columns: Array) -> Product:
    """Return the function that maps V to C V, where P is the scaled inverse C."""

    def times_inverse(V: Array) -> Array:
        U: Array = P @ (V / columns[:, None]).astype(P.dtype)
        return scaling.inverse_diagonal[:, None] * V - U / rows[:, None]

    return times_inverse


def _normal_matrix(data: TrainingData, user_exponent: float) -> tuple[Array, float, Product]:
    """Return a new array of G, the sum n of the weights, and the function that maps V to G V."""
    if isinstance(data, TrainingGram):
        scale = data.n_rows / data.total_weight
        A = np.empty(data.matrix.shape, data.dtype)
        np.multiply(data.matrix, scale, out=A, casting="same_kind")
        return A, float(data.n_rows), _times_matrix(data.matrix, scale)
    X, weights = data.weighted(user_exponent)
    n = float(weights.sum(dtype=np.float64))
    A = np.zeros((X.shape[1], X.shape[1]), X.dtype)
    add_gram(X, weights, A)
    release_free_memory()  # memory of the products, before the inverse allocates its own
    return A, n, _times_gram(X, weights)


def _times_matrix(matrix: Array, scale: float) -> Product:
    return lambda V: scale * np.asarray(matrix @ V.astype(matrix.dtype))


def _times_gram(X: sp.csr_array[Any], weights: Array) -> Product:
    return lambda V: np.asarray(X.T @ (weights[:, None] * (X @ V)))


def _quadratic_forms(X: sp.csr_array[Any], items: sp.csr_array[Any], M: Array) -> Array:
    """Return x_j' M x_j for each column x_j of X; `items` is the transpose of X."""
    n_users, n_items = X.shape

    def part(users: slice) -> Array:
        products = items @ np.ascontiguousarray(M[:, users])  # rows x_j' M, for these users
        rows = X[users]
        own = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        values = rows.data.astype(np.float64) * products[rows.indices, own]
        return np.bincount(rows.indices, values, minlength=n_items)

    parts = map_on_threads(part, blocks(n_users, block_rows(n_users, n_items)))
    return np.asarray(np.sum(parts, axis=0))


def _residual(times_inverse: Product, times_gram: Product, penalty: Array) -> float:
    """Return ||A C V - V|| / ||V||, the relative residual of C, for a few random columns V."""
    V = np.random.default_rng(0).standard_normal((len(penalty), _PROBES))
    U = times_inverse(V)
    missed = times_gram(U) + penalty[:, None] * U - V
    return float(np.linalg.norm(missed) / np.linalg.norm(V))
