"""The interactions that a pipeline keeps to learn on, and the change of rows in an update."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._typing import Array
from shallow_ae.data.ids import IdMapper, index_of
from shallow_ae.data.interaction_log import compact
from shallow_ae.data.matrices import checked_block
from shallow_ae.data.tables import IndexedInteractions
from shallow_ae.data.times import Times
from shallow_ae.models.updates import RowChange


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


def row_change(
    steps: tuple[list[Any], list[Any]],
    before: tuple[IndexedInteractions, Array | None],
    after: tuple[IndexedInteractions, Array | None],
    touched: Array,
    *,
    is_added: bool,
) -> RowChange:
    """Fit the new steps but the last to the interactions after an update; return what it changes.

    Parameters
    ----------
    steps : pair of lists
        The fitted steps before the update, and copies of them, which are fitted.
    before, after : pairs
        The interactions and the sample weight of each user.
    touched : ndarray
        Raw ids of the users with new interactions.
    is_added : bool
        Whether interactions were only added.
    """
    old_steps, new_steps = steps
    X: Any = after[0]
    for step in new_steps[:-1]:
        X = step.fit_transform(X) if hasattr(step, "fit_transform") else step.fit(X).transform(X)
    old, new = before[0], after[0]
    rows_after = _training_rows(new_steps[-1], X, after)

    def rows_before() -> TrainingRows:
        X: Any = old
        for step in old_steps[:-1]:
            X = step.transform(X)
        return _training_rows(old_steps[-1], X, before)

    return RowChange(
        rows_before,
        rows_after,
        index_of(old.user_ids).get_indexer(index_of(new.user_ids)),
        index_of(old.item_ids).get_indexer(index_of(new.item_ids)),
        index_of(touched).get_indexer(index_of(new.user_ids)) >= 0,
        is_added,
    )


def _training_rows(
    model: Any, X: Any, given: tuple[IndexedInteractions, Array | None]
) -> TrainingRows:
    """Return the output of the steps before the model, checked, with the weights of its rows."""
    columns, weights = given
    rows = checked_block(model, X, len(columns.item_ids))
    return TrainingRows(rows, np.ones(rows.shape[0]) if weights is None else weights)


def with_bytes(costs: Any, beside: int) -> Any:
    """Return the result of a model's `plan` with further bytes that are kept beside the model."""
    if isinstance(costs, dict):
        return {name: with_bytes(cost, beside) for name, cost in costs.items()}
    return costs._replace(bytes=costs.bytes + beside, kept_bytes=costs.kept_bytes + beside)
