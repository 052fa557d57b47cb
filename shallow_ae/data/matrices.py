"""Validation of matrices and frames, and alignment of columns by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array, Interactions
from shallow_ae.data.arguments import plain
from shallow_ae.data.matrix_errors import check_names_of_items, missing_in, text_in
from shallow_ae.data.sparse_formats import check_format


def check_interactions(
    estimator: Any, X: Any, *, reset: bool, ensure_all_finite: bool = True
) -> Interactions:
    """Return a users x items matrix as float ndarray or canonical csr_array, never writing to `X`.

    float64 stays float64, all other types become float32. A csr result has summed duplicates,
    sorted indices and no explicit zeros. Each stored entry therefore *is* an interaction, and no
    result depends on the storage of the caller's matrix.
    """
    if is_dask(X):
        raise TypeError(
            f"{type(estimator).__name__} takes rows in memory here, got a Dask array: call "
            "X.compute(). Models take Dask arrays in `fit`, `partial_fit`, `forget`, `predict` and "
            "`recommend`; searches for parameters do not."
        )
    sparse = sp.issparse(X)
    frame = None if sparse or isinstance(X, np.ndarray) else as_frame(X)
    if frame is not None and reset:
        check_names_of_items(frame)
    given = _sparse_floats(X) if sparse else native_order(_with_names(X, frame))
    checks: dict[str, Any] = {
        "accept_sparse": "csr",
        "dtype": [np.float32, np.float64],
        "ensure_all_finite": False,
    }
    if sparse and not reset and hasattr(estimator, "feature_names_in_"):
        # A sparse matrix has no column names, and scikit-learn would warn of that in every call.
        checked = check_array(given, estimator=estimator, input_name="X", **checks)
        check_width(estimator, checked.shape[1])
    else:
        with _told_by(lambda: None if sparse else text_in(X, frame)):
            checked = validate_data(estimator, given, reset=reset, **checks)
    # A frame may have become sparse.
    rows = canonical(checked) if sp.issparse(checked) else native_order(np.asarray(checked))
    if ensure_all_finite:
        with _told_by(lambda: missing_in(rows, frame)):
            assert_all_finite(rows, input_name="X")
    return rows


@contextmanager
def _told_by(better: Callable[[], Exception | None]) -> Iterator[None]:
    """Replace an error by a better one, if there is one."""
    try:
        yield
    except (TypeError, ValueError) as error:
        told = better()
        if told is None:
            raise
        raise told from error


def checked_block(estimator: Any, block: Any, n_items: int) -> sp.csr_array[Any]:
    """Return a block of rows of a larger matrix, checked for an estimator that is not fitted.

    A block may have no rows.
    """
    if block.ndim != 2 or block.shape[1] != n_items:
        raise ValueError(f"The block has shape {block.shape}, expected (n_users, {n_items}).")
    if not block.shape[0]:
        is_double = block.dtype == np.float64
        no_rows = np.empty((0, n_items), np.float64 if is_double else np.float32)
        return sp.csr_array(no_rows)
    return sp.csr_array(check_interactions(copy(estimator), block, reset=True))


def _sparse_floats(X: Any) -> Any:
    """Return a sparse matrix of real numbers as canonical float32 or float64."""
    check_format(X)
    if X.dtype.kind not in "biuf":
        return X  # scikit-learn raises the error
    if X.dtype.kind in "iu":
        X = canonical(X)  # sums duplicates exactly, before the conversion to float
    is_double = X.dtype.kind == "f" and X.dtype.itemsize == 8
    return canonical(X.astype(np.float64 if is_double else np.float32, copy=False))


def native_order(X: Any) -> Any:
    """Return an array or matrix in the byte order of this machine."""
    is_matrix = isinstance(X, np.ndarray) or sp.issparse(X)
    if is_matrix and not X.dtype.isnative:
        return X.astype(X.dtype.newbyteorder("="))
    return X


def as_frame(given: Any) -> nw.DataFrame[Any] | None:
    """Return a DataFrame of any library as a narwhals DataFrame, and None for anything else."""
    frame = nw.from_native(given, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        name, method = type(given).__name__, "compute" if is_dask(given) else "collect"
        raise TypeError(f"Expected a frame with rows in memory, got {name}: call its `{method}()`.")
    return frame if isinstance(frame, nw.DataFrame) else None


def _with_names(X: Any, frame: nw.DataFrame[Any] | None) -> Any:
    """Return a DataFrame of any library as a pandas DataFrame, and anything else unchanged.

    For frames of other libraries, it depends on the versions whether scikit-learn finds the column
    names.
    """
    if frame is None or frame.implementation.is_pandas():
        return X
    return pd.DataFrame(frame.to_numpy(), columns=frame.columns, copy=False)


def check_width(estimator: Any, n_items: int) -> None:
    """Raise a ValueError if the estimator was fitted to another number of items."""
    if n_items != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_items} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input: a column for each item seen in fit."
        )


def aligned_by_name(estimator: Any, X: Any) -> Any:
    """Return a frame with the columns that the estimator was fitted to, and other types unchanged.

    scikit-learn's own methods refuse a frame with different columns or a different column order.
    """
    if sp.issparse(X) or isinstance(X, np.ndarray):
        return X
    frame = as_frame(X)
    if frame is None:
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
        check_names_of_items(frame)
        raise ValueError(
            f"None of the {len(given):,} columns of X is an item seen in fit: found names such as "
            f"{given[0]!r}, expected names such as {names[0]!r}."
        )
    if len(known) < len(given):
        warn_caller(
            f"{len(given) - len(known):,} of {len(given):,} columns of X are items that were not "
            f"seen in fit, such as {next(n for n in given if n not in places)!r}; they are left "
            "out."
        )
    values = frame.select(known).to_numpy()
    aligned = np.zeros((len(values), len(names)), values.dtype)
    aligned[:, [places[name] for name in known]] = values
    return pd.DataFrame(aligned, columns=names, copy=False)


def with_new_items(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return a copy of a fitted estimator that knows the new items of X, and X in its order.

    X has new items if it is a DataFrame with all column names of the fit, in the same order, and
    further ones. The columns of the new items become the last ones.
    """
    trial, frame = copy(estimator), None if sp.issparse(X) else as_frame(X)
    names = getattr(estimator, "feature_names_in_", None)
    if frame is None or names is None or not all(isinstance(n, str) for n in frame.columns):
        return trial, X
    known = set(names)
    new = [name for name in frame.columns if name not in known]
    if not new or [name for name in frame.columns if name in known] != list(names):
        return trial, X  # scikit-learn's check tells what is missing or in another order
    trial.feature_names_in_ = np.array([*names, *new], dtype=object)
    trial.n_features_in_ = len(trial.feature_names_in_)
    return trial, frame.select([*names, *new]).to_native()


def _numbered(X: Any, labels: list[Any]) -> Any:
    """Return a frame whose column labels are 0, 1, 2, ...; refuse all other non-string labels."""
    if labels != list(range(len(labels))):
        raise ValueError(
            f"The columns of X are labelled {plain(labels[0])!r}, {plain(labels[-1])!r} and so "
            "on. fit stores column names for comparison only if all are strings: set "
            "X.columns = X.columns.astype(str), before fit too."
        )
    return X


def canonical(X: Any) -> sp.csr_array[Any]:
    """Return `X` as csr_array with summed duplicates, sorted indices and no stored zeros.

    If a sum of integers does not fit its type, the result is int64, or float64 if a sum reaches
    2**53.
    """
    if sp.issparse(X):
        check_format(X)
    rows = _summed(native_order(X))
    if rows.ndim != 2:
        raise ValueError(
            f"Expected a users x items matrix, got an array of shape {rows.shape}. For one user, "
            "pass a matrix with one row."
        )
    if not np.all(rows.data):
        rows = rows.copy()  # `eliminate_zeros` works in place, and the arrays may be the caller's
        rows.eliminate_zeros()
    return rows


def _summed(X: Any) -> sp.csr_array[Any]:
    """Return `X` as csr_array with summed duplicates and sorted indices."""
    if not sp.issparse(X):
        X = _supported(np.asarray(X))
    rows = sp.csr_array(X)  # SciPy sums the duplicates of a coo matrix in their own type
    is_integer = rows.dtype.kind in "iu"
    if is_integer and getattr(X, "format", None) == "coo" and rows.nnz < X.nnz:
        return _narrowed(sp.csr_array(X.astype(np.float64)), rows.dtype)
    if rows.has_canonical_format:
        return rows
    if is_integer:
        exact = rows.astype(np.float64)
        exact.sum_duplicates()
        if exact.nnz < rows.nnz:
            return _narrowed(exact, rows.dtype)
    rows = rows.copy()
    rows.sum_duplicates()
    return rows


def _supported(X: Array) -> Array:
    """Return an array in a type of which SciPy has sparse matrices."""
    if X.dtype == np.float16:
        return X.astype(np.float32)
    if X.dtype != object:
        return X
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected a users x items matrix of numbers: {error}.") from error


def _narrowed(sums: sp.csr_array[Any], dtype: np.dtype[Any]) -> sp.csr_array[Any]:
    """Return integer sums as `dtype` if it can represent them, else as int64 or float64."""
    low, high = sums.data.min(), sums.data.max()
    if max(-low, high) >= 2**53:
        return sums  # float64 may have rounded them
    bounds = np.iinfo(dtype)
    return sums.astype(dtype if bounds.min <= low and high <= bounds.max else np.int64)
