"""The model that is served, and its file, which is read again whenever it changes."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shallow_ae.serving import ServingRecommender

SECONDS_BETWEEN_LOOKS = 0.2  # at the file


class Model(NamedTuple):
    """A model, with its items by their text: ids in addresses and keys of JSON are text."""

    recommender: ServingRecommender
    items: list[Any]
    n_users: list[float]
    columns: dict[str, int]
    searched: list[tuple[str, int]]  # texts and columns of the items, most users first
    read_at: str

    def raw_id(self, item: Any) -> Any:
        """Return an item as the model has it, or an unknown item as it is."""
        column = self.columns.get(str(item))
        return item if column is None else self.items[column]

    def search(self, query: str) -> list[int]:
        """Return the columns of the items whose text contains a query: first those it begins."""
        query = without_accents(query.strip())
        found = [(text, column) for text, column in self.searched if query in text]
        return [column for _, column in sorted(found, key=lambda x: not x[0].startswith(query))]


class ModelFile:
    """A model file, read again whenever it changes, in a thread that no request waits for.

    A request takes `model` once and ends with that model, whatever happens to the file meanwhile.
    If the file cannot be read, `model` stays as it is and `error` says why.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.error = path, ""
        self._version = version_of(path)
        self.model = read_model(path)
        self._stopped = threading.Event()

    @asynccontextmanager
    async def watched(self, _: Any) -> AsyncIterator[None]:
        """Look at the file for as long as the application runs."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_LOOKS):
            try:
                version = version_of(self.path)
                if version != self._version:
                    self._version = version
                    self.model, self.error = read_model(self.path), ""
            except OSError as error:
                self.error, self._version = str(error), None  # read when it is there again
            except Exception as error:  # whatever it is, the present model goes on
                self.error = str(error) or repr(error)


def version_of(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when another file takes the place of a file, or it is written to."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_model(path: Path) -> Model:
    """Return the model in a file, with all functions compiled that requests may need."""
    # A copy in memory stays whole if a program writes into the file instead of replacing it.
    recommender = ServingRecommender.load(path, memory_map=False)
    recommender.warm_up()
    items = recommender.items.tolist()
    most_users_first = np.argsort(-recommender.item_counts, kind="stable").tolist()
    return Model(
        recommender,
        items,
        recommender.item_counts.tolist(),
        columns={str(item): column for column, item in enumerate(items)},
        searched=[(without_accents(str(items[column])), column) for column in most_users_first],
        read_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def without_accents(text: str) -> str:
    """Return a text in lower case without accents: bjork for Björk."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))
