"""The objective: its parameters, and the weights and penalties of users and items.

For rows x_u with weights w_u that sum to n, the objective is

    (1/n) * sum_u w_u ||x_u - x_u P||^2  +  (1/n) * sum_i Lambda_i ||P_i||^2,
    Lambda_i = n * regularization + dropout / (1 - dropout) * G_ii,    G = X'WX,

where P_i is row i of P. It is minimized over P with 0 <= diag(P) <= diagonal_slack.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import column_squares, items_per_user, row_squares, sum_by_item
from shallow_ae._typing import Array, Interactions


class Objective(NamedTuple):
    """The parameters of the objective, which do not depend on the solver."""

    regularization: float
    dropout: float
    diagonal_slack: float
    user_exponent: float
    item_exponent: float

    def check_has_closed_form(self) -> None:
        """Raise an error if there is no penalty: the closed form does not exist then."""
        if not self.regularization and not self.dropout:
            raise ValueError(
                "`regularization`=0 must be > 0 here, unless `dropout` is > 0: the closed form "
                "does not exist without a penalty. Start with 0.02."
            )

    def penalty(self, gram_diagonal: Array, n: float) -> Array:
        """Return Lambda; it is 1 for an item with neither users nor a penalty."""
        if not np.isfinite(gram_diagonal).all():
            raise ValueError(too_large(gram_diagonal.dtype))
        share = self.dropout / (1 - self.dropout)
        penalty = n * self.regularization + share * gram_diagonal.astype(np.float64)
        check_regularization(self.regularization, gram_diagonal + penalty, gram_diagonal.dtype)
        return np.where(penalty > 0, penalty, 1.0)

    def not_positive_definite(self, dtype: np.dtype[Any]) -> ValueError:
        """Return the error for a matrix that is not positive definite after rounding."""
        wider = ", or pass float64 data" if dtype == np.float32 else ""
        return ValueError(
            f"`regularization`={self.regularization:g} is too small for these data in {dtype}: "
            "the matrix to be inverted is not positive definite after rounding. Raise "
            f"`regularization`{wider}."
        )


def user_weights(X: Interactions, sample_weight: Array, user_exponent: float) -> Array:
    """Return the weight of each user in the objective, scaled to a mean of 1.

    The weight of a user is proportional to
    sample_weight * (number of the user's items) ** -user_exponent.
    """
    units = items_per_user(X).max(), exponent_of(sample_weight)
    weights = unscaled_user_weights(X, sample_weight, user_exponent, *units)
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.asarray(weights * (len(weights) / weights.sum()), dtype=X.dtype)
    check_finite("user_exponent", user_exponent, weights)
    return weights


def unscaled_user_weights(
    X: Interactions, sample_weight: Array, user_exponent: float, most_items: float, exponent: int
) -> Array:
    """Return sample_weight * (number of the user's items) ** -user_exponent in certain units.

    In units of the largest number of items of a user, `most_items`, and of 2^exponent, the exponent
    of the largest sample weight, neither powers nor sums overflow.
    """
    weights = np.ldexp(sample_weight, -exponent)
    with np.errstate(over="ignore", invalid="ignore"):
        weights *= (items_per_user(X) / most_items) ** -user_exponent
    return weights


def exponent_of(weights: Array) -> int:
    """Return the exponent e such that the largest weight lies between 2^e and 2^(e + 1).

    Scaling by a power of two is exact, so that a result depends only on the ratios of weights.
    """
    return int(np.frexp(weights.max())[1]) - 1


def check_item_exponent(counts: Array, exponent: float, dtype: Any) -> None:
    """Raise an error if weights scaled by (users of j / users of i) ** exponent might overflow."""
    present = counts[counts > 0] if counts.any() else np.ones(1)
    with np.errstate(over="ignore"):
        ratio = present.max() / present.min()
        # The factor 1e3 leaves room for weights beyond 1.
        scales = np.asarray(1e3 * ratio ** np.abs(exponent)).astype(dtype)
    check_finite("item_exponent", exponent, scales)


def item_counts(X: Interactions, sample_weight: Array) -> Array:
    """Return the sum of the sample weights of each item's users, in float64."""
    if isinstance(X, sp.csr_array):
        return sum_by_item(X, sample_weight)
    return np.asarray(np.einsum("u,ui->i", sample_weight.astype(np.float64), X != 0))


def sum_of_squares(X: Interactions, weights: Array) -> float:
    """Return the sum of w_u ||x_u||^2 over the users, in float64."""
    with np.errstate(over="ignore"):  # a later check raises an error if a sum is infinite
        return float(row_squares(X).astype(np.float64) @ weights.astype(np.float64))


def mean_squared_length(X: Interactions, weights: Array) -> float:
    """Return the weighted mean of ||x_u||^2 over the users, in float64."""
    return sum_of_squares(X, weights) / float(weights.sum(dtype=np.float64))


def item_penalty(
    X: Interactions, mean_weights: Array, regularization: float, dropout: float
) -> Array:
    """Return the factor on the squares of row i of P, for each item i; one number if all are equal.

    `dropout` is applied as the expected objective over random masks, in closed form. A mask removes
    items from a user's row at random and divides the others by (1 - dropout). In expectation,
    this adds dropout / (1 - dropout) times an item's mean square to its factor, without the noise
    of masks and at almost no cost.
    """
    if not dropout:
        return np.full(1, regularization)
    return regularization + dropout / (1 - dropout) * column_squares(X, mean_weights)


def scale_by_counts(P: Array, counts: Array, exponent: float) -> None:
    """Multiply P_ij by (users of j / users of i) ** exponent, in place.

    An item without users counts as the most popular item.
    """
    if exponent:
        scale = count_scale(counts, exponent).astype(P.dtype)
        P /= scale[:, None]
        P *= scale[None, :]


def count_scale(counts: Array, exponent: float) -> Array:
    """Return (users of the item / users of the most popular item) ** exponent for each item.

    An item without users counts as the most popular item; its weights are 0.
    """
    if not exponent:
        return np.ones(len(counts))
    return np.asarray(np.where(counts > 0, counts / (counts.max() or 1), 1.0) ** exponent)


def too_large(dtype: np.dtype[Any]) -> str:
    """Return the error message for data whose squares overflow."""
    return (
        f"X has values whose squares are too large for {dtype}. Scale X down, or take logarithms "
        "of counts."
    )


def check_regularization(regularization: float, penalty: Any, dtype: np.dtype[Any]) -> None:
    """Raise an error if the penalty is too large for the dtype of the data."""
    if not np.max(penalty) <= np.finfo(dtype).max:
        wider = ", or pass float64 data" if dtype == np.float32 else ""
        raise ValueError(
            f"`regularization`={regularization:g} is too large for {dtype}: the penalty, summed "
            f"over users, must be below {np.finfo(dtype).max:.1e}. Lower it{wider}."
        )


def check_finite(name: str, value: float, numbers: Array) -> None:
    """Raise an error if a parameter has made numbers infinite or NaN."""
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"`{name}`={value:g} gives weights that are too large for {numbers.dtype}. Choose a "
            "value nearer to 0."
        )
