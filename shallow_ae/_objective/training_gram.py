"""The Gram matrix of training rows, with rows added and removed, for `partial_fit` and `forget`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.columns import appended, square_of_columns, vector_of_columns
from shallow_ae._linalg.csr import items_per_user
from shallow_ae._linalg.gram import add_gram
from shallow_ae._linalg.inverse import mirror_and_scale
from shallow_ae._objective.objective import check_finite, exponent_of, item_counts
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_some_left

GRAM_DTYPE = np.float64  # so that subtracted rows leave almost no rounding errors


@dataclass(frozen=True)
class TrainingGram:
    """The sum of w_u x_u' x_u over the training rows, and other statistics that a fit needs."""

    matrix: Array  # of shape (n_items, n_items), with weights in units of 2^exponent
    total_weight: float  # sum of the weights w_u, in units of 2^exponent
    n_rows: int
    item_counts: Array
    largest: Array  # largest values of the diagonal so far; rounding errors are relative to them
    n_users: Array  # number of users of each item with sample weight > 0
    user_exponent: float
    dtype: np.dtype[Any]  # of the data
    exponent: int  # exponent of the largest sample weight so far

    @property
    def n_entries(self) -> int:
        """Return how many numbers are stored."""
        return self.matrix.size

    def mean_squared_length(self, user_exponent: float) -> float:
        """Return the mean of w_u ||x_u||^2 over the users, for weights w_u with mean 1."""
        self.check_exponent(user_exponent)
        diagonal = self.matrix.diagonal()
        return float(diagonal.sum(dtype=np.float64) / self.total_weight)

    def learn(
        self, X: sp.csr_array[Any], sample_weight: Array, user_exponent: float
    ) -> TrainingGram:
        """Return the training data with rows added."""
        self.check_exponent(user_exponent)
        both = self.added(X, sample_weight)
        both.check_total()
        return both

    def added(self, X: sp.csr_array[Any], sample_weight: Array) -> TrainingGram:
        """Return the sum over these and further rows, whose weights may all be 0."""
        return self._in_units_for(sample_weight)._plus(X, sample_weight, sign=1)

    def check_total(self) -> None:
        """Raise an error if the sum of the weights is 0."""
        with np.errstate(divide="ignore"):
            check_finite("user_exponent", self.user_exponent, 1 / np.array(self.total_weight))

    def forget(
        self, X: sp.csr_array[Any], sample_weight: Array, user_exponent: float
    ) -> TrainingGram:
        """Return the data without the rows of X; raise an error if they cannot be in the sum."""
        X = X.astype(self.dtype, copy=False)  # the dtype that X was learned in
        self.check_exponent(user_exponent)
        before = self._in_units_for(sample_weight)
        return before._checked(before._plus(X, sample_weight, sign=-1))

    def plus(self, other: TrainingGram) -> TrainingGram:
        """Return the training data of both sums."""
        return self._combined(other, sign=1)

    def minus(self, other: TrainingGram) -> TrainingGram:
        """Return the data without the rows of another sum, with the errors of `forget`."""
        before = self._in_units(self._common_exponent(other))
        return before._checked(before._combined(other, sign=-1))

    def exchanged(
        self,
        removed: tuple[sp.csr_array[Any], Array],
        columns: NDArray[np.intp],
        added: tuple[sp.csr_array[Any], Array],
    ) -> TrainingGram | None:
        """Return the data without rows that are known to be in it, and with others.

        `columns` holds, for each column of the added rows, the column of the removed rows with the
        same item, or -1. The result is None if rounding leaves less than eight digits.
        """
        weights = np.concatenate([removed[1], added[1]])
        rest = self._in_units_for(weights)
        if len(removed[1]):
            rest = rest._plus(*removed, sign=-1)
            if rest._loses_digits():
                return None
            rest._clear(rest.n_users <= 0)
        rest = rest.of_columns(columns)
        return rest._plus(*added, sign=1) if len(added[1]) else rest

    def with_items(self, n_items: int) -> TrainingGram:
        """Return the data with further items, which have no users."""
        return self.of_columns(appended(len(self.matrix), n_items))

    def _loses_digits(self) -> bool:
        left = self.matrix.diagonal()
        return bool(((self.n_users > 0) & (left < 1e-8 * self.largest)).any())

    def of_columns(self, columns: NDArray[np.intp]) -> TrainingGram:
        """Return the data of the given columns; -1 stands for an item without users."""
        if np.array_equal(columns, np.arange(len(self.matrix))):
            return self
        return replace(
            self,
            matrix=square_of_columns(self.matrix, columns),
            item_counts=vector_of_columns(self.item_counts, columns),
            largest=vector_of_columns(self.largest, columns),
            n_users=vector_of_columns(self.n_users, columns),
        )

    def _checked(self, rest: TrainingGram) -> TrainingGram:
        """Return the rest of this sum, or raise an error if it is not a part of this sum."""
        left, held = rest.matrix.diagonal().copy(), rest.n_users > 0
        too_small = held & (left < -1e-9 * self.largest)
        if rest.n_rows < 0 or (rest.n_users < 0).any() or too_small.any():
            raise ValueError(
                "X has rows that are not training rows: some of its items have more users or "
                "larger values than in all rows so far. Pass rows and sample weights exactly as "
                "they were passed to `fit` or `partial_fit`. Nothing was forgotten."
            )
        check_some_left(rest.n_rows > 0 and rest.total_weight > 1e-9 * self.total_weight)
        if rest._loses_digits():
            warn_caller(
                "The forgotten rows were so large that, after rounding, the sum over the remaining "
                "rows is exact to less than eight digits. Call `fit` on the remaining rows."
            )
        rest._clear(~held)
        return rest

    def without(self, X: sp.csr_array[Any], sample_weight: Array) -> TrainingGram:
        """Return the training data without the rows of X, which are known to be in it."""
        rest = self._in_units_for(sample_weight)._plus(X, sample_weight, sign=-1)
        rest._clear(rest.n_users <= 0)
        return rest

    def _clear(self, unknown: Array) -> None:
        """Set the sums of items without users to exactly 0, to remove rounding errors."""
        self.matrix[unknown], self.matrix[:, unknown], self.item_counts[unknown] = 0, 0, 0

    def check_exponent(self, user_exponent: float) -> None:
        """Raise an error if the rows were weighted with another `user_exponent`."""
        if user_exponent != self.user_exponent:
            raise ValueError(
                f"`user_exponent`={user_exponent:g} cannot be changed from "
                f"{self.user_exponent:g} after `fit`: the model keeps only a weighted sum of the "
                "rows. Call `fit`."
            )

    def _in_units_for(self, sample_weight: Array) -> TrainingGram:
        """Return the same data in units in which sums with these sample weights do not overflow."""
        exponents = [self.exponent] * (self.n_rows > 0)
        if sample_weight.any():
            exponents.append(exponent_of(sample_weight))
        return self._in_units(max(exponents, default=0))

    def _common_exponent(self, other: TrainingGram) -> int:
        return max([data.exponent for data in (self, other) if data.n_rows], default=0)

    def _combined(self, other: TrainingGram, *, sign: int) -> TrainingGram:
        exponent = self._common_exponent(other)
        one, two = self._in_units(exponent), other._in_units(exponent)
        matrix = one.matrix + two.matrix if sign > 0 else one.matrix - two.matrix
        return replace(
            one,
            matrix=matrix,
            total_weight=one.total_weight + sign * two.total_weight,
            n_rows=one.n_rows + sign * two.n_rows,
            item_counts=one.item_counts + sign * two.item_counts,
            largest=np.maximum(np.maximum(one.largest, two.largest), matrix.diagonal()),
            n_users=one.n_users + sign * two.n_users,
            dtype=np.result_type(one.dtype, two.dtype),
        )

    def _in_units(self, exponent: int) -> TrainingGram:
        """Return the same data with weights in units of 2^exponent."""
        shift = self.exponent - exponent
        if not shift or not self.n_rows:
            return replace(self, exponent=exponent)
        return replace(
            self,
            matrix=np.ldexp(self.matrix, shift),
            total_weight=float(np.ldexp(self.total_weight, shift)),
            largest=np.ldexp(self.largest, shift),
            exponent=exponent,
        )

    def _plus(self, X: sp.csr_array[Any], sample_weight: Array, *, sign: int) -> TrainingGram:
        with np.errstate(over="ignore"):
            weights = np.ldexp(sample_weight, -self.exponent)
            weights *= items_per_user(X) ** -self.user_exponent
        check_finite("user_exponent", self.user_exponent, weights)
        matrix = self.matrix.copy()
        add_gram(X.astype(matrix.dtype), (sign * weights).astype(matrix.dtype), matrix)
        ones = np.ones(len(matrix))
        mirror_and_scale(matrix, ones, ones)
        return TrainingGram(
            matrix=matrix,
            total_weight=self.total_weight + sign * float(weights.sum()),
            n_rows=self.n_rows + sign * X.shape[0],
            item_counts=self.item_counts + sign * item_counts(X, sample_weight),
            largest=np.maximum(self.largest, matrix.diagonal()),
            n_users=self.n_users + sign * item_counts(X, sample_weight > 0),
            user_exponent=self.user_exponent,
            dtype=np.result_type(self.dtype, X.dtype),
            exponent=self.exponent,
        )


def gram_of(
    X: sp.csr_array[Any], sample_weight: Array, user_exponent: float, dtype: Any
) -> TrainingGram:
    """Return the Gram matrix of the rows of X, summed in `dtype`."""
    return empty_gram(X, user_exponent, dtype).learn(X, sample_weight, user_exponent)


def empty_gram(X: sp.csr_array[Any], user_exponent: float, dtype: Any) -> TrainingGram:
    """Return a sum over no rows, to which rows with the items and the dtype of X can be added."""
    n_items = X.shape[1]
    return TrainingGram(
        matrix=np.zeros((n_items, n_items), dtype),
        total_weight=0,
        n_rows=0,
        item_counts=np.zeros(n_items),
        largest=np.zeros(n_items),
        n_users=np.zeros(n_items),
        user_exponent=user_exponent,
        dtype=X.dtype,
        exponent=0,
    )


def keeps_gram(n_entries: int, n_items: int) -> bool:
    """Return whether a model keeps the Gram matrix: whether it is not larger than the rows."""
    return n_entries >= n_items**2
