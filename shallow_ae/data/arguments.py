"""Validation of parameters, sample weights and other arguments."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from shallow_ae._typing import Array


def check_sample_weight(
    sample_weight: ArrayLike | None, n_users: int, *, may_be_zero: bool = False
) -> Array:
    """Return one weight >= 0 for each user in float64; None means 1 for all users."""
    from sklearn.utils import check_array  # a serving process checks arguments without scikit-learn

    if sample_weight is None:
        return np.ones(n_users)
    weights: Array = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (n_users,):
        raise ValueError(
            f"`sample_weight` has shape {weights.shape}, expected ({n_users},): "
            "one number for each row of X."
        )
    if weights.min() < 0 or not (may_be_zero or weights.any()):
        raise ValueError(
            f"`sample_weight` must be >= 0 and not all zero, found a minimum of {weights.min()} "
            f"and a sum of {_sum(weights)}."
        )
    if not np.isfinite(_sum(weights)):
        raise ValueError(
            f"`sample_weight` sums up to more than {np.finfo(np.float64).max:.1e}. Only ratios "
            "matter: divide by the largest weight."
        )
    return weights


def _sum(weights: Array) -> float:
    with np.errstate(over="ignore"):
        return float(weights.sum())


def check_real(
    name: str,
    value: Any,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    open_low: bool = False,
    open_high: bool = False,
    or_else: str = "",
) -> float:
    """Return `value` as float if it is a finite number in the interval, else raise an error.

    The error also names `or_else`, another value that the caller has accepted.
    """
    bounds = [f"{'>' if open_low else '>='} {low:g}"] * (low > -np.inf)
    bounds += [f"{'<' if open_high else '<='} {high:g}"] * (high < np.inf)
    wanted = " ".join(["number", " and ".join(bounds)]).strip()
    wanted += f" or {or_else!r}" if or_else else ""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}`={plain(value)!r} must be a {wanted}, got {type(value).__name__}."
        )
    number = float(value)
    too_low = number <= low if open_low else number < low
    too_high = number >= high if open_high else number > high
    if not np.isfinite(number) or too_low or too_high:
        raise ValueError(f"`{name}`={plain(value)!r} must be a finite {wanted}.")
    return number


def check_integer(name: str, value: Any, *, low: int) -> int:
    """Return `value` as int if it is an integer >= `low`, else raise an error."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(
            f"`{name}`={plain(value)!r} must be an integer >= {low}, got {type(value).__name__}."
        )
    if value < low:
        raise ValueError(f"`{name}`={plain(value)!r} must be an integer >= {low}.")
    return int(value)


def check_boolean(name: str, value: Any) -> bool:
    """Return `value` as bool if it is True or False, else raise an error."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}`={plain(value)!r} must be True or False.")
    return bool(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, else raise an error that lists the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{name}`={plain(value)!r} must be one of {', '.join(map(repr, choices))}."
        )
    return value


def plain(value: Any) -> Any:
    """Return a NumPy number or str as the Python value that it equals, for messages."""
    is_plain = isinstance(value, np.generic) and value.dtype.kind in "biufUS"
    return value.item() if is_plain else value


def check_some_left(some_left: bool) -> None:
    """Raise a ValueError unless some training rows remain after an update."""
    if not some_left:
        raise ValueError("Nobody would be left to learn from. Nothing was forgotten.")
