"""Values as JSON and named arrays, and back: numbers, containers, arrays, sparse matrices.

A value that JSON has no form for becomes an object with the key "@", which names the form. Nothing
in a file is executed: a name stands for one of the types that the caller lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._model_files.raw_ids import as_objects, decode_ids, encode_ids
from shallow_ae._typing import Array
from shallow_ae.data.sparse_formats import check_format

_FORM = "@"


class Encoder:
    """Turns values into JSON, and collects their arrays.

    Parameters
    ----------
    types : mapping of type to name
        Named tuples and dataclasses, which are saved by their fields.
    other : callable `other(value, place, encoder)`
        Called for values of all other types. Returns JSON, or raises an error.
    """

    def __init__(
        self, types: Mapping[type, str], other: Callable[[Any, str, Encoder], Any]
    ) -> None:
        self.arrays: dict[str, Array] = {}
        self._types = types
        self._other = other

    def encode(self, value: Any, place: str) -> Any:
        """Return a value as JSON. `place` names it in errors and its arrays in the file."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {_FORM: "float", "value": str(value)}
        if kind in self._types:
            return {_FORM: self._types[kind]} | self.encode_all(_fields_of(value), place)
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self, value, place)
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return {_FORM: "scalar", "dtype": value.dtype.str, "value": self.array(value, place)}
        for of_type, fields_of in _SMALL.items():
            if isinstance(value, of_type):
                return fields_of(value)
        return self._other(value, place, self)

    def encode_all(self, values: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return the JSON of several values by name."""
        return {name: self.encode(value, f"{place}.{name}") for name, value in values.items()}

    def array(self, value: Any, place: str) -> dict[str, Any]:
        """Collect an array of numbers, and return its name."""
        array = np.asarray(value)
        self.arrays[place] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
        return {_FORM: "array", "name": place}

    def ids(self, values: Array, place: str) -> dict[str, Any]:
        """Return one-dimensional raw ids."""
        return {_FORM: "ids", "ids": self.encode_all(encode_ids(values), place)}

    def _list(self, values: list[Any], place: str) -> list[Any]:
        return [self.encode(value, f"{place}.{number}") for number, value in enumerate(values)]

    def _tuple(self, values: tuple[Any, ...], place: str) -> dict[str, Any]:
        return {_FORM: "tuple", "values": self._list(list(values), place)}

    def _dict(self, values: dict[Any, Any], place: str) -> dict[str, Any]:
        if _FORM in values or not all(type(name) is str for name in values):
            raise TypeError(f"`{place}` is a dict with keys that are no strings, or {_FORM!r}.")
        return self.encode_all(values, place)

    def _ndarray(self, value: Array, place: str) -> dict[str, Any]:
        if value.dtype.kind in "biuf":
            return self.array(value, place)
        if value.ndim != 1:
            raise TypeError(f"`{place}` is an array of {value.dtype}, which cannot be saved.")
        try:
            return self.ids(value, place)
        except TypeError:
            if all(isinstance(own, Hashable) for own in value):
                raise  # these are ids
            return {_FORM: "objects", "values": self._list(list(value), place)}

    def _masked(self, value: Any, place: str) -> dict[str, Any]:
        data, mask = np.ma.getdata(value), np.ma.getmaskarray(value)
        return {_FORM: "masked"} | self.encode_all({"data": data, "mask": mask}, place)

    def _csr(self, X: sp.csr_array[Any], place: str) -> dict[str, Any]:
        arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr}
        return {_FORM: "csr", "shape": list(X.shape)} | self.encode_all(arrays, place)

    def _random_state(self, state: np.random.RandomState, place: str) -> dict[str, Any]:
        own: Any = state.get_state(legacy=False)
        return {_FORM: "random state"} | self.encode_all(own, place)


_CONTAINERS: dict[type, Callable[[Encoder, Any, str], Any]] = {
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    np.ndarray: Encoder._ndarray,
    np.ma.MaskedArray: Encoder._masked,
    sp.csr_array: Encoder._csr,
    np.random.RandomState: Encoder._random_state,
}


_SMALL: dict[type, Callable[[Any], dict[str, Any]]] = {
    np.dtype: lambda own: {_FORM: "dtype", "name": own.str},
    np.timedelta64: lambda own: {
        _FORM: "timedelta64",
        "dtype": own.dtype.str,
        "value": int(own.astype(np.int64)),
    },
    timedelta: lambda own: {  # pandas.Timedelta is one, too
        _FORM: "timedelta",
        "microseconds": own // timedelta(microseconds=1),
    },
}


class Decoder:
    """Turns JSON and named arrays into values.

    Any error of a method means that the file is damaged.

    Parameters
    ----------
    arrays : mapping of name to array
    types : mapping of name to callable
        What a name stands for: a type, or a function that checks its arguments and returns a value.
        It gets the fields by name.
    """

    def __init__(self, arrays: Mapping[str, Array], types: Mapping[str, Callable[..., Any]]):
        self._arrays = dict(arrays)
        self._readers = {**_READERS, **types}

    def decode(self, node: Any) -> Any:
        """Return the value of a node of JSON."""
        if isinstance(node, list):
            return [self.decode(part) for part in node]
        if not isinstance(node, dict):
            return node
        own = {name: self.decode(part) for name, part in node.items() if name != _FORM}
        if _FORM not in node:
            return own
        if node[_FORM] == "array":
            return self._arrays.pop(own["name"])  # once: a forged file could repeat it without end
        return self._readers[node[_FORM]](**own)


def _fields_of(value: Any) -> dict[str, Any]:
    names: Iterable[str] = (
        [field.name for field in fields(value)] if is_dataclass(value) else value._fields
    )
    return {name: getattr(value, name) for name in names}


def _csr(shape: list[int], data: Array, indices: Array, indptr: Array) -> sp.csr_array[Any]:
    """Return a csr matrix whose rows have ascending columns, without copying the arrays."""
    n_rows, n_columns = shape
    if any(type(array) is not np.ndarray for array in (data, indices, indptr)):
        raise ValueError("a sparse matrix without arrays")
    if len(indptr) != n_rows + 1:
        raise ValueError(f"an `indptr` of {len(indptr):,} numbers for {n_rows:,} rows")
    X = sp.csr_array((data, indices, indptr), shape=(n_rows, n_columns))
    check_format(X)
    ascends = X.indices[1:] > X.indices[:-1]
    starts = X.indptr[1:-1]
    ascends[starts[(starts > 0) & (starts < len(X.indices))] - 1] = True
    if len(X.indices) != X.indptr[-1] or not ascends.all():
        raise ValueError("a sparse matrix whose rows do not have ascending columns")
    return X


def _masked(data: Array, mask: Array) -> Any:
    if type(mask) is not np.ndarray or mask.dtype != np.bool_ or np.shape(data) != mask.shape:
        raise ValueError("a masked array whose mask has another shape")  # a MaskError of NumPy
    return np.ma.MaskedArray(data, mask)


def _scalar(dtype: str, value: Array) -> Any:
    kind = np.dtype(dtype)
    if value.dtype != kind or value.shape != ():
        raise ValueError(f"{value.dtype} for a number of {kind}")
    return value[()]


def _timedelta64(dtype: str, value: int) -> np.timedelta64:
    kind = np.dtype(dtype)
    if kind.kind != "m" or type(value) is not int:
        raise ValueError(f"{value!r} for a length of time of {kind}")
    return np.int64(value).view(kind)  # type: ignore[no-any-return]


def _random_state(**state: Any) -> np.random.RandomState:
    """Return a generator in a given state. NumPy does not check that it lies within its words."""
    words, place = state["state"]["key"], state["state"]["pos"]
    if type(words) is not np.ndarray or words.shape != (624,) or words.dtype != np.uint32:
        raise ValueError("a random state with other words")
    if type(place) is not int or not 0 <= place <= 624 or state["has_gauss"] not in (0, 1):
        raise ValueError("a random state beyond its words")
    made = np.random.RandomState()
    made.set_state(state)
    return made


_READERS: dict[str, Callable[..., Any]] = {
    "float": lambda value: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value],
    "tuple": lambda values: tuple(values),
    "dtype": lambda name: np.dtype(name),
    "timedelta": lambda microseconds: timedelta(microseconds=microseconds),
    "timedelta64": lambda dtype, value: _timedelta64(dtype, value),
    "ids": lambda ids: decode_ids(ids),
    "objects": lambda values: as_objects(values),
    "masked": _masked,
    "scalar": _scalar,
    "csr": _csr,
    "random state": _random_state,
}
