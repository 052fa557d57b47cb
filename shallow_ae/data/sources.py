"""Interactions at a path, in a DuckDB relation or in an Arrow stream, read into a frame."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from shallow_ae.data.stored_tables import (
    PARQUET_SUFFIXES,
    is_relation,
    read_parquet,
    read_relation,
    read_stream,
)
from shallow_ae.data.text_files import read_listens, read_separated
from shallow_ae.data.unnamed_columns import IF_USERS

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = ".txt"
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def as_table(given: Any, user: str, item: str, count: str, time: str | None = None) -> Any:
    """Return interactions from a path, a relation or a stream as a frame; others unchanged.

    `user`, `item` and `count` name the columns of a file without a header. Dates of the column
    `time` of a text file are read.
    """
    if isinstance(given, str | PathLike):
        table = _read_path(Path(given), user, item, count)
        return _with_dates(table, time) if is_text_file(given) else table
    if is_relation(given):
        return read_relation(given, (user, item, count))
    return read_stream(given) if _is_stream(given) else given


def is_text_file(given: Any) -> bool:
    """Return whether `given` is the path of a text file, by its suffix."""
    is_path = isinstance(given, str | PathLike)
    return is_path and _suffix(Path(given)) in (*_SEPARATORS, _LINES)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _read_path(path: Path, user: str, item: str, count: str) -> Any:
    suffix = _suffix(path)
    if not path.exists():
        hint = "" if suffix else f" {IF_USERS}"
        raise FileNotFoundError(f"There is no file or folder {str(path)!r}.{hint}")
    if suffix in PARQUET_SUFFIXES or path.is_dir():
        return read_parquet(path, (user, item, count))
    if suffix in _SEPARATORS:
        return read_separated(path, _SEPARATORS[suffix])
    if suffix == _LINES:
        names = {"user": user, "item": item, "count": count}
        return read_listens(path).rename(columns=names)
    raise ValueError(
        f"{str(path)!r} ends with {suffix or 'no suffix'!r}. Files of interactions are read by "
        f"suffix: {', '.join(PARQUET_SUFFIXES)}; .csv and .tsv with a header; .txt with lines of "
        "`user item count` without a header; and a folder of Parquet files. Text may be compressed "
        f"({', '.join(_COMPRESSED)}). Read other files into a frame."
    )


def _with_dates(table: pd.DataFrame, time: str | None) -> pd.DataFrame:
    if time is None or time not in table or pd.api.types.is_numeric_dtype(table[time]):
        return table
    try:
        dates = pd.to_datetime(table[time])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"Column {time!r} holds dates that pandas cannot read: {error}") from error
    return table.assign(**{time: dates})


def _is_stream(given: Any) -> bool:
    """Return whether `given` exports Arrow data and is no frame or column that narwhals knows."""
    if not (hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__")):
        return False
    known = nw.from_native(given, allow_series=True, pass_through=True)
    return not isinstance(known, nw.DataFrame | nw.LazyFrame | nw.Series)
