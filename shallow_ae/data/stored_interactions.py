"""Interactions in Parquet files and DuckDB relations, sorted by user and read in batches of users.

DuckDB sorts the interactions in a fixed amount of memory, with the rest in temporary files. Arrow
takes them from there in batches of rows, which are cut where one user ends and the next begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from shallow_ae._runtime.threads import n_threads
from shallow_ae.data.counts import count_column
from shallow_ae.data.tables import NO_INTERACTIONS, encode, pairs_in

_MEMORY = "512MiB"  # of DuckDB, beyond which it writes temporary files
_MOST_THREADS = 4  # of DuckDB: each of them needs an eighth of a GiB
_ROWS_AT_ONCE = 2**17
_MOST_COUNTED_USERS = 2_000_000  # 36 characters each take 200 MiB
_MOST_SUSPECTS = 1000  # rows with missing or bad values that an error is about
_SUFFIXES = {".parquet", ".parq", ".pq"}
_FLOATS = {"FLOAT", "DOUBLE"}
_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", *_FLOATS}


def is_stored(given: Any) -> bool:
    """Return whether `given` is a path or a DuckDB relation."""
    return isinstance(given, str | PathLike) or is_relation(given)


class StoredInteractions:
    """Interactions at a path or in a DuckDB relation, with checked columns."""

    def __init__(self, given: Any, columns: tuple[str, str, str]) -> None:
        check_packages(
            "Parquet files and DuckDB relations are read by", "duckdb", "pyarrow.parquet"
        )
        self._columns = columns
        self._relation = given if is_relation(given) else None
        self.path = None if is_relation(given) else Path(given).resolve()
        if self.path is None:
            _needed(given.columns, columns)
            self._files: list[Path] = []
        else:
            self._files = _parquet_files(Path(given))
            _check_files(self._files, columns)

    @contextmanager
    def opened(self) -> Iterator[OpenedInteractions]:
        """Check all interactions, and yield them with what is computed from them.

        A relation is computed once, into a temporary Parquet file.
        """
        import duckdb

        with _interrupts(), TemporaryDirectory(prefix="shallow_ae-") as folder:
            settings: dict[str, Any] = {
                "memory_limit": _MEMORY,
                "temp_directory": f"{folder}/spilled",
                "preserve_insertion_order": False,
                "threads": min(n_threads(), _MOST_THREADS),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
            with duckdb.connect(":memory:", config=settings) as connection:
                connection.execute("SET enable_progress_bar = false")  # printed after two seconds
                files = self._files
                if self._relation is not None:
                    files = [Path(folder, "relation.parquet")]
                    rows = _reader(_selected(self._relation, self._columns))
                    connection.from_arrow(rows).write_parquet(str(files[0]))
                stored = connection.read_parquet(
                    [str(file) for file in files],
                    union_by_name=True,
                    hive_partitioning=False,
                )
                yield OpenedInteractions(_selected(stored, self._columns), self._columns)


class OpenedInteractions:
    """Interactions that DuckDB reads, without missing ids and bad counts."""

    def __init__(self, relation: Any, columns: tuple[str, str, str]) -> None:
        self._relation = relation
        if not self._aggregate("count(*)"):
            raise ValueError(NO_INTERACTIONS)
        _check_values(relation, columns)

    def n_users(self) -> int | None:
        """Return the number of distinct users; None if there are more than DuckDB can hold."""
        user = _quoted(self._relation.columns[0])
        if self._aggregate(f"approx_count_distinct({user})") > _MOST_COUNTED_USERS:
            return None  # DuckDB keeps the distinct values in memory
        return self._aggregate(f"count(DISTINCT {user})")

    def user_type(self) -> Any:
        """Return the Arrow type of the users."""
        return _reader(self._relation.limit(0)).schema.field(0).type

    def batches(self, n_users: int) -> Iterator[pd.DataFrame]:
        """Yield the interactions of `n_users` users at a time, in ascending order of users.

        A user's rows are sorted, too: sums of counts do not depend on the order of the files.
        """
        order = ", ".join(map(_quoted, self._relation.columns))
        reader = _reader(self._relation.order(order))
        for table in _by_users(reader, n_users):
            yield table.to_pandas()

    def _aggregate(self, expression: str) -> int:
        return int(self._relation.aggregate(expression).fetchall()[0][0])


@contextmanager
def _interrupts() -> Iterator[None]:
    """Raise a KeyboardInterrupt for the error by which DuckDB reports one."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def read_parquet(path: Path, columns: tuple[str, str, str]) -> pd.DataFrame:
    """Return the Parquet files at a path as one frame, with all columns."""
    check_packages("Parquet files are read by", "pyarrow.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = _parquet_files(path)
    _check_files(files, columns)
    tables = [pq.ParquetFile(file).read() for file in files]
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


def read_relation(relation: Any, columns: tuple[str, str, str]) -> pd.DataFrame:
    """Return a DuckDB relation as a frame, with all columns."""
    check_packages("DuckDB relations are read by", "pyarrow")
    others = [name for name in relation.columns if name not in columns]
    frame: pd.DataFrame = _reader(_selected(relation, columns, others)).read_all().to_pandas()
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


def _parquet_files(path: Path) -> list[Path]:
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
        if file.suffix.lower() in _SUFFIXES
        and file.is_file()
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise FileNotFoundError(
            f"The folder {path} holds no Parquet files, which end with "
            f"{', '.join(sorted(_SUFFIXES))}."
        )
    return found


def _check_files(files: Sequence[Path], columns: tuple[str, str, str]) -> None:
    """Raise a ValueError if a file is not a Parquet file, or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    needed: list[str] = []
    for file in files:
        try:
            names = pq.read_schema(file).names
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{file} is no Parquet file, but damaged, or of another format: {error}. Read "
                "other formats into a frame, and pass the frame."
            ) from error
        try:
            own = _needed(names, columns)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        if needed and own != needed:
            raise ValueError(
                f"{files[0]} has the columns {needed} and {file} has {own}: either all files or "
                f"no file must have the column {columns[2]!r}."
            )
        needed = own


def _needed(names: list[str], columns: tuple[str, str, str]) -> list[str]:
    """Return the columns to read; raise a ValueError if one is missing."""
    user, item, count = columns
    frame = pd.DataFrame(columns=names)
    pairs_in(frame, user, item)
    is_counted = count_column(nw.from_native(frame), count) is not None
    return [user, item, *([count] if is_counted else [])]


def _selected(relation: Any, columns: tuple[str, str, str], others: Sequence[str] = ()) -> Any:
    """Return the columns to read, converted to types that Arrow and pandas also have.

    The `others` are added unchanged.
    """
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    expressions = []
    for name in _needed(relation.columns, columns):
        wanted = _as_count(types[name]) if name == columns[2] else _as_id(types[name])
        quoted = _quoted(name)
        expressions.append(f"CAST({quoted} AS {wanted}) AS {quoted}" if wanted else quoted)
    expressions.extend(map(_quoted, others))
    return relation.project(", ".join(expressions))


def _as_count(given: str) -> str | None:
    """Return DOUBLE for DuckDB's types of sums, which NumPy does not have."""
    return "DOUBLE" if given.startswith("DECIMAL") or given in ("HUGEINT", "UHUGEINT") else None


def _as_id(given: str) -> str | None:
    if given == "UUID" or given.startswith("ENUM"):
        return "VARCHAR"
    return {"HUGEINT": "BIGINT", "UHUGEINT": "UBIGINT"}.get(given)


def _check_values(relation: Any, columns: tuple[str, str, str]) -> None:
    """Raise the errors of a frame with the same rows, for missing ids and for bad counts."""
    bad = []
    for name, kind in zip(relation.columns, map(str, relation.types), strict=True):
        quoted = _quoted(name)
        bad.append(f"{quoted} IS NULL")
        if kind in _FLOATS:
            bad.append(f"isnan({quoted})")
        if name == columns[2] and kind in _NUMBERS:
            bad.append(f"{quoted} < 0")
            bad.extend([f"isinf({quoted})"] if kind in _FLOATS else [])
    suspects = relation.filter(" OR ".join(bad)).limit(_MOST_SUSPECTS)
    rows = _reader(suspects).read_all().to_pandas()
    if len(rows):
        try:
            encode(rows, *columns)
        except ValueError as error:
            most = "At least " if len(rows) == _MOST_SUSPECTS else ""
            raise ValueError(
                f"{most}{len(rows):,} rows have missing or bad values. Among these rows: {error}"
            ) from error


def _by_users(reader: Any, n_users: int) -> Iterator[Any]:
    """Yield tables of the rows of `n_users` users each; the first column holds the users, sorted.

    The reader's batches are cut only where a user ends.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    held: list[Any] = []
    n_held, last = 0, None
    for batch in reader:
        table, users = pa.Table.from_batches([batch]), batch.column(0)
        if not len(users):
            continue
        changes = pc.not_equal(users[1:], users[:-1]).to_numpy(zero_copy_only=False)
        is_first = np.concatenate([[not held or users[0] != last], changes])
        starts, begin = np.flatnonzero(is_first), 0
        while len(starts) > n_users - n_held:
            cut = int(starts[n_users - n_held])
            yield pa.concat_tables([*held, table.slice(begin, cut - begin)])
            starts, begin = starts[n_users - n_held :], cut
            held, n_held = [], 0
        held.append(table.slice(begin))
        n_held, last = n_held + len(starts), users[-1]
    yield pa.concat_tables(held)


def _reader(relation: Any) -> Any:
    """Return the rows of a relation as batches of Arrow, which DuckDB computes one by one."""
    kind = type(relation)
    name = "to_arrow_reader" if hasattr(kind, "to_arrow_reader") else "fetch_arrow_reader"
    return getattr(relation, name)(_ROWS_AT_ONCE)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
