"""The best items for each row, and the contributions that a score consists of."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._linalg.csr import csr_arrays
from shallow_ae._runtime.blocks import block_rows, blocks, share_rows
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae._weights.popularity import PopularityOrder


def all_scores(weights: WeightMatrix, X: sp.csr_array[Any]) -> Array:
    """Return X P as an array."""
    check_rows(weights, X)
    scores = np.empty(X.shape, weights.dtype)

    def score(part: slice) -> None:
        scores[part] = weights.block_scores(X[part])

    share_rows(len(scores), score, most=block_rows(*X.shape))
    return scores


def best_items(
    weights: WeightMatrix,
    X: sp.csr_array[Any],
    k: int,
    allowed: CandidateFilter,
    *,
    verbose: int = 0,
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` best items of each row and their scores; empty places get -1 and NaN."""
    check_rows(weights, X)
    items = np.empty((X.shape[0], k), np.int64)
    scores = np.empty(items.shape, weights.dtype)
    weights.rank(X, allowed, items, scores, verbose=verbose)
    return items, scores


def best_of_rows(table: Array, k: int, allowed: CandidateFilter) -> tuple[NDArray[np.int64], Array]:
    """Return columns and values of the `k` largest entries of each row; `table` is modified."""
    from shallow_ae._weights.top_k import rank_given

    items = np.empty((len(table), k), np.int64)
    values = np.empty(items.shape, table.dtype)
    rank_given(table, allowed, 0, items, values)
    return items, values


def popular_items(
    item_counts: Array, k: int, allowed: CandidateFilter
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` allowed items with the most users, and their counts, for each user."""
    return PopularityOrder.of(np.asarray(item_counts, np.float64)).best(k, allowed)


def explain_scores(
    weights: WeightMatrix, X: sp.csr_array[Any], items: Array, k: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the `k` entries of each row that contribute most to the scores of `items`.

    `items` has a row for each row of X, with -1 in empty places. Both results have the shape of
    `items` with an additional axis of length `k`.
    """
    from shallow_ae._weights.top_k import rank_stored

    check_rows(weights, X)
    n_users, n_places = items.shape
    reasons = np.empty((n_users, n_places, k), np.int64)
    parts = np.empty(reasons.shape, weights.dtype)
    most = int(np.diff(X.indptr).max(initial=0)) * n_places
    for block in blocks(n_users, block_rows(n_users, most)):
        users = np.repeat(np.arange(block.start, block.stop), n_places)
        own = X[users].astype(weights.dtype, copy=False)  # a copy for each explained item
        explained = np.repeat(items[block].ravel(), np.diff(own.indptr))
        own.data *= weights.entries(own.indices, np.maximum(explained, 0))
        own.data[explained < 0] = -np.inf
        of_items = (len(users), k)
        rank_stored(
            csr_arrays(own, weights.dtype),
            reasons[block].reshape(of_items),
            parts[block].reshape(of_items),
        )
    return reasons, parts


def check_rows(weights: WeightMatrix, X: sp.csr_array[Any]) -> None:
    """Raise an error if compiled code would read outside P or outside the arrays of X.

    X was checked at the start of the call. Since then, the model may have been refitted on
    different items, and iterating over a list of the caller may have run code that changes the
    arrays that X shares with the caller.
    """
    if X.shape[1] != weights.n_inputs:
        raise RuntimeError(
            f"X has {X.shape[1]} items and the weights have {weights.n_inputs}: the model was "
            "refitted on different items during this call. Call the method again."
        )
    starts, n_entries = X.indptr, min(len(X.indices), len(X.data))
    is_whole = len(starts) == X.shape[0] + 1 and starts[0] == 0 and starts[-1] <= n_entries
    if not is_whole or (np.diff(starts) < 0).any():
        raise RuntimeError("The rows of X were changed since X was checked. Call the method again.")
    used = X.indices[: starts[-1]]
    if len(used) and not 0 <= used.min() <= used.max() < X.shape[1]:
        raise RuntimeError(
            "The items of X were changed since X was checked. Call the method again."
        )
