"""Scores and best items of rows in partitions, as tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import scipy.sparse as sp

from shallow_ae._cluster.column_blocks import ColumnBlocks
from shallow_ae._runtime.dask_graphs import Delayed, shared
from shallow_ae._weights.candidates import CandidateFilter
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae._weights.ranking import all_scores, best_items


class RankingRows(NamedTuple):
    """Checked rows, and the items that may be recommended to each."""

    X: sp.csr_array[Any]
    allowed: CandidateFilter


def score_tasks(form: WeightMatrix, rows: Sequence[Delayed]) -> list[Delayed]:
    """Return tasks whose results are X P for checked rows X."""
    import dask

    if isinstance(form, ColumnBlocks):
        return [form.scores_of(X) for X in rows]
    weights, score = shared(form), dask.delayed(all_scores, pure=False)
    return [score(weights, X) for X in rows]


def rank_tasks(form: WeightMatrix, rows: Sequence[Delayed], k: int) -> list[Delayed]:
    """Return tasks whose results are the best items of `RankingRows`, and their scores."""
    import dask

    if isinstance(form, ColumnBlocks):
        return [form.best_of(part, k) for part in rows]
    weights, rank = shared(form), dask.delayed(_rank, pure=False)
    return [rank(weights, part, k) for part in rows]


def _rank(weights: WeightMatrix, rows: RankingRows, k: int) -> Any:
    return best_items(weights, rows.X, k, rows.allowed)
