"""Updates of fitted models by changed rows, new items and new users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._weights.item_weights import DenseWeights, ItemWeights
from shallow_ae.models.fitted import AutoEncoderState

_MOST_CHANGED = 0.5  # share of the rows above which a sum over all rows costs less


class RowChange(NamedTuple):
    """The training rows after an update, and where they were before it."""

    before: Callable[[], TrainingRows]
    after: TrainingRows
    rows: NDArray[np.intp]  # for each row after the update, the row before it, or -1
    columns: NDArray[np.intp]  # the same for the columns
    is_touched: NDArray[np.bool_]  # rows with new interactions
    is_added: bool  # whether interactions were only added

    def touched(self) -> TrainingRows:
        """Return the rows with new interactions."""
        return self._taken(self.is_touched)

    def _taken(self, chosen: NDArray[np.bool_]) -> TrainingRows:
        return TrainingRows(self.after.X[chosen], self.after.sample_weight[chosen])


def exchanged(kept: Any, change: RowChange, user_exponent: float) -> TrainingGram | None:
    """Return the kept Gram matrix with the changed rows exchanged.

    None if no Gram matrix is kept, if a sum over all rows costs less, or if rounding errors would
    be too large.
    """
    if not isinstance(kept, TrainingGram) or kept.user_exponent != user_exponent:
        return None
    before, after = change.before(), change.after
    if before.dtype != after.dtype:
        return None
    is_changed = changed_rows(before, change)
    is_gone = np.ones(before.n_rows, np.bool_)
    is_gone[change.rows[~is_changed]] = False
    if is_gone.sum() + is_changed.sum() > _MOST_CHANGED * after.n_rows:
        return None
    removed = TrainingRows(before.X[is_gone], before.sample_weight[is_gone])
    return kept.exchanged(removed, change.columns, change._taken(is_changed))


def changed_rows(before: TrainingRows, change: RowChange) -> NDArray[np.bool_]:
    """Return which rows after the update are new, or differ from the same row before it."""
    n_items = change.after.X.shape[1]
    is_changed: NDArray[np.bool_] = change.rows < 0
    same = np.flatnonzero(~is_changed)
    place = np.full(before.X.shape[1], n_items)  # items that are gone come after all others
    place[change.columns[change.columns >= 0]] = np.flatnonzero(change.columns >= 0)
    old = before.X[change.rows[same]]
    old = sp.csr_array((old.data, place[old.indices], old.indptr), (len(same), n_items + 1))
    left_item = np.concatenate([[0], np.cumsum(old.indices == n_items)])
    new = change.after.X[same]
    new = sp.csr_array((new.data, new.indices, new.indptr), (len(same), n_items + 1))
    differences = sp.csr_array(old - new)
    differences.eliminate_zeros()
    differs = np.diff(differences.indptr) > 0
    differs |= np.diff(left_item[old.indptr]) > 0  # whose values may cancel each other
    differs |= before.sample_weight[change.rows[same]] != change.after.sample_weight[same]
    is_changed[same[differs]] = True
    return is_changed


def with_columns(before: AutoEncoderState, change: RowChange) -> AutoEncoderState:
    """Return the state of a descent with a row and a column of zeros for each new item."""
    columns = change.columns
    is_known = columns >= 0
    P_before = np.asarray(before.weights.materialized().P)
    P = np.zeros((len(columns), len(columns)), P_before.dtype)
    P[np.ix_(is_known, is_known)] = P_before[np.ix_(columns[is_known], columns[is_known])]
    diagonal = np.zeros(len(columns), before.diagonal.dtype)
    diagonal[is_known] = before.diagonal[columns[is_known]]
    counts = np.zeros(len(columns), before.item_counts.dtype)
    counts[is_known] = before.item_counts[columns[is_known]]
    return replace(
        before, weights=ItemWeights(DenseWeights(P)), diagonal=diagonal, item_counts=counts
    )
