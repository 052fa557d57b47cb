"""Recommendations for the users of a Dask DataFrame, one partition of users at a time."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallow_ae._cluster.ranking import RankingRows, rank_tasks
from shallow_ae._runtime.dask_graphs import is_dask, shared, task
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.ranking import popular_items
from shallow_ae.data.dask_tables import UserRows, rows_of_users
from shallow_ae.data.id_lists import lists_of_items
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.mapped_rows import check_plain_counts
from shallow_ae.data.matrices import checked_block
from shallow_ae.data.tables import frame_like, is_frame
from shallow_ae.models.recommend_partitions import unfitted


class _Request(NamedTuple):
    """The parts of the pipeline and the arguments of `recommend` that a task needs."""

    mapper: IdMapper
    between: list[Any]  # the fitted steps between the mapper and the model
    model: Any  # not fitted; it is named in errors
    item_counts: Array
    k: int
    exclude_seen: bool
    lists: dict[str, Any]  # columns for all users, or raw ids for each user
    recommends_popular: bool
    result: pd.DataFrame  # without rows


class _Users(NamedTuple):
    """The users of a partition. The two filters are for users with and without known items."""

    ids: Array
    known: NDArray[np.bool_]
    rows: RankingRows  # of the users with known items
    allowed: CandidateFilter  # for the other users


def recommend_partitions(
    steps: list[Any],
    frame: Any,
    k: int,
    *,
    exclude_seen: bool,
    lists: dict[str, Any],
    no_history: str,
) -> Any:
    """Return the recommendations for all users of a Dask DataFrame as a Dask DataFrame.

    `steps` are the fitted steps of a RecommenderPipeline.
    """
    import dask.dataframe

    mapper, *between, model = steps
    check_plain_counts(mapper)
    columns = (mapper.user, mapper.item, mapper.count)
    rows = rows_of_users(frame, columns, mapper.items_, mapper.unknown)
    ids = {
        mapper.user: pd.Series(dtype=_plain(frame.dtypes[mapper.user])),
        mapper.item: pd.Series(dtype=_dtype_of_items(mapper.items_, frame.dtypes[mapper.item])),
    }
    empty = pd.DataFrame(ids)
    result = frame_like(empty, {name: empty[name].to_numpy() for name in ids}, _no_columns())
    result = result.astype(empty.dtypes)
    without_users = copy(mapper)
    without_users.__dict__.pop("users_", None)
    k = min(k, len(mapper.items_))
    request = shared(
        _Request(
            without_users,
            between,
            unfitted(model),
            model.item_counts_,
            k,
            exclude_seen,
            {name: _columns_for_all(name, given, mapper) for name, given in lists.items()},
            no_history == "popularity",
            result,
        )
    )
    users = [task(_prepare, request, part) for part in rows]
    ranked = rank_tasks(model._fitted.weights.form, [part.rows for part in users], k)
    frames = [task(_answer, request, part, best) for part, best in zip(users, ranked, strict=True)]
    return dask.dataframe.from_delayed(frames, meta=result, verify_meta=False)


def _prepare(request: _Request, part: UserRows) -> _Users:
    """Return the rows of the users, transformed for the model, and the allowed items."""
    X: Any = part.X
    for step in request.between:
        X = step.transform(X) if X.shape[0] else X
    X = checked_block(request.model, X, part.X.shape[1])
    lists = {
        name: lists_of_items(name, given, part.users, request.mapper)
        if _is_by_user(given)
        else given
        for name, given in request.lists.items()
    }
    allowed = candidate_filter(part.X, request.exclude_seen, **lists)
    known = np.diff(X.indptr) > 0
    rows = RankingRows(X[known], allowed.of(known))
    return _Users(part.users, known, rows, allowed.of(~known))


def _answer(
    request: _Request, users: _Users, best: tuple[NDArray[np.int64], Array]
) -> pd.DataFrame:
    """Return the rows of the result for the users of a partition."""
    shape = (len(users.known), request.k)
    items, scores = np.full(shape, -1, np.int64), np.full(shape, np.nan)
    items[users.known], scores[users.known] = (table[:, : request.k] for table in best)
    if request.recommends_popular and not users.known.all():
        popular = popular_items(request.item_counts, request.k, users.allowed)
        items[~users.known], scores[~users.known] = popular
    row, place = np.nonzero(items >= 0)
    mapper, result = request.mapper, request.result
    ids = {mapper.user: users.ids[row], mapper.item: mapper.items_[items[row, place]]}
    columns = {"score": scores[row, place], "rank": place + 1, "by_popularity": ~users.known[row]}
    answer: pd.DataFrame = frame_like(result, ids, columns).astype(result.dtypes)
    return answer


def _plain(dtype: Any) -> Any:
    """Return the data type of ids; objects for categories, which differ between partitions."""
    return np.dtype(object) if isinstance(dtype, pd.CategoricalDtype) else dtype


def _dtype_of_items(items: Array, given: Any) -> Any:
    """Return a data type for all fitted items: the frame's data type if that is for strings."""
    if items.dtype != object:
        return items.dtype
    is_text = isinstance(given, pd.StringDtype) and all(isinstance(item, str) for item in items)
    return given if is_text else items.dtype


def _no_columns() -> dict[str, Array]:
    return {
        "score": np.empty(0),
        "rank": np.empty(0, np.int64),
        "by_popularity": np.empty(0, np.bool_),
    }


def _columns_for_all(name: str, given: Any, mapper: IdMapper) -> Any:
    """Return one list of raw ids for all users as columns, and other forms unchanged."""
    if is_dask(given):
        raise TypeError(
            f"`{name}` must be in memory, got a Dask {type(given).__name__}. Call its `compute()`."
        )
    if given is None or _is_by_user(given):
        return given
    columns = lists_of_items(name, given, np.empty(0), mapper)
    return columns[columns >= 0]


def _is_by_user(given: Any) -> bool:
    return isinstance(given, Mapping) or is_frame(given)
