"""Updates of fitted models by changed rows, new items and new users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallow_ae._linalg.columns import appended, square_of_columns, vector_of_columns
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram, keeps_gram
from shallow_ae._weights.item_weights import DenseWeights, ItemWeights
from shallow_ae.models.fitted import AutoEncoderState

_MOST_CHANGED = 0.5  # share of the rows above which a sum over all rows costs less


class RowChange(NamedTuple):
    """The training rows after an update, as functions: a model computes only those it needs."""

    after: Callable[[], TrainingRows]  # all rows after the update
    touched: Callable[[], TrainingRows]  # those of them that are new or have changed
    columns_before: NDArray[np.intp]  # of each column after the update, or -1 for a new item
    n_interactions: int  # after the update, at least as many as nonzero entries
    is_added: bool  # whether interactions were only added
    shape_before: tuple[int, int]  # of all rows before the update
    # The touched rows before the update. None if other rows have changed, too.
    removed: Callable[[], TrainingRows] | None = None


def exchanged(kept: Any, change: RowChange, user_exponent: float) -> TrainingGram | None:
    """Return the kept Gram matrix with the changed rows exchanged.

    None if no Gram matrix is kept or would be kept, if a sum over all rows costs less, or if
    rounding errors would be too large.
    """
    if not isinstance(kept, TrainingGram) or kept.user_exponent != user_exponent:
        return None
    if (kept.n_rows, len(kept.matrix)) != change.shape_before:
        return None  # the model was replaced, or updated without the pipeline
    if change.removed is None or not keeps_gram(change.n_interactions, len(change.columns_before)):
        return None
    removed, added = change.removed(), change.touched()
    n_changed = removed.n_rows + added.n_rows
    if removed.dtype != added.dtype or n_changed > _MOST_CHANGED * kept.n_rows:
        return None
    return kept.exchanged(removed, change.columns_before, added)


def with_columns(before: AutoEncoderState, columns: NDArray[np.intp]) -> AutoEncoderState:
    """Return the state of a descent with the given columns; -1 adds a row and a column of zeros."""
    if np.array_equal(columns, np.arange(len(before.diagonal))):
        return before
    P = square_of_columns(np.asarray(before.weights.materialized().P), columns)
    return replace(
        before,
        weights=ItemWeights(DenseWeights(P)),
        diagonal=vector_of_columns(before.diagonal, columns),
        item_counts=vector_of_columns(before.item_counts, columns),
    )


def with_items(before: AutoEncoderState, n_items: int) -> AutoEncoderState:
    """Return the state of a descent with a row and a column of zeros for each further item."""
    return with_columns(before, appended(len(before.diagonal), n_items))
