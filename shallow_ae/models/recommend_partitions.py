"""Scores and recommendations for the rows of a Dask array."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from shallow_ae._cluster.ranking import RankingRows, rank_tasks, score_tasks
from shallow_ae._runtime.dask_graphs import Task, constant, in_partition, task
from shallow_ae._weights.candidates import candidate_filter, check_shared_list
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae.data.dask_arrays import array_of, row_blocks
from shallow_ae.data.matrices import check_width, checked_block


def predict(model: Any, weights: WeightMatrix, X: Any) -> Any:
    """Return the scores of all items as a Dask array of shape (n_users, n_items)."""
    scores = score_tasks(weights, _checked_blocks(model, X))
    meta = np.empty((0, weights.n_inputs), weights.dtype)
    return array_of(scores, X.chunks[0], weights.n_inputs, meta)


def recommend(
    model: Any,
    weights: WeightMatrix,
    X: Any,
    k: int,
    *,
    exclude_seen: bool,
    candidates: Any,
    exclude: Any,
) -> tuple[Any, Any]:
    """Return the best items and their scores as Dask arrays of shape (n_users, k).

    `candidates` and `exclude` are None or one list for all users.
    """
    n_items = weights.n_inputs
    lists = {"candidates": candidates, "exclude": exclude}
    for name, given in lists.items():
        lists[name] = check_shared_list(name, given, n_items)
    of_all = constant(lists)
    rows = [task(_ranking_rows, block, exclude_seen, of_all) for block in _checked_blocks(model, X)]
    best = rank_tasks(weights, rows, k)
    metas = (np.empty((0, k), np.int64), np.empty((0, k), weights.dtype))
    items, scores = (
        array_of([pair[place] for pair in best], X.chunks[0], k, meta)
        for place, meta in enumerate(metas)
    )
    return items, scores


def unfitted(model: Any) -> Any:
    """Return a model with the same parameters that is not fitted."""
    return clone(model)


def _checked_blocks(model: Any, X: Any) -> list[Task]:
    blocks = row_blocks(X)
    check_width(model, X.shape[1])
    estimator = constant(unfitted(model))
    return [task(_check, estimator, place, block, X.shape[1]) for place, block in enumerate(blocks)]


def _check(model: Any, place: int, block: Any, n_items: int) -> sp.csr_array[Any]:
    return in_partition(place, "X", checked_block, model, block, n_items)


def _ranking_rows(X: sp.csr_array[Any], exclude_seen: bool, lists: dict[str, Any]) -> RankingRows:
    return RankingRows(X, candidate_filter(X, exclude_seen, **lists))
