"""Scores and best items of rows in partitions, as tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import scipy.sparse as sp

from shallow_ae._cluster.column_blocks import ColumnBlocks
from shallow_ae._runtime.dask_graphs import Task, shared, task
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae._weights.ranking import all_scores, best_items


class RankingRows(NamedTuple):
    """Checked rows, and the items that may be recommended to each."""

    X: sp.csr_array[Any]
    allowed: CandidateFilter


def score_tasks(form: WeightMatrix, rows: Sequence[Task]) -> list[Task]:
    """Return tasks whose results are X P for checked rows X."""
    if isinstance(form, ColumnBlocks):
        return [form.scores_of(X) for X in rows]
    weights = shared(form)
    return [task(all_scores, weights, X) for X in rows]


def rank_tasks(form: WeightMatrix, rows: Sequence[Task], k: int) -> list[Task]:
    """Return tasks whose results are the best items of `RankingRows`, and their scores."""
    if isinstance(form, ColumnBlocks):
        return [form.best_of(part, k) for part in rows]
    weights = shared(form)
    return [task(_rank, weights, part, k) for part in rows]


def _rank(weights: WeightMatrix, rows: RankingRows, k: int) -> Any:
    return best_items(weights, rows.X, k, rows.allowed)
