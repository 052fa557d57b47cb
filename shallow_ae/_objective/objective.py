"""How much each user and each item counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import column_squares, items_per_user, sum_by_item
from shallow_ae._typing import Array, Interactions


def user_weights(X: Interactions, sample_weight: Array, user_exponent: float) -> Array:
    """Return the weight of each user in the objective, scaled to a mean of 1.

    A user counts sample_weight * (number of the user's items) ** -user_exponent.
    """
    n_items = items_per_user(X)
    shares = n_items / n_items.max()  # no power of them is large alone
    weights = np.ldexp(sample_weight, -exponent_of(sample_weight))  # nor is their sum
    with np.errstate(over="ignore", invalid="ignore"):
        weights *= shares**-user_exponent
        weights = np.asarray(weights * (len(weights) / weights.sum()), dtype=X.dtype)
    check_finite("user_exponent", user_exponent, weights)
    return weights


def exponent_of(weights: Array) -> int:
    """Return e for which the largest weight is between 1 and 2 times 2^e.

    To scale by a power of two is exact: nothing but the ratios of weights decides on a result.
    """
    return int(np.frexp(weights.max())[1]) - 1


def check_item_exponent(counts: Array, exponent: float, dtype: Any) -> None:
    """Raise an error if weights scaled by (users of j / users of i) ** exponent might overflow."""
    present = counts[counts > 0] if counts.any() else np.ones(1)
    with np.errstate(over="ignore"):
        ratio = present.max() / present.min()
        scales = np.asarray(1e3 * ratio ** np.abs(exponent)).astype(dtype)  # of weights beyond 1
    check_finite("item_exponent", exponent, scales)


def item_counts(X: Interactions, sample_weight: Array) -> Array:
    """Return how many users have each item, their sample weights summed, in float64."""
    if isinstance(X, sp.csr_array):
        return sum_by_item(X, sample_weight)
    return np.asarray(np.einsum("u,ui->i", sample_weight.astype(np.float64), X != 0))


def item_penalty(
    X: Interactions, mean_weights: Array, regularization: float, dropout: float
) -> Array:
    """Return the penalty on the squared weights of each item's row; one number if all are equal.

    `dropout` is not a random mask but its expectation over all masks, in closed form: items left
    out at random, and the others scaled up to match, add dropout / (1 - dropout) times an item's
    mean square to its penalty. The minimum is the one that masks have on average, without their
    noise and for next to no time.
    """
    if not dropout:
        return np.full(1, regularization)
    return regularization + dropout / (1 - dropout) * column_squares(X, mean_weights)


def scale_by_counts(P: Array, counts: Array, exponent: float) -> None:
    """Multiply P_ij by (users of j / users of i) ** exponent, in place; none counts as one."""
    if exponent:
        scale = count_scale(counts, exponent).astype(P.dtype)
        P /= scale[:, None]
        P *= scale[None, :]


def count_scale(counts: Array, exponent: float) -> Array:
    """Return (users of an item, relative to the most popular) ** exponent.

    An item that nobody has, whose weights are 0, counts as the most popular.
    """
    if not exponent:
        return np.ones(len(counts))
    return np.asarray(np.where(counts > 0, counts / (counts.max() or 1), 1.0) ** exponent)


def too_large(dtype: np.dtype[Any]) -> str:
    """Return what to say of data whose squares cannot be summed."""
    return (
        f"X has values whose squares are too large for {dtype}. Scale it down, or take logarithms "
        "of counts."
    )


def check_regularization(regularization: float, penalty: Any, dtype: np.dtype[Any]) -> None:
    """Raise an error if what it leads to is too large for the type of the data."""
    if not np.max(penalty) <= np.finfo(dtype).max:
        wider = ", or pass float64 data" if dtype == np.float32 else ""
        raise ValueError(
            f"`regularization`={regularization:g} is too large for {dtype}: the sum over users "
            f"must be below {np.finfo(dtype).max:.1e}. Lower it{wider}."
        )


def check_finite(name: str, value: float, numbers: Array) -> None:
    """Raise an error if a parameter has led to numbers that are too large for their type."""
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"`{name}`={value:g} gives weights that are too large for {numbers.dtype}: choose it "
            "nearer to 0."
        )
