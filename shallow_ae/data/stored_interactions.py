"""Interactions in Parquet files and DuckDB relations, sorted by user and read in batches of users.

DuckDB sorts the interactions in a fixed amount of memory, with the rest in temporary files. Arrow
takes them from there in batches of rows, which are cut where one user ends and the next begins.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np
import pandas as pd

from shallow_ae._runtime.threads import n_threads
from shallow_ae.data.stored_tables import (
    check_files,
    check_packages,
    is_relation,
    needed_columns,
    parquet_files,
    quoted,
    reader_of,
    selected,
)
from shallow_ae.data.tables import column_in, encode
from shallow_ae.data.unnamed_columns import NO_INTERACTIONS

_MEMORY = "512MiB"  # of DuckDB, beyond which it writes temporary files
_MOST_THREADS = 4  # of DuckDB: each of them needs an eighth of a GiB
_MOST_COUNTED_USERS = 2_000_000  # 36 characters each take 200 MiB
_MOST_SUSPECTS = 1000  # rows with missing or bad values that an error is about
_FLOATS = {"FLOAT", "DOUBLE"}
_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", *_FLOATS}


def is_stored(given: Any) -> bool:
    """Return whether `given` is a path or a DuckDB relation."""
    return isinstance(given, str | PathLike) or is_relation(given)


class StoredInteractions:
    """Interactions at a path or in a DuckDB relation, with checked columns."""

    def __init__(self, given: Any, columns: tuple[str, ...]) -> None:
        check_packages(
            "Parquet files and DuckDB relations are read by", "duckdb", "pyarrow.parquet"
        )
        self._columns = columns
        self._relation = given if is_relation(given) else None
        self.path = None if is_relation(given) else Path(given).resolve()
        if self.path is None:
            needed_columns(given.columns, columns)
            self._files: list[Path] = []
        else:
            self._files = parquet_files(Path(given))
            check_files(self._files, columns)

    @contextmanager
    def opened(self) -> Iterator[OpenedInteractions]:
        """Check all interactions, and yield them with what is computed from them.

        A relation is computed once, into a temporary Parquet file.
        """
        import duckdb

        with _errors_told(), TemporaryDirectory(prefix="shallow_ae-") as folder:
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
                    rows = reader_of(selected(self._relation, self._columns))
                    connection.from_arrow(rows).write_parquet(str(files[0]))
                stored = connection.read_parquet(
                    [str(file) for file in files],
                    union_by_name=True,
                    hive_partitioning=False,
                )
                yield OpenedInteractions(selected(stored, self._columns), self._columns)


class OpenedInteractions:
    """Interactions that DuckDB reads, without missing ids and bad counts."""

    def __init__(self, relation: Any, columns: tuple[str, ...]) -> None:
        self._relation = relation
        if not self._aggregate("count(*)"):
            raise ValueError(NO_INTERACTIONS)
        _check_values(relation, columns)

    def n_users(self) -> int | None:
        """Return the number of distinct users; None if there are more than DuckDB can hold."""
        user = quoted(self._relation.columns[0])
        if self._aggregate(f"approx_count_distinct({user})") > _MOST_COUNTED_USERS:
            return None  # DuckDB keeps the distinct values in memory
        return self._aggregate(f"count(DISTINCT {user})")

    def user_type(self) -> Any:
        """Return the Arrow type of the users."""
        return reader_of(self._relation.limit(0)).schema.field(0).type

    def batches(self, n_users: int) -> Iterator[pd.DataFrame]:
        """Yield the interactions of `n_users` users at a time, in ascending order of users.

        A user's rows are sorted, too: sums of counts do not depend on the order of the files.
        """
        order = ", ".join(map(quoted, self._relation.columns))
        reader = reader_of(self._relation.order(order))
        for table in _by_users(reader, n_users):
            yield table.to_pandas()

    def _aggregate(self, expression: str) -> int:
        return int(self._relation.aggregate(expression).fetchall()[0][0])


@contextmanager
def _errors_told() -> Iterator[None]:
    """Raise a KeyboardInterrupt for DuckDB's error of one, and an OSError for a full disk."""
    try:
        yield
    except OSError:  # of the caller, who may write what is read
        raise
    except Exception as error:
        if str(error) == "Query interrupted" and isinstance(error, RuntimeError):
            raise KeyboardInterrupt from error
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        told = "DuckDB's temporary files do not fit. Free some space, or set TMPDIR to a folder"
        raise OSError(
            errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {told} with more", gettempdir()
        ) from error


def _check_values(relation: Any, columns: tuple[str, ...]) -> None:
    """Raise the errors of a frame with the same rows, for missing ids and for bad counts."""
    bad = []
    for name, kind in zip(relation.columns, map(str, relation.types), strict=True):
        own = quoted(name)
        bad.append(f"{own} IS NULL")
        if kind in _FLOATS:
            bad.append(f"isnan({own})")
        if name == columns[2] and kind in _NUMBERS:
            bad.append(f"{own} < 0")
            bad.extend([f"isinf({own})"] if kind in _FLOATS else [])
    suspects = relation.filter(" OR ".join(bad)).limit(_MOST_SUSPECTS)
    rows = reader_of(suspects).read_all().to_pandas()
    if len(rows):
        try:
            encode(rows, *columns[:3])
            for name in columns[3:]:
                column_in(rows, name)
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
