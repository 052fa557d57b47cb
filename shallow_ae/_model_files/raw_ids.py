"""Raw ids of users and items as arrays of a model file, and back, with their types."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from shallow_ae._typing import Array

# Ids of these types are saved as a tag and a text. Exact types only: a subclass has other methods.
_AS_TEXT: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    bytes: ("bytes", lambda own: base64.b64encode(own).decode(), base64.b64decode),
    float: ("float", float.hex, float.fromhex),
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
}
_READERS = {tag: read for tag, _, read in _AS_TEXT.values()}


def _timestamp(text: str) -> Any:
    import pandas as pd  # only for ids that pandas has made

    return pd.Timestamp(text)


_READERS["timestamp"] = _timestamp


def encode_ids(ids: Array) -> dict[str, Any]:
    """Return one-dimensional ids as a dict of JSON values and arrays of numbers.

    Raises
    ------
    TypeError
        If an id has a type that a file cannot hold.
    """
    if ids.dtype.kind in "biuf":
        return {"numbers": ids}
    if ids.dtype.kind in "mM":
        return {"dtype": ids.dtype.str, "numbers": ids.view(np.int64)}
    if ids.dtype.kind in "US":
        own = {"dtype": ids.dtype.str, "shape": [len(ids)]}
        return own | {"bytes": np.ascontiguousarray(ids).view(np.uint8)}
    if all(isinstance(own, str) for own in ids):
        return {"texts": texts(ids)}
    return {"json": texts(json.dumps(_encoded(own)) for own in ids)}


def decode_ids(node: dict[str, Any]) -> Array:
    """Return the ids of a dict that `encode_ids` has made; raise a ValueError if it is damaged."""
    match node:
        case {"texts": dict() as own}:
            return as_objects(split_texts(own))
        case {"json": dict() as own}:
            return as_objects(_decoded(json.loads(text)) for text in split_texts(own))
        case {"dtype": str() as dtype, "bytes": np.ndarray() as own, "shape": [int() as n]}:
            return _fixed_width(own, np.dtype(dtype), n)
        case {"dtype": str() as dtype, "numbers": np.ndarray() as own}:
            kind = np.dtype(dtype)
            if kind.kind not in "mM" or own.dtype != np.int64 or own.ndim != 1:
                raise ValueError(f"ids of {dtype} from numbers of {own.dtype}")
            return own.view(kind)
        case {"numbers": np.ndarray() as own} if own.ndim == 1:
            return own
    raise ValueError("ids in an unknown form")


def _fixed_width(own: Array, kind: np.dtype[Any], n: int) -> Array:
    """Return bytes as an array of one of NumPy's types for texts of fixed width."""
    if kind.kind not in "US" or own.dtype != np.uint8 or own.size != n * kind.itemsize:
        raise ValueError(f"{own.size:,} bytes for {n:,} texts of {kind}")
    if kind.kind == "U" and (own.view(np.uint32) > sys.maxunicode).any():
        raise ValueError("texts with numbers that are no characters")
    return own.view(kind)


def texts(given: Iterable[str]) -> dict[str, Array]:
    """Return texts as the bytes of all texts, and the end of each text in them."""
    # A file name or a broken tag may hold half of a surrogate pair, which UTF-8 does not allow.
    parts = [str.encode(text, "utf-8", "surrogatepass") for text in given]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {"bytes": np.frombuffer(b"".join(parts), np.uint8), "ends": ends}


def split_texts(node: dict[str, Any]) -> list[str]:
    """Return the texts that `texts` has joined."""
    joined, ends = node["bytes"], node["ends"]
    if joined.dtype != np.uint8 or ends.dtype != np.int64 or joined.ndim != 1 or ends.ndim != 1:
        raise ValueError("texts whose bytes or ends have a wrong type")
    starts = np.concatenate([[0], ends[:-1]])
    if len(ends) and (ends[-1] != len(joined) or starts.min() < 0 or (ends < starts).any()):
        raise ValueError("texts whose ends do not rise to the number of bytes")
    whole = joined.tobytes()
    return [
        whole[start:end].decode("utf-8", "surrogatepass")
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def as_objects(values: Iterable[Any]) -> Array:
    """Return values as a one-dimensional array of objects."""
    return np.fromiter(values, object)  # np.array would make a two-dimensional array of tuples


def _encoded(own: Any) -> Any:
    """Return an id as JSON. Numbers of NumPy keep their type."""
    kind = type(own)
    if isinstance(own, str | bytes):  # also of a subclass, which is equal to it
        own, kind = (str.__str__(own), str) if isinstance(own, str) else (bytes(own), bytes)
    if own is None or kind in (str, bool, int):
        return own
    if (kind.__module__.partition(".")[0], kind.__name__) == ("pandas", "Timestamp"):
        return {"timestamp": own.isoformat()}
    if kind is tuple:
        return {"tuple": [_encoded(part) for part in own]}
    if kind in _AS_TEXT:
        tag, write, _ = _AS_TEXT[kind]
        return {tag: write(own)}
    if isinstance(own, np.generic) and own.dtype.kind in "biufmM":
        return {"numpy": [own.dtype.str, own.tobytes().hex()]}
    raise TypeError(
        f"The id {own!r} of type {kind.__name__} cannot be saved in a file. Use ids that are "
        "strings, numbers, dates, bytes, UUIDs or tuples of these."
    )


def _decoded(own: Any) -> Any:
    match own:
        case None | str() | bool() | int():
            return own
        case {"tuple": [*parts]}:
            return tuple(_decoded(part) for part in parts)
        case {"numpy": [str() as dtype, str() as hexed]}:
            kind = np.dtype(dtype)
            if kind.kind not in "biufmM":
                raise ValueError(f"an id of type {dtype}")
            return np.frombuffer(bytes.fromhex(hexed), kind)[0]
        case dict() if len(own) == 1:
            (tag, text) = next(iter(own.items()))
            if tag in _READERS and isinstance(text, str):
                return _READERS[tag](text)
    raise ValueError(f"an id in an unknown form: {own!r}")
