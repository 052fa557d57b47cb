"""The one door for user input: behind it everything is finite, float and csr or ndarray."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

Array: TypeAlias = NDArray[Any]
Interactions: TypeAlias = Array | sp.csr_array[Any]


def check_interactions(
    estimator: Any, X: Any, *, reset: bool, ensure_all_finite: bool = True
) -> Interactions:
    """Return users x items as float ndarray or canonical csr_array, never writing to `X`.

    float64 stays float64, everything else becomes float32. A csr result has its duplicates
    summed, its indices sorted and no explicit zeros, so that an entry *is* an interaction and
    no result depends on how the caller's matrix happened to be stored.
    """
    sparse = sp.issparse(X)
    if sparse and X.dtype.kind in "biuf" and X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float32)  # before the csr conversion sums duplicates: uint8 would overflow
    checks: dict[str, Any] = {
        "accept_sparse": "csr",
        "dtype": [np.float32, np.float64],
        "ensure_all_finite": ensure_all_finite,
    }
    if sparse and not reset and hasattr(estimator, "feature_names_in_"):
        # A sparse matrix has no names, of which scikit-learn would warn in every call.
        X = check_array(X, estimator=estimator, input_name="X", **checks)
        _check_width(estimator, X.shape[1])
    else:
        X = validate_data(estimator, X, reset=reset, **checks)
    return canonical(X) if sp.issparse(X) else np.asarray(X)  # a frame may have become sparse


def _check_width(estimator: Any, n_items: int) -> None:
    if n_items != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_items} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input: a column for each item seen in fit."
        )


def aligned_by_name(estimator: Any, X: Any) -> Any:
    """Return a frame with the columns that the estimator was fitted to; anything else as it is.

    scikit-learn's own methods refuse a frame with other columns, or in another order.
    """
    if sp.issparse(X) or isinstance(X, np.ndarray):
        return X
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return X
    given = list(frame.columns)
    if not all(isinstance(name, str) for name in given):
        return _numbered(X, given)
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or given == list(names):
        return X
    places = {name: place for place, name in enumerate(names)}
    known = [name for name in given if name in places]
    if not known:
        raise ValueError(
            f"None of the {len(given):,} columns of X is an item seen in fit: found "
            f"{given[0]!r}, expected such as {names[0]!r}."
        )
    if len(known) < len(given):
        warnings.warn(
            f"{len(given) - len(known):,} of {len(given):,} columns of X are items that were not "
            f"seen in fit, such as {next(n for n in given if n not in places)!r}; they are left "
            "out.",
            UserWarning,
            stacklevel=4,
        )
    values = frame.select(known).to_numpy()
    aligned = np.zeros((len(values), len(names)), values.dtype)
    aligned[:, [places[name] for name in known]] = values
    return pd.DataFrame(aligned, columns=names, copy=False)


def _numbered(X: Any, labels: list[Any]) -> Any:
    """Return a frame whose columns are numbered in order; refuse other labels than strings."""
    if labels != list(range(len(labels))):
        raise ValueError(
            f"The columns of X are labelled {labels[0]!r}, {labels[-1]!r} and so on. Only names "
            "that are all strings are remembered by fit and can be compared: "
            "X.columns = X.columns.astype(str), before fit too."
        )
    return X


def canonical(X: Any) -> sp.csr_array[Any]:
    """Return `X` as csr_array with summed duplicates, sorted indices and no stored zeros."""
    rows = sp.csr_array(X)
    rows.check_format(full_check=True)  # an index out of range would be followed
    if rows.has_canonical_format and np.all(rows.data):
        return rows
    rows = rows.copy()  # what follows works in place, and the arrays may be the caller's
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def check_sample_weight(
    sample_weight: ArrayLike | None, n_users: int, *, may_be_zero: bool = False
) -> Array:
    """Return one weight >= 0 for each user in float64; None means 1 for everyone."""
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
            f"and a sum of {weights.sum()}."
        )
    return weights


def check_real(
    name: str,
    value: Any,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` if it is a finite number in the interval, else raise naming it."""
    bounds = [f"{'>' if open_low else '>='} {low:g}"] * (low > -np.inf)
    bounds += [f"{'<' if open_high else '<='} {high:g}"] * (high < np.inf)
    wanted = " ".join(["number", " and ".join(bounds)]).strip()
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"`{name}`={value!r} must be a {wanted}, got {type(value).__name__}.")
    number = float(value)
    too_low = number <= low if open_low else number < low
    too_high = number >= high if open_high else number > high
    if not np.isfinite(number) or too_low or too_high:
        raise ValueError(f"`{name}`={value!r} must be a finite {wanted}.")
    return number


def check_integer(name: str, value: Any, *, low: int) -> int:
    """Return `value` as int if it is an integer >= `low`, else raise naming it."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(
            f"`{name}`={value!r} must be an integer >= {low}, got {type(value).__name__}."
        )
    if value < low:
        raise ValueError(f"`{name}`={value!r} must be an integer >= {low}.")
    return int(value)


def check_boolean(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, else raise naming it."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}`={value!r} must be True or False.")
    return bool(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`, else raise naming them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}`={value!r} must be one of {', '.join(map(repr, choices))}.")
    return value


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give the estimator its attributes back when the block raises: a failed fit changes nothing.

    scikit-learn's `validate_data` sets `n_features_in_` before the fit has succeeded.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
