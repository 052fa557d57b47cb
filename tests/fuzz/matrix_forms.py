"""A matrix in every form of storage in which a caller may hold it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp

FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
SPARSE_TYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
DTYPES = (*SPARSE_TYPES, "f2", "g", ">f8", ">i4", "O")


def strided(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a view of every other row and column of a larger array, with other values between."""
    n_rows, n_columns = values.shape
    around = np.ones((2 * n_rows, 2 * n_columns), values.dtype)
    around[::2, ::2] = values
    return around[::2, ::2]


def read_only(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an array that cannot be written to."""
    values = values.copy()
    values.flags.writeable = False
    return values


def sparse(name: str, kind: str) -> Callable[[np.ndarray, np.random.Generator], Any]:
    """Return a function that makes a sparse matrix or sparse array of one format."""

    def make(values: np.ndarray, rng: np.random.Generator) -> Any:
        if name == "bsr":
            return getattr(sp, f"bsr_{kind}")(values, blocksize=(1, values.shape[1]))
        return getattr(sp, f"{name}_{kind}")(values)

    return make


def untidy(name: str) -> Callable[[np.ndarray, np.random.Generator], Any]:
    """Return a function that stores zeros, and entries in parts and in any order."""

    def make(values: np.ndarray, rng: np.random.Generator) -> Any:
        rows, columns = (axis.ravel() for axis in np.indices(values.shape))
        stored = values.ravel()
        if values.dtype.kind not in "b":  # x = x + 1 - 1, which is exact for what targets store
            ones = np.ones_like(stored)
            minus = -ones if values.dtype.kind != "u" else ones * 0
            more = ones if values.dtype.kind != "u" else ones * 0
            stored = np.concatenate([stored, more, minus])
            rows, columns = np.tile(rows, 3), np.tile(columns, 3)
        order = rng.permutation(len(stored))
        stored, rows, columns = stored[order], rows[order], columns[order]
        if name == "coo":
            return sp.coo_array((stored, (rows, columns)), shape=values.shape)
        major, minor = (rows, columns) if name == "csr" else (columns, rows)
        by_major = np.argsort(major, kind="stable")
        n_major = values.shape[0] if name == "csr" else values.shape[1]
        ends = np.cumsum(np.bincount(major, minlength=n_major))
        X = getattr(sp, f"{name}_array")(values.shape, dtype=values.dtype)
        X.data, X.indices = stored[by_major], minor[by_major].astype(np.int64)
        X.indptr = np.concatenate([[0], ends]).astype(np.int64)
        return X

    return make


def named(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns by name."""
    return {f"item {column}": values[:, column] for column in range(values.shape[1])}


DENSE: dict[str, Callable[[np.ndarray, np.random.Generator], Any]] = {
    "array": lambda values, _: values.copy(),
    "fortran": lambda values, _: np.asfortranarray(values),
    "strided": strided,
    "reversed": lambda values, _: values[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
    "masked": lambda values, _: np.ma.masked_array(values),
    "lists": lambda values, _: values.tolist(),
    "tuples": lambda values, _: tuple(map(tuple, values.tolist())),
    "list of arrays": lambda values, _: list(values.copy()),
    "pandas": lambda values, _: pd.DataFrame(named(values)),
    "pandas, numbered": lambda values, _: pd.DataFrame(values.copy()),
    "pandas, rows named": lambda values, _: pd.DataFrame(
        named(values), index=[f"user {row}" for row in range(len(values))][::-1]
    ),
    "polars": lambda values, _: pl.DataFrame(named(values)),
    "pyarrow": lambda values, _: pl.DataFrame(named(values)).to_arrow(),
}
SPARSE = {
    f"{name}_{kind}": sparse(name, kind) for name in FORMATS for kind in ("array", "matrix")
} | {f"untidy {name}": untidy(name) for name in ("csr", "csc", "coo")}
# Frames have no columns of these types.
UNFIT = {"polars": {"f2", "g", ">f8", ">i4", "O"}, "pyarrow": {"f2", "g", ">f8", ">i4", "O"}}


def fits(form: str, dtype: str) -> bool:
    """Return whether values of a type can be held in a form."""
    return dtype in SPARSE_TYPES if form in SPARSE else dtype not in UNFIT.get(form, ())


def in_form(form: str, values: np.ndarray, rng: np.random.Generator) -> Any:
    """Return values in one of the forms."""
    return (SPARSE | DENSE)[form](values, rng)


def snapshot(X: Any) -> Any:
    """Return a copy of all that a form consists of, to compare with later."""
    if sp.issparse(X):
        if X.format in ("dok", "lil"):
            return X.format, repr(X.copy().todok().items())
        names = {"coo": ("data", "coords"), "dia": ("data", "offsets")}
        parts = names.get(X.format, ("data", "indices", "indptr"))
        return X.format, X.shape, *(bits(getattr(X, name)) for name in parts)
    if hasattr(X, "columns"):
        own = X if isinstance(X, pd.DataFrame) else pl.DataFrame(X).to_pandas()
        return repr((own.index.tolist(), own.columns.tolist(), own.to_numpy().tolist()))
    return bits(X) if isinstance(X, np.ndarray) else repr(X)


def bits(array: Any) -> Any:
    """Return the type, the shape and the bytes of an array, or of each of several."""
    if isinstance(array, tuple):
        return tuple(map(bits, array))
    array = np.asarray(array)
    return array.dtype.str, array.shape, array.flags.writeable, array.tobytes()
