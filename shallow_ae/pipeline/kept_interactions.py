"""The interactions that a pipeline keeps to learn on, and the change of rows in an update."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._typing import Array
from shallow_ae.data.ids import IdMapper, index_of
from shallow_ae.data.interaction_log import compact, of_users
from shallow_ae.data.matrices import checked_block
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.data.tables import IndexedInteractions
from shallow_ae.data.times import Times
from shallow_ae.models.updates import RowChange
from shallow_ae.serving.servable import sparse_results, transformed


class KeptInteractions(NamedTuple):
    """The interactions of a fit. Their ids are those of the fitted IdMapper."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    counts: NDArray[np.float64]
    times: Array | None
    has_dates: bool
    is_double: bool
    sample_weight: Array | None  # of each user

    @property
    def n_bytes(self) -> int:
        """Return the number of bytes."""
        return sum(own.nbytes for own in self if isinstance(own, np.ndarray))

    def columns(self, mapper: IdMapper) -> IndexedInteractions:
        """Return the interactions with their ids."""
        return IndexedInteractions(
            self.users,
            self.items,
            self.counts,
            np.float64 if self.is_double else np.float32,
            mapper.users_,
            mapper.items_,
            None if self.times is None else Times(self.times, self.has_dates),
        )


def kept(given: IndexedInteractions, sample_weight: Array | None) -> KeptInteractions:
    """Return interactions as a pipeline keeps them, without their ids."""
    columns, times = compact(given), given.times
    return KeptInteractions(
        columns.users,
        columns.items,
        columns.counts,
        None if times is None else times.values,
        times is not None and times.is_date,
        columns.dtype is np.float64,
        sample_weight,
    )


class Training(NamedTuple):
    """The steps of a pipeline, the interactions of its fit, and the weight of each user."""

    steps: list[Any]
    columns: IndexedInteractions
    sample_weight: Array | None

    def rows(self, users: Array | None = None) -> TrainingRows:
        """Return the input of the model for all users, or for those of the given users it has."""
        columns, weights = self.columns, self.sample_weight
        if users is not None:
            places = index_of(columns.user_ids).get_indexer(index_of(users))
            columns = of_users(columns, users[places >= 0])
            weights = None if weights is None else weights[places[places >= 0]]
        is_empty = not len(columns.user_ids)
        X = _no_rows(self.columns) if is_empty else transformed(self.steps[:-1], columns)
        rows = checked_block(self.steps[-1], X, len(columns.item_ids))
        return TrainingRows(rows, np.ones(rows.shape[0]) if weights is None else weights)


def row_change(before: Training, after: Training, touched: Array, *, is_added: bool) -> RowChange:
    """Fit the steps of `after` but the last, and return the change of the last step's input.

    `touched` are the raw ids of the users whose interactions have changed.
    """
    mapper, *between, _ = after.steps
    mapper.fit(after.columns)
    is_by_row = all(type(step) is LogCountTransformer for step in between)
    if is_by_row:
        for step in between:
            step.fit(_no_rows(after.columns, 1))
    else:
        X = mapper.transform(after.columns)
        with sparse_results():
            for step in between:
                is_short = hasattr(step, "fit_transform")
                X = step.fit_transform(X) if is_short else step.fit(X).transform(X)
    has_times = before.columns.times is not None or after.columns.times is not None
    items = index_of(before.columns.item_ids)
    return RowChange(
        after.rows,
        partial(after.rows, touched),
        items.get_indexer(index_of(after.columns.item_ids)),
        is_added,
        partial(before.rows, touched) if is_by_row and not has_times else None,
    )


def _no_rows(columns: IndexedInteractions, n_rows: int = 0) -> sp.csr_array[Any]:
    return sp.csr_array((n_rows, len(columns.item_ids)), dtype=columns.dtype)


def with_bytes(costs: Any, beside: int) -> Any:
    """Return the result of a model's `plan` with further bytes that are kept beside the model."""
    if isinstance(costs, dict):
        return {name: with_bytes(cost, beside) for name, cost in costs.items()}
    return costs._replace(bytes=costs.bytes + beside, kept_bytes=costs.kept_bytes + beside)
