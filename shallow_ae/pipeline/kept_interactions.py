"""The interactions that a pipeline keeps for updates, and the change of the model's rows in one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._typing import Array
from shallow_ae.data.frequent_items import are_among, of_items, update_of_items
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.interaction_log import Update, of_users
from shallow_ae.data.matrices import checked_block
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.data.tables import IndexedInteractions
from shallow_ae.data.times import Times
from shallow_ae.models.updates import RowChange
from shallow_ae.serving.servable import sparse_results, transformed

_BYTES = {False: 4 + 4 + 8, True: 4 + 4 + 8 + 8}  # of an interaction, without and with a time


class KeptInteractions(NamedTuple):
    """The interactions of a fit. Their users are those of the IdMapper.

    Their items are those of the IdMapper, too, unless `item_ids` names more.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    counts: NDArray[np.float64]
    times: Array | None
    has_dates: bool
    is_double: bool
    sample_weight: Array | None  # of each user
    n_log_steps: int | None  # None if a step before the model is no LogCountTransformer
    item_ids: Array | None = None  # None if the IdMapper has left out no item

    def columns(self, mapper: IdMapper) -> IndexedInteractions:
        """Return the interactions with their ids.

        Raises
        ------
        ValueError
            If the mapper is not the mapper of the fit, or its half-life was set or removed since.
        """
        if not hasattr(mapper, "users_"):
            raise ValueError(
                "The IdMapper was replaced after `fit`, and with it the ids of the kept "
                "interactions. Call `fit`."
            )
        if (self.times is None) != (mapper.half_life is None):
            raise ValueError(
                f"`half_life`={mapper.half_life!r} was set after `fit`, which kept interactions "
                f"with{'out' if self.times is None else ''} times. Call `fit`."
            )
        return IndexedInteractions(
            self.users,
            self.items,
            self.counts,
            np.float64 if self.is_double else np.float32,
            mapper.users_,
            mapper.items_ if self.item_ids is None else self.item_ids,
            None if self.times is None else Times(self.times, self.has_dates),
        )


def of_known_items(columns: IndexedInteractions, mapper: IdMapper) -> IndexedInteractions:
    """Return kept interactions without the items that the mapper has left out."""
    return of_items(columns, are_among(columns, mapper.items_))


def kept(
    given: IndexedInteractions, sample_weight: Array | None, steps: list[Any]
) -> KeptInteractions:
    """Return interactions as a pipeline with these fitted steps keeps them, without their ids."""
    times = given.times
    return KeptInteractions(
        given.users.astype(np.int32, copy=False),
        given.items.astype(np.int32, copy=False),
        given.counts,
        None if times is None else times.values,
        times is not None and times.is_date,
        given.dtype is np.float64,
        sample_weight,
        _n_log_steps(steps),
        given.item_ids if len(given.item_ids) > len(steps[0].items_) else None,
    )


def kept_bytes(given: IndexedInteractions) -> int:
    """Return the number of bytes of interactions as a pipeline keeps them."""
    return len(given.users) * _BYTES[given.times is not None]


class Training(NamedTuple):
    """The steps of a pipeline, the interactions that it learns from, and the users' weights."""

    steps: list[Any]
    columns: IndexedInteractions
    sample_weight: Array | None

    def rows(self) -> TrainingRows:
        """Return the input of the model for all users."""
        X = transformed(self.steps[:-1], self.columns)
        return self._checked(X, self.sample_weight)

    def rows_of(self, users: NDArray[np.intp]) -> TrainingRows:
        """Return the input of the model for users with these codes.

        The steps between the mapper and the model must be LogCountTransformers. They need not be
        fitted: a new one weights the rows in the same way.
        """
        X: Any = sp.csr_array((0, len(self.columns.item_ids)), dtype=self.columns.dtype)
        if len(users):
            X = self.steps[0].transform(of_users(self.columns, users))
            for _ in self.steps[1:-1]:
                X = LogCountTransformer().fit_transform(X)
        return self._checked(X, None if self.sample_weight is None else self.sample_weight[users])

    def _checked(self, X: Any, weights: Array | None) -> TrainingRows:
        rows = checked_block(self.steps[-1], X, len(self.columns.item_ids))
        return TrainingRows(rows, np.ones(rows.shape[0]) if weights is None else weights)


def row_change(
    before: Training, after: Training, update: Update, n_log_steps: int | None
) -> RowChange:
    """Fit the steps of `after` but the last, and return the change of the last step's input.

    `n_log_steps` is the value of the interactions that were kept before the update.
    """
    if _n_log_steps(after.steps) is None:
        fit_transformers(after.steps, after.columns)
    else:  # which learn the ids and the number of items only
        after.steps[0].fit(after.columns)
        no_counts = sp.csr_array((1, len(after.steps[0].items_)), dtype=after.columns.dtype)
        for step in after.steps[1:-1]:
            step.fit(no_counts)
    known = [are_among(own.columns, own.steps[0].items_) for own in (before, after)]
    update = update_of_items(update, *known)
    before, after = (
        own._replace(columns=of_items(own.columns, chosen))
        for own, chosen in zip((before, after), known, strict=True)
    )
    are_log_counts = n_log_steps is not None and _n_log_steps(after.steps) == n_log_steps
    is_by_row = are_log_counts and after.columns.times is None
    rows = cache(after.rows)
    return RowChange(
        rows,
        partial(after.rows_of, update.touched) if is_by_row else partial(_taken, rows, update),
        update.items,
        len(update.columns.users),
        update.is_added,
        (len(before.columns.user_ids), len(before.columns.item_ids)),
        partial(before.rows_of, update.touched_before) if is_by_row else None,
    )


def _taken(rows: Callable[[], TrainingRows], update: Update) -> TrainingRows:
    X, weights = rows()
    return TrainingRows(X[update.touched], weights[update.touched])


def _n_log_steps(steps: list[Any]) -> int | None:
    between = steps[1:-1]
    return len(between) if all(type(step) is LogCountTransformer for step in between) else None


def fit_transformers(steps: list[Any], columns: IndexedInteractions) -> Any:
    """Fit all steps but the last, and return the input of the last step."""
    X: Any = columns
    with sparse_results():
        for step in steps[:-1]:
            is_short = hasattr(step, "fit_transform")
            X = step.fit_transform(X) if is_short else step.fit(X).transform(X)
    return X


def with_bytes(costs: Any, beside: int) -> Any:
    """Return the result of a model's `plan` with further bytes that are kept beside the model."""
    if isinstance(costs, dict):
        return {name: with_bytes(cost, beside) for name, cost in costs.items()}
    return costs._replace(bytes=costs.bytes + beside, kept_bytes=costs.kept_bytes + beside)
