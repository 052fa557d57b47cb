"""Tables of interactions: three checked columns of frames, lists or arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.counts import check_counts, count_column
from shallow_ae.data.matrices import as_frame, native_order
from shallow_ae.data.unnamed_columns import NO_INTERACTIONS, fields_of

if TYPE_CHECKING:
    from shallow_ae.data.times import Times

# NumPy would give each text the length of the longest, without zeros at its end, and has no
# integers of 128 bits.
_AS_OBJECTS = (nw.String, nw.Categorical, nw.Enum, nw.Int128, nw.UInt128)


class IndexedInteractions(NamedTuple):
    """Interactions whose ids are numbered in order of first appearance."""

    users: NDArray[Any]  # one integer code for each interaction
    items: NDArray[Any]
    counts: NDArray[np.float64]
    dtype: type[np.floating[Any]]  # of the matrix: float64 if the counts were given as float64
    user_ids: Array  # one raw id for each code
    item_ids: Array
    times: Times | None = None  # None if no column of times is named


def encode(
    interactions: Any,
    user: str,
    item: str,
    count: str,
    weight: str | None = None,
) -> IndexedInteractions:
    """Read, check and number the interactions of a frame, a list of tuples or an array.

    The other arguments are the column names of a frame. With `weight`, the counts of the result are
    the products of counts and weights. The errors are documented in
    :meth:`shallow_ae.IdMapper.fit`.
    """
    for name, column in {"user": user, "item": item, "count": count, "weight": weight}.items():
        if not isinstance(column, Hashable):
            raise TypeError(f"`{name}`={column!r} must be the name of a column.")
    if len({user, item, count}) < 3:
        raise ValueError(
            f"`user`={user!r}, `item`={item!r} and `count`={count!r} must be three different "
            "columns."
        )
    users, items, counts = _columns(interactions, user, item, count)
    user_codes, user_ids = numbered(users, user)
    item_codes, item_ids = numbered(items, item)
    numbers, dtype = check_counts(counts, len(user_codes), count)
    columns = IndexedInteractions(user_codes, item_codes, numbers, dtype, user_ids, item_ids)
    if weight is not None:
        weights = values_of(column_in(framed(interactions, "weight", weight), weight))
        factors, own = check_counts(weights, len(user_codes), weight)
        wide = np.float64 if np.float64 in (dtype, own) else np.float32
        with np.errstate(over="ignore"):
            columns = columns._replace(counts=numbers * factors, dtype=wide)
    check_sums(columns)
    return columns


def to_csr(columns: IndexedInteractions, n_items: int) -> sp.csr_array[Any]:
    """Return the users x items matrix, summed in float64 and then converted to `dtype`."""
    X = _sums(columns, n_items)
    X.eliminate_zeros()
    return sp.csr_array(X.astype(columns.dtype))


def _sums(columns: IndexedInteractions, n_items: int) -> sp.csr_array[Any]:
    pairs = (columns.users, columns.items)
    X = sp.coo_array((columns.counts, pairs), shape=(len(columns.user_ids), n_items))
    return sp.csr_array(X)


def check_sums(columns: IndexedInteractions) -> None:
    """Raise a ValueError if the sum of a user's counts of an item exceeds the data type's range."""
    largest = float(np.finfo(columns.dtype).max)
    with np.errstate(over="ignore"):
        if columns.counts.sum() <= largest:
            return
    X = _sums(columns, len(columns.item_ids))
    place = int(X.data.argmax())
    if X.data[place] <= largest:
        return
    user = columns.user_ids[np.searchsorted(X.indptr, place, side="right") - 1]
    item = columns.item_ids[X.indices[place]]
    name = np.dtype(columns.dtype).name
    wanted = "counts of float64" if name == "float32" else "smaller counts, such as logarithms"
    raise ValueError(
        f"The counts of {plain(user)!r} and {plain(item)!r} sum to "
        f"{X.data[place]:g}, and {name} holds at most {largest:g}: pass {wanted}."
    )


def is_frame(given: Any) -> bool:
    """Return whether `given` is a DataFrame of any library."""
    return as_frame(given) is not None


def are_interactions(given: Any) -> bool:
    """Return whether `given` is a DataFrame or a list of tuples, whose rows are interactions."""
    is_list = isinstance(given, list) and len(given) > 0
    return is_frame(given) or (is_list and isinstance(given[0], tuple))


def pairs_in(frame: Any, user: str, item: str) -> tuple[Any, Any]:
    """Return the user column and the item column of a DataFrame."""
    users, items, _ = _columns(frame, user, item, "")
    return users, items


def column_in(frame: Any, name: str) -> nw.Series[Any]:
    """Return a column of a DataFrame; raise a ValueError if it has missing values."""
    columns = nw.from_native(frame, eager_only=True)
    if name not in columns.columns:
        raise ValueError(f"The frame has no column {name!r}, only {columns.columns}.")
    column: nw.Series[Any] = columns.get_column(name)
    if column.is_null().any() or (column.dtype.is_float() and column.is_nan().any()):
        raise ValueError(f"Column {name!r} holds missing values. Drop those rows.")
    return column


def framed(interactions: Any, argument: str, name: str) -> Any:
    """Return interactions if they are a DataFrame, which has named columns; else raise an error."""
    if not is_frame(interactions):
        raise TypeError(
            f"`{argument}`={name!r} names a column, and interactions in the form of "
            f"{type(interactions).__name__} have none. Pass a DataFrame."
        )
    return interactions


def take_rows(interactions: Any, chosen: NDArray[np.bool_]) -> Any:
    """Return the chosen rows of a frame, list of tuples or array, in the same form."""
    frame = nw.from_native(interactions, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame.filter(chosen.tolist()).to_native()
    if isinstance(interactions, np.ndarray):
        return interactions[chosen]
    return list(compress(interactions, chosen))


def check_names(ids: Iterable[str], columns: Iterable[str]) -> None:
    """Raise a ValueError if columns of ids have the names of further columns of a result."""
    if taken := set(ids) & set(columns):
        raise ValueError(
            f"The columns {sorted(taken)} of the interactions are named as columns of the result, "
            f"which are {sorted(columns)}. Rename the columns of the interactions."
        )


def frame_like(given: Any, ids: dict[str, Array], columns: dict[str, Array]) -> Any:
    """Return ids and further columns as a DataFrame of the library of `given`, or of pandas."""
    check_names(ids, columns)
    native = nw.from_native(given, eager_only=True, allow_series=True, pass_through=True)
    known = isinstance(native, nw.DataFrame | nw.Series)
    backend: Any = native.implementation if known else nw.Implementation.PANDAS
    # polars keeps an object array as objects, but infers the type of a list.
    data = {name: list(c) if c.dtype == object else c for name, c in (ids | columns).items()}
    try:
        answer = nw.from_dict(data, backend=backend)
    except UnicodeEncodeError:  # Arrow, in which pandas keeps text, has no lone surrogates
        if not backend.is_pandas():
            raise
        answer = nw.from_native(
            pd.DataFrame({name: pd.Series(c, dtype=c.dtype) for name, c in (ids | columns).items()})
        )
    schema = native.schema if isinstance(native, nw.DataFrame) else {}
    # The ids of a categorical column are plain values here, and an empty column has no type.
    cast = [
        name
        for name in ids
        if name in schema and (schema[name] == nw.Categorical or answer.is_empty())
    ]
    if answer.implementation.is_pyarrow():  # whose categories may be numbers
        table = answer.to_native()
        for name in cast:
            place, wanted = table.schema.get_field_index(name), given.schema.field(name).type
            table = table.set_column(place, name, _as_type(table[name], wanted))
        return table
    return answer.with_columns(*(nw.col(name).cast(schema[name]) for name in cast)).to_native()


def _as_type(column: Any, wanted: Any) -> Any:
    """Return a column of PyArrow as the type of another column, which may have other categories."""
    if not hasattr(wanted, "value_type") or not hasattr(wanted, "index_type"):
        return column.cast(wanted)
    return column.cast(wanted.value_type).dictionary_encode()


def _columns(interactions: Any, user: str, item: str, count: str) -> tuple[Any, Any, Any]:
    """Return the columns of users, items and counts; None for counts if there is no such column."""
    if is_frame(interactions):
        frame = nw.from_native(interactions, eager_only=True)
        missing = [name for name in (user, item) if name not in frame.columns]
        if missing:
            raise ValueError(
                f"The frame has no column {' and no '.join(map(repr, missing))}, only "
                f"{frame.columns}. Rename its columns, or pass their names as "
                "`user`, `item`, `count`."
            )
        counts = count_column(frame, count)
        own = None if counts is None else values_of(counts)
        return values_of(frame.get_column(user)), values_of(frame.get_column(item)), own
    fields = fields_of(interactions)
    if len(fields) < 2:
        raise ValueError(
            f"Found array with {len(fields)} feature(s) (shape={(len(interactions), len(fields))}) "
            "while a minimum of 2 is required: user, item and, if there is one, count."
        )
    if len(fields) > 3:
        raise ValueError(
            f"Interactions have {len(fields)} columns, expected 2 or 3: user, item and, if there "
            "is one, count."
        )
    return fields[0], fields[1], fields[2] if len(fields) == 3 else None


def values_of(column: nw.Series[Any]) -> Any:
    """Return a pandas column as Series, and a column of any other library as ndarray."""
    if column.implementation.is_pandas():
        return column.to_native()
    if column.dtype in _AS_OBJECTS:
        return np.array(column.to_list(), object)
    return column.to_numpy()


def numbered(column: Any, name: str) -> tuple[NDArray[np.intp], Array]:
    """Return codes of a column of ids, in order of first appearance, and the distinct ids."""
    if len(column) == 0:
        raise ValueError(NO_INTERACTIONS)
    if isinstance(column.dtype, np.dtype) and not column.dtype.isnative:
        column = native_order(np.asarray(column))  # pandas requires the native byte order
    try:
        codes, ids = pd.factorize(column)
    except TypeError as error:
        raise TypeError(
            f"Column {name!r} holds values that cannot be ids: {error}. Ids must be hashable: pass "
            "strings, numbers or tuples."
        ) from error
    if codes.min() < 0:
        missing = np.flatnonzero(codes < 0)
        raise ValueError(
            f"Column {name!r} holds {len(missing):,} missing ids (NaN or None), the first in row "
            f"{missing[0]}. Drop those rows or give them an id."
        )
    return codes, np.asarray(ids)
