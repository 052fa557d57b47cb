"""Recommendations in batches of users: an iterator of frames, and a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np

from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._runtime.folders import whole_folder
from shallow_ae._runtime.progress import progress_bar
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_boolean, check_choice, check_integer
from shallow_ae.data.id_lists import UserLists, lists_by_user
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.mapped_rows import as_frame_of, column_names, report_unknown
from shallow_ae.data.sources import is_text_file
from shallow_ae.data.stored_interactions import OpenedInteractions, StoredInteractions, is_stored
from shallow_ae.data.stored_tables import check_packages
from shallow_ae.data.tables import check_names, frame_like
from shallow_ae.pipeline.answers import COLUMNS, Rows, read, recommended


class Request(NamedTuple):
    """The checked arguments of `recommend_batches`."""

    k: int
    batch_size: int
    exclude_seen: bool
    lists: dict[str, UserLists]
    popular: bool
    verbose: int


class _Answer(NamedTuple):
    """The recommendations for the users of a batch."""

    interactions: Any
    ids: dict[str, Array]
    columns: dict[str, Array]


class _InMemory:
    """Interactions in a frame, list or array. All of them are read at once."""

    def __init__(self, steps: list[Any], interactions: Any) -> None:
        self.path = Path(interactions).resolve() if is_text_file(interactions) else None
        mapper = steps[0]
        interactions = as_frame_of(mapper, interactions)
        self._interactions = interactions
        self._rows = read(steps, interactions)

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Yield the interactions themselves, which are in memory and need not be opened."""
        yield self

    def n_users(self) -> int:
        """Return the number of distinct users."""
        return len(self._rows.users)

    def user_type(self, name: str) -> Any:
        """Return the Arrow type of the users."""
        return _arrow_type(name, self._rows.users)

    def batches(self, batch_size: int) -> Iterator[tuple[Any, Rows]]:
        """Yield the rows of users in order of first appearance, with the interactions."""
        for batch in blocks(self.n_users(), batch_size):
            yield self._interactions, self._rows.of(batch)


class _Stored:
    """Interactions at a path or in a DuckDB relation, read in batches of users."""

    _opened: OpenedInteractions

    def __init__(self, steps: list[Any], interactions: Any) -> None:
        mapper = steps[0]
        self._steps = steps
        self._stored = StoredInteractions(interactions, column_names(mapper))
        self.path = self._stored.path

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Check all interactions before they are read in batches."""
        with self._stored.opened() as self._opened:
            yield self

    def n_users(self) -> int | None:
        """Return the number of distinct users; None if they are too many to count."""
        return self._opened.n_users()

    def user_type(self, name: str) -> Any:
        """Return the Arrow type of the users."""
        return self._opened.user_type()

    def batches(self, batch_size: int) -> Iterator[tuple[Any, Rows]]:
        """Yield the rows of users in ascending order, with the interactions of these users.

        After the last batch, a warning counts the interactions with unknown items.
        """
        unknown = _UnknownItems()
        for interactions in self._opened.batches(batch_size):
            unknown.n_interactions += len(interactions)
            yield interactions, read(self._steps, interactions, report=unknown.add)
        if unknown.ids:
            mapper, ids = self._steps[0], list(unknown.ids)
            report_unknown(mapper, unknown.n_unknown, unknown.n_interactions, ids)


_Source: TypeAlias = _InMemory | _Stored


class _UnknownItems:
    """Items that `fit` did not see, in all batches so far."""

    def __init__(self) -> None:
        self.n_interactions = self.n_unknown = 0
        self.ids: dict[Any, None] = {}

    def add(self, mapper: IdMapper, n_unknown: int, n_interactions: int, ids: Array) -> None:
        if mapper.unknown == "error":
            report_unknown(mapper, n_unknown, n_interactions, ids)
        self.n_unknown += n_unknown
        self.ids.update(dict.fromkeys(ids.tolist()))


def request_of(
    steps: list[Any],
    k: int,
    batch_size: int,
    exclude_seen: bool,
    lists: dict[str, Any],
    no_history: str,
    verbose: int,
) -> Request:
    """Check the arguments of `recommend_batches` for fitted steps, and read the lists."""
    check_choice("no_history", no_history, ("popularity", "omit"))
    return Request(
        check_integer("k", k, low=1),
        check_integer("batch_size", batch_size, low=1),
        check_boolean("exclude_seen", exclude_seen),
        {name: lists_by_user(name, given, steps[0]) for name, given in lists.items()},
        no_history == "popularity",
        verbose,
    )


def _source_of(steps: list[Any], interactions: Any) -> _Source:
    """Return the interactions of users in any form except a Dask DataFrame, checked."""
    if is_dask(interactions):
        raise TypeError(
            "A Dask DataFrame is answered by its workers, in partitions: call `recommend`, and "
            "`to_parquet` of its result."
        )
    check_names((steps[0].user, steps[0].item), COLUMNS)
    in_batches = is_stored(interactions) and not is_text_file(interactions)
    return (_Stored if in_batches else _InMemory)(steps, interactions)


def recommended_frames(steps: list[Any], interactions: Any, request: Request) -> Iterator[Any]:
    """Return an iterator of the recommendations for `request.batch_size` users at a time."""
    return _frames(steps, _source_of(steps, interactions), request)


def _frames(steps: list[Any], source: _Source, request: Request) -> Iterator[Any]:
    with source.opened():
        for answer in _answers(steps, source, request):
            yield frame_like(*answer)


def write_folder(
    steps: list[Any],
    interactions: Any,
    request: Request,
    path: str | PathLike[str],
    *,
    overwrite: bool,
) -> Path:
    """Write the recommendations for all users to a folder of Parquet files, and return the folder.

    Each file holds one batch of users. Files without rows are left out, except for the first.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = _source_of(steps, interactions)
    folder, n_files, mapper = Path(path).resolve(), 0, steps[0]
    _check_apart(folder, source.path)
    with whole_folder(folder, overwrite=overwrite) as new, source.opened():
        schema = pa.schema(
            {
                mapper.user: source.user_type(mapper.user),
                mapper.item: _arrow_type(mapper.item, mapper.items_),
                **dict(zip(COLUMNS, (pa.float64(), pa.int64(), pa.bool_()), strict=True)),
            }
        )
        nothing = schema.empty_table()
        for answer in _answers(steps, source, request):
            data = {name: _plain(c) for name, c in (answer.ids | answer.columns).items()}
            table = pa.Table.from_pydict(data, schema=schema)
            if len(table):
                pq.write_table(table, new / f"part-{n_files:05}.parquet")
                n_files += 1
        if not n_files:
            pq.write_table(nothing, new / "part-00000.parquet")
    return folder


def check_can_write() -> None:
    """Raise an ImportError if the package that writes Parquet is not installed."""
    check_packages("Recommendations are written as Parquet by", "pyarrow.parquet")


def _answers(steps: list[Any], source: _Source, request: Request) -> Iterator[_Answer]:
    """Yield the recommendations of each batch of users in turn, with a progress bar."""
    n_users = source.n_users() if request.verbose else None
    with progress_bar(n_users, "recommend", "user", verbose=request.verbose) as bar:
        for interactions, rows in source.batches(request.batch_size):
            ids, columns = recommended(
                steps,
                rows,
                request.k,
                {name: lists.of(rows.users) for name, lists in request.lists.items()},
                exclude_seen=request.exclude_seen,
                popular=request.popular,
            )
            yield _Answer(interactions, ids, columns)
            bar.advance(len(rows.users))


def _check_apart(folder: Path, source: Path | None) -> None:
    """Raise a ValueError if the result would replace the interactions, or be read with them."""
    if source is None:
        return
    if source.is_relative_to(folder):
        raise ValueError(
            f"The interactions at {source} would be replaced by the recommendations. Pass another "
            "`path`."
        )
    if folder.is_relative_to(source):
        raise ValueError(
            f"{folder} lies in the folder of the interactions, and would be read with them next "
            "time. Pass a `path` outside."
        )


def _arrow_type(name: str, ids: Array) -> Any:
    """Return the Arrow type of ids; raise a TypeError if no type holds all of them."""
    import pyarrow as pa

    try:
        return pa.array(_plain(ids)).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(
            f"Column {name!r} holds ids that no type of a Parquet column fits: {error}. Convert "
            "them to strings."
        ) from error


def _plain(values: Array) -> Any:
    """Return an array of objects as a list, so that Arrow finds the type of the values."""
    return values.tolist() if values.dtype == object else np.ascontiguousarray(values)
