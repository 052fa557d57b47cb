"""Results of a fitted pipeline's steps: best items, contributions, scores, tables of weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.blocks import blocks
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.ranking import popular_items
from shallow_ae.data.id_lists import truth_and_lists
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.mapped_rows import ReportUnknown, report_unknown, rows_and_users, warn_if_split
from shallow_ae.data.sources import as_table
from shallow_ae.data.tables import frame_like
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models.recommender import checked_rows, rank
from shallow_ae.serving.servable import transformed

COLUMNS = ("score", "rank", "by_popularity")  # of recommendations, beside the ids

_PAIRS_AT_ONCE = 2**13  # pairs of a user and an item explained in one block


class Rows(NamedTuple):
    """The rows of users."""

    seen: sp.csr_array[Any]  # counts
    X: sp.csr_array[Any]  # the input of the last step
    users: Array  # raw ids

    def of(self, users: slice) -> Rows:
        """Return the rows of the selected users."""
        return Rows(self.seen[users], self.X[users], self.users[users])


def score_interactions(
    steps: list[Any], interactions: Any, y: Any, protocol: HoldoutProtocol
) -> float:
    """Return the score of fitted steps on held-out interactions.

    The steps are the steps of a RecommenderPipeline, without "passthrough" steps. `y` gives the
    held-out interactions; None holds out a part of `interactions`.
    """
    mapper, model = steps[0], steps[-1]
    names = {name: getattr(mapper, name) for name in ("user", "item", "count")}
    interactions = as_table(interactions, **names, time=mapper.time)
    visible, hidden = protocol.split_pairs(interactions, y, names)
    seen, X, users = read(steps, visible, report=None)
    allowed = candidate_filter(seen)
    items, _, _ = best_or_popular(model, X, protocol.k, allowed, popular=True, verbose=0)
    score = protocol.measure(*truth_and_lists(hidden, users, items, mapper))
    if y is None:
        warn_if_split(mapper, interactions)
    return score


def read(
    steps: list[Any], interactions: Any, *, report: ReportUnknown | None = report_unknown
) -> Rows:
    """Return the rows of the users in the interactions."""
    given, users = rows_and_users(steps[0], interactions, report=report)
    if not len(users):  # which scikit-learn's transformers refuse
        return Rows(given, given, users)
    X = transformed(steps[1:-1], given)
    return Rows(given, checked_rows(steps[-1], X), users)


def recommended(
    steps: list[Any],
    rows: Rows,
    k: int,
    lists: dict[str, Any],
    *,
    exclude_seen: bool,
    popular: bool,
    verbose: int = 0,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the ids and the further columns of the recommendations for all rows."""
    mapper, model = steps[0], steps[-1]
    allowed = candidate_filter(rows.seen, exclude_seen, **lists)
    best = best_or_popular(model, rows.X, k, allowed, popular=popular, verbose=verbose)
    items, scores, known = best
    row, place = np.nonzero(items >= 0)
    ids = {mapper.user: rows.users[row], mapper.item: mapper.items_[items[row, place]]}
    columns = (scores[row, place], place + 1, ~known[row])
    return ids, dict(zip(COLUMNS, columns, strict=True))


def best_or_popular(
    model: Any,
    X: sp.csr_array[Any],
    k: int,
    allowed: CandidateFilter,
    *,
    popular: bool,
    verbose: int,
) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """Return the best items of each row, their scores, and whether the user has a known item.

    Users without a known item get the items with the most users if `popular`, else no items.
    """
    known, k = np.diff(X.indptr) > 0, min(k, X.shape[1])
    items, scores = np.full((len(known), k), -1, np.int64), np.full((len(known), k), np.nan)
    if known.any():
        items[known], scores[known] = rank(model, X[known], k, allowed.of(known), verbose=verbose)
    if popular and not known.all():
        items[~known], scores[~known] = popular_items(model.item_counts_, k, allowed.of(~known))
    return items, scores, known


def reasons_of_pairs(
    model: Any, X: sp.csr_array[Any], rows: Array, items: Array, k: int
) -> tuple[Array, Array, Array, Array]:
    """Return the reasons of each pair of a row and an item, with contributions and ranks.

    All four arrays have one entry for each reason; the first holds the position of its pair.
    """
    none = np.empty(0, np.intp)
    parts = [(none, none, np.empty(0, np.float32), none)]  # the result if there are no pairs
    for block in blocks(len(rows), _PAIRS_AT_ONCE):
        reasons, contributions = model.explain(X[rows[block]], items[block], k)
        pair, place = np.nonzero(reasons >= 0)
        found = (reasons[pair, place], contributions[pair, place], place + 1)
        parts.append((block.start + pair, *found))
    pairs, reasons, contributions, ranks = map(np.concatenate, zip(*parts, strict=True))
    return pairs, reasons, contributions, ranks


def table_of_weights(mapper: IdMapper, P: sp.csr_array[Any]) -> pd.DataFrame:
    """Return the stored entries of P as a table with raw ids."""
    items, names = mapper.items_, ("similar", "weight")
    # The ids get their data type before they are repeated.
    catalogue = frame_like(None, {mapper.item: items}, dict.fromkeys(names, items))
    seen = np.repeat(np.arange(len(items)), np.diff(P.indptr))
    columns = {
        mapper.item: catalogue[mapper.item].array.take(seen),
        "similar": catalogue["similar"].array.take(P.indices),
        "weight": P.data.astype(np.float32, copy=False),
    }
    return pd.DataFrame(columns, copy=False)
