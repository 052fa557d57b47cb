"""Minibatches of users whose rows lie in partitions, as tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from shallow_ae._cluster.column_tasks import (
    BatchSettings,
    all_users,
    stacked_batches,
    taken_rows,
)
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.objective import Objective
from shallow_ae._runtime.dask_graphs import Task, persisted, task
from shallow_ae._solvers.gradient_descent.fit import DescentOptions
from shallow_ae._solvers.gradient_descent.schedule import dispatch_sizes
from shallow_ae._solvers.gradient_descent.sizes import ENTRIES, likely_entries, rounded_up
from shallow_ae._typing import Array

_STACK_BYTES = 2**28  # maximum size of the minibatches of a task


class Dispatch(NamedTuple):
    """Minibatches as a task, and the learning rates of the steps on them."""

    batches: Task
    learning_rates: Array  # padded to the size of the largest dispatch
    n_steps: int


class PartitionedMinibatches:
    """The same minibatches as a descent in memory draws from rows in the same order."""

    def __init__(
        self,
        rows: PartitionedRows,
        parts: list[Task],
        objective: Objective,
        options: DescentOptions,
    ) -> None:
        self._parts = parts
        self._objective = objective
        self._options = options
        self._ends = np.cumsum([size.n_rows for size in rows.sizes])
        n_rows = rows.n_rows
        self._mean = rows.n_entries / n_rows
        mean_square = sum(size.squared_lengths for size in rows.sizes) / n_rows
        self._deviation = max(mean_square - self._mean**2, 0) ** 0.5
        self._dtype = rows.dtype
        self._n_items = rows.n_items

    def most_at_once(self, n_steps: int) -> int:
        """Return how many of `n_steps` steps have minibatches that one task can hold."""
        n_rows = min(self._options.batch_size, int(self._ends[-1]))
        n_bytes = n_rows * self._n_items * self._dtype.itemsize
        if self._options.layout == "sparse":
            n_bytes = 2 * self._expected(n_rows) * (self._dtype.itemsize + 4)
        return max(1, min(n_steps, _STACK_BYTES // max(1, n_bytes)))

    def dispatches(
        self, users: Iterator[Any], rates: Array, at_once: int, pauses: Sequence[int]
    ) -> Iterator[Dispatch]:
        """Yield the minibatches of up to `at_once` steps; `users` yields the users of each step."""
        size, parts = dispatch_sizes(len(rates), at_once, pauses)
        batches: Task = None
        for first, end in parts:
            drawn = list(islice(users, end - first))
            if not isinstance(drawn[0], slice):
                batches = self._batches(drawn, size)
            elif batches is None:
                batches = persisted([task(all_users, self._parts, self._settings(None))])[0]
            padded = np.zeros(size, self._dtype)
            padded[: end - first] = rates[first:end]
            yield Dispatch(batches, padded, end - first)

    def _batches(self, drawn: list[Array], size: int) -> Task:
        """Return a task whose result is the minibatches of the drawn users."""
        users = np.concatenate(drawn)
        part_of = np.searchsorted(self._ends, users, side="right")
        starts = np.concatenate([[0], self._ends])
        pieces = [
            task(taken_rows, self._parts[number], users[part_of == number] - starts[number])
            for number in np.unique(part_of)
        ]
        order = np.argsort(part_of, kind="stable")  # the users in the order of the pieces
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        lengths = [len(batch) for batch in drawn]
        settings = self._settings(max(lengths))
        return persisted([task(stacked_batches, pieces, place, lengths, size, settings)])[0]

    def _expected(self, n_rows: int) -> int:
        """Return a number of entries that hardly any batch of `n_rows` users exceeds."""
        return likely_entries(n_rows, self._mean, self._deviation)

    def _settings(self, n_rows: int | None) -> BatchSettings:
        """Return the settings for batches of `n_rows` users, or of all users."""
        n_stored = None
        if n_rows is not None:
            n_stored = rounded_up(self._expected(n_rows), *ENTRIES)
        options, objective = self._options, self._objective
        return BatchSettings(
            options.layout,
            options.batch_size,
            objective.regularization,
            objective.dropout,
            n_stored,
        )
