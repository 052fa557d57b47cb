"""Candidate filters from the arguments of `recommend`, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import (
    CandidateFilter,
    ItemLists,
    lists_of_rows,
    shared_list,
)
from shallow_ae.data.arguments import check_boolean
from shallow_ae.data.matrices import canonical


def candidate_filter(
    X: sp.csr_array[Any], exclude_seen: bool = True, candidates: Any = None, exclude: Any = None
) -> CandidateFilter:
    """Return the candidate filter for the users whose checked rows are `X`.

    :meth:`shallow_ae.ShallowAutoEncoder.recommend` documents the arguments and the errors.
    """
    n_users, n_items = X.shape
    nothing = shared_list(np.empty(0, np.int32), n_users)
    seen = lists_of_rows(X) if check_boolean("exclude_seen", exclude_seen) else nothing
    return CandidateFilter(
        seen,
        nothing if exclude is None else _check_lists("exclude", exclude, n_users, n_items),
        nothing if candidates is None else _check_lists("candidates", candidates, n_users, n_items),
        candidates is not None,
    )


def check_shared_list(name: str, given: Any, n_items: int) -> NDArray[np.int32] | None:
    """Return one list of items for all users, or None; raise a ValueError for other forms."""
    if given is None:
        return None
    is_nested = sp.issparse(given) or any(isinstance(items, Iterable) for items in given)
    listed = None if is_nested else as_indices(name, given)
    if listed is None or listed.ndim != 1:
        raise ValueError(
            f"`{name}` must be one list of item indices for all users if X is a Dask array. Lists "
            "for each user are possible in RecommenderPipeline."
        )
    return check_items(name, listed, n_items)


def _check_lists(name: str, given: Any, n_users: int, n_items: int) -> ItemLists:
    """Return the lists of users, given as one list for all, a list for each, or a sparse matrix."""
    if sp.issparse(given):
        listed = canonical(given)
        if listed.shape != (n_users, n_items):
            raise ValueError(
                f"`{name}` has shape {listed.shape}, expected {(n_users, n_items)}: "
                "a row for each row of X and a column for each item."
            )
        return lists_of_rows(listed)
    if isinstance(given, np.ndarray) and not given.ndim:
        given = given.item()  # a number, which is no list
    is_array = isinstance(given, np.ndarray)
    lists = given if is_array else _sequence(name, given)
    if is_array and n_items > 2 and _looks_like_a_mask(given, (n_users, n_items)):
        raise ValueError(
            f"`{name}` is a mask of users x items by its shape and values, expected item indices. "
            "Pass scipy.sparse.csr_array(mask) instead."
        )
    if given.ndim == 1 if is_array else not any(isinstance(items, Iterable) for items in lists):
        return shared_list(np.unique(check_items(name, lists, n_items)), n_users)
    if len(lists) != n_users:
        raise ValueError(
            f"`{name}` has {len(lists):,} lists, expected {n_users:,}: one for each row of X. "
            "Pass a single list of items to apply it to all users."
        )
    rows = [check_items(name, items, n_items) for items in lists]
    users = np.repeat(np.arange(n_users), [len(items) for items in rows])
    pairs = (users, np.concatenate(rows))
    ones = np.ones(len(users), np.bool_)
    return lists_of_rows(canonical(sp.coo_array((ones, pairs), shape=(n_users, n_items))))


def _looks_like_a_mask(given: Array, shape: tuple[int, int]) -> bool:
    """Return whether an array has the shape of X and holds only 0 and 1."""
    return given.shape == shape and bool(np.isin(given, (0, 1)).all())


def _sequence(name: str, given: Any) -> list[Any]:
    # Iterating over a dict gives its keys, and over a data frame its column names.
    no_list = isinstance(given, str | Mapping) or hasattr(given, "columns")
    if no_list or not isinstance(given, Iterable):
        raise TypeError(
            f"`{name}` must be a list of item indices, a list of such lists for each user or a "
            f"sparse matrix, got {type(given).__name__}."
        )
    return list(given)


def as_indices(name: str, given: Any) -> NDArray[np.integer]:
    """Return a list or array of item indices as a new array."""
    items: Array = np.array(given if isinstance(given, np.ndarray) else _sequence(name, given))
    if not items.size:
        return items.astype(np.intp)
    if items.dtype.kind not in "iu":
        raise TypeError(
            f"`{name}` must hold item indices, found {items.dtype}. Convert a mask of items "
            "by np.flatnonzero, and a mask of users x items by scipy.sparse.csr_array."
        )
    return items


def check_items(name: str, given: Any, n_items: int) -> NDArray[np.int32]:
    """Check item indices, and return them without the -1 that mark empty places."""
    items = as_indices(name, given)
    if items.size and not -1 <= items.min() <= items.max() < n_items:
        raise ValueError(
            f"`{name}` holds item indices from {items.min()} to {items.max()}, expected 0 to "
            f"{n_items - 1}, or -1 for an empty place."
        )
    return items[items >= 0].astype(np.int32)
