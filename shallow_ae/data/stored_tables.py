"""Parquet files, DuckDB relations and Arrow streams: their files, columns and whole tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from shallow_ae.data.counts import count_column
from shallow_ae.data.tables import column_in, pairs_in

_ROWS_AT_ONCE = 2**17


PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")


def read_parquet(path: Path, columns: tuple[str, str, str]) -> pd.DataFrame:
    """Return the Parquet files at a path as one frame, with all columns."""
    check_packages("Parquet files are read by", "pyarrow.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = parquet_files(path)
    check_files(files, columns)
    tables = [pq.ParquetFile(file).read() for file in files]
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def read_relation(relation: Any, columns: tuple[str, str, str]) -> pd.DataFrame:
    """Return a DuckDB relation as a frame, with all columns."""
    check_packages("DuckDB relations are read by", "pyarrow")
    others = [name for name in relation.columns if name not in columns]
    frame: pd.DataFrame = reader_of(selected(relation, columns, others)).read_all().to_pandas()
    return frame


def read_stream(given: Any) -> pd.DataFrame:
    """Return an object that exports Arrow data, such as a RecordBatchReader, as a frame."""
    check_packages("Arrow streams are read by", "pyarrow")
    import pyarrow as pa

    frame: pd.DataFrame = pa.table(given).to_pandas()
    return frame


def is_relation(given: Any) -> bool:
    """Return whether `given` is a DuckDB relation."""
    kind = type(given)
    package = kind.__module__.partition(".")[0].removeprefix("_")
    return kind.__name__ == "DuckDBPyRelation" and package == "duckdb"


def check_packages(needed_for: str, *packages: str) -> None:
    """Raise an ImportError that names the extra if a package is not installed."""
    try:
        for package in packages:
            import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{needed_for} {error.name}, which is not installed: pip install 'shallow-ae[parquet]'."
        ) from error


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files at a path, without files and folders whose name hides them."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no file or folder {path}. Pass a Parquet file or a folder of Parquet files; "
            "for patterns and remote files, a DuckDB relation: duckdb.read_parquet(...)."
        )
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in PARQUET_SUFFIXES
        and file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise FileNotFoundError(
            f"The folder {path} holds no Parquet files, which end with "
            f"{', '.join(PARQUET_SUFFIXES)}."
        )
    return found


def check_files(files: Sequence[Path], columns: tuple[str, ...]) -> None:
    """Raise a ValueError if a file is not a Parquet file, or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first: list[str] = []
    for file in files:
        try:
            names = pq.read_schema(file).names
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{file} is no Parquet file, but damaged, or of another format: {error}. Read "
                "other formats into a frame, and pass the frame."
            ) from error
        try:
            own = needed_columns(names, columns)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        if first and own != first:
            raise ValueError(
                f"{files[0]} has the columns {first} and {file} has {own}: either all files or "
                f"no file must have the column {columns[2]!r}."
            )
        first = own


def needed_columns(names: list[str], columns: tuple[str, ...]) -> list[str]:
    """Return the columns to read; raise a ValueError if one is missing."""
    user, item, count, *further = columns
    frame = pd.DataFrame(columns=names)
    pairs_in(frame, user, item)
    for name in further:
        column_in(frame, name)
    is_counted = count_column(nw.from_native(frame), count) is not None
    return [user, item, *([count] if is_counted else []), *further]


def selected(relation: Any, columns: tuple[str, ...], others: Sequence[str] = ()) -> Any:
    """Return the columns to read, converted to types that Arrow and pandas also have.

    The `others` are added unchanged.
    """
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    expressions = []
    for name in needed_columns(relation.columns, columns):
        wanted = _as_count(types[name]) if name == columns[2] else _as_id(types[name])
        own = quoted(name)
        expressions.append(f"CAST({own} AS {wanted}) AS {own}" if wanted else own)
    expressions.extend(map(quoted, others))
    return relation.project(", ".join(expressions))


def _as_count(given: str) -> str | None:
    """Return DOUBLE for DuckDB's types of sums, which NumPy does not have."""
    return "DOUBLE" if given.startswith("DECIMAL") or given in ("HUGEINT", "UHUGEINT") else None


def _as_id(given: str) -> str | None:
    if given == "UUID" or given.startswith("ENUM"):
        return "VARCHAR"
    return {"HUGEINT": "BIGINT", "UHUGEINT": "UBIGINT"}.get(given)


def reader_of(relation: Any) -> Any:
    """Return the rows of a relation as batches of Arrow, which DuckDB computes one by one."""
    kind = type(relation)
    name = "to_arrow_reader" if hasattr(kind, "to_arrow_reader") else "fetch_arrow_reader"
    return getattr(relation, name)(_ROWS_AT_ONCE)


def quoted(name: str) -> str:
    """Return a name of a column for an SQL expression."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
