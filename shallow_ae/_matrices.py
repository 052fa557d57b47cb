"""Validation of matrices. What is returned is finite, floating point, and ndarray or csr_array."""

from __future__ import annotations

import warnings
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from shallow_ae._typing import Interactions


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
