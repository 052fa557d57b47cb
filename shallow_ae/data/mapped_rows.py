"""Interactions read for an IdMapper: its columns, rows of users, and reports of unknown items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae.data.arguments import plain
from shallow_ae.data.counts import warn_of_counts
from shallow_ae.data.decay import decayed
from shallow_ae.data.id_index import index_of
from shallow_ae.data.sources import as_table
from shallow_ae.data.tables import IndexedInteractions, encode, framed, to_csr
from shallow_ae.data.times import times_in

if TYPE_CHECKING:
    from shallow_ae.data.ids import IdMapper

_MOST_COMPARED = 100  # unknown items of which one may show why all are unknown
# A function of the mapper, the number of interactions with unknown items, the number of all
# interactions, and the distinct unknown items.
ReportUnknown: TypeAlias = Callable[["IdMapper", int, int, Array], None]


def column_names(mapper: IdMapper) -> tuple[str, ...]:
    """Return the names of the columns of users, items and counts, and of further ones it reads."""
    further = (mapper.weight, mapper.time if mapper.half_life is not None else None)
    named = [name for name in further if name is not None]
    return mapper.user, mapper.item, mapper.count, *named


def check_plain_counts(mapper: IdMapper) -> None:
    """Raise a ValueError if the mapper weights interactions, which a Dask DataFrame cannot be."""
    named = [name for name in ("half_life", "weight") if getattr(mapper, name) is not None]
    if named:
        raise ValueError(
            f"`{named[0]}` is not available for a Dask DataFrame: multiply its column of counts by "
            "the weights, and name no other columns."
        )


def as_frame_of(mapper: IdMapper, interactions: Any) -> Any:
    """Return interactions from a path, a relation or a stream as a frame; others unchanged."""
    time = None if mapper.half_life is None else mapper.time
    return as_table(interactions, mapper.user, mapper.item, mapper.count, time)


def read_columns(mapper: IdMapper, interactions: Any) -> IndexedInteractions:
    """Return the interactions with the columns that the mapper names.

    Interactions that were read before are returned unchanged.
    """
    if isinstance(interactions, IndexedInteractions):
        return interactions
    interactions = as_frame_of(mapper, interactions)
    columns = encode(interactions, mapper.user, mapper.item, mapper.count, mapper.weight)
    if mapper.time is None or mapper.half_life is None:
        return columns
    times = times_in(framed(interactions, "time", mapper.time), mapper.time)
    return columns._replace(times=times)


def read_to_fit(mapper: IdMapper, interactions: Any) -> IndexedInteractions:
    """Return the interactions as `read_columns`, and warn if their counts seem misread."""
    if isinstance(interactions, IndexedInteractions):
        return interactions
    given = as_frame_of(mapper, interactions)
    columns = read_columns(mapper, given)
    warn_of_counts(given, mapper.count, (mapper.user, mapper.item, mapper.time, mapper.weight))
    return columns


def rows_and_users(
    mapper: IdMapper, interactions: Any, *, report: ReportUnknown | None
) -> tuple[sp.csr_array[Any], Array]:
    """Return the results of `transform` and `users_in`; the interactions are read only once.

    `report` is called if there are items that `fit` did not see.
    """
    check_is_fitted(mapper)
    columns = read_columns(mapper, interactions)
    if mapper.half_life is not None:
        columns = decayed(columns, getattr(mapper, "reference_time_", None), mapper.half_life)
    fitted = mapper.item_index(columns.item_ids)  # one look-up for each item, not for each row
    columns = columns._replace(items=fitted[columns.items])
    known = columns.items >= 0
    if not known.all():
        if report:
            n_unknown, missing = int((~known).sum()), columns.item_ids[fitted < 0]
            report(mapper, n_unknown, known.size, missing)
        columns = columns._replace(
            users=columns.users[known], items=columns.items[known], counts=columns.counts[known]
        )
    return to_csr(columns, len(mapper.items_)), columns.user_ids


def report_unknown(
    mapper: IdMapper, n_unknown: int, n_interactions: int, ids: Sequence[Any] | Array
) -> None:
    """Warn that items are left out, or raise an error, depending on `unknown`."""
    message = (
        f"{n_unknown:,} of {n_interactions:,} interactions name {len(ids):,} items that "
        f"{not_seen(mapper)}, such as {plain(ids[0])!r}"
    )
    if len(ids) and n_unknown == n_interactions:
        message += why_unknown(mapper, ids)
    if mapper.unknown == "error":
        raise ValueError(f"{message}. Fit on them, or leave them out with unknown='ignore'.")
    warn_caller(f"{message}; they are left out.")


def not_seen(mapper: IdMapper) -> str:
    """Return what is true of items that the mapper does not know."""
    if mapper.min_users == 1:
        return "were not seen in fit"
    return f"were not seen in fit or had fewer than `min_users`={plain(mapper.min_users)!r} users"


def warn_if_split(mapper: IdMapper, interactions: Any) -> None:
    """Warn if more than half of the users were in the fit with other interactions than here.

    The numbers of their rows with known items are compared. An unpickled mapper does not know them.
    """
    if not hasattr(mapper, "_n_rows"):
        return
    columns = read_columns(mapper, interactions)
    is_known = (mapper.item_index(columns.item_ids) >= 0)[columns.items]
    n_rows = np.bincount(
        columns.users[is_known & (columns.counts > 0)], minlength=len(columns.user_ids)
    )
    rows = index_of(mapper.users_).get_indexer(index_of(columns.user_ids))
    is_split = (rows >= 0) & (n_rows != mapper._n_rows[rows])
    if 2 * is_split.sum() > len(is_split):
        warn_caller(
            "Most users were in fit with other interactions than in the scored ones. The items of "
            "these users in fit are recommended to them again, so the score misleads. In a search "
            "or cross-validation, keep users whole: `cv=GroupKFold()` and "
            f"`groups=X[{mapper.user!r}]`. Elsewhere, pass the users' known interactions, and the "
            "held-out ones as `y`."
        )


def why_unknown(mapper: IdMapper, ids: Sequence[Any] | Array) -> str:
    """Return the reason why no item is known, as far as the first unknown items show one."""
    first = list(ids[:_MOST_COMPARED])
    if (index_of(getattr(mapper, "users_", ())).get_indexer(index_of(first)) >= 0).any():
        return (
            f" ({plain(first[0])!r} is a user of fit: the columns of users and items may be "
            "swapped)"
        )
    for kind in (str, int):
        for given in map(plain, first):
            other = _converted(given, kind)
            column = int(mapper.item_index([other])[0])
            if column >= 0 and type(other) is not type(given):
                seen = plain(mapper.items_[column])
                return (
                    f" ({given!r} is a {type(given).__name__}, and fit saw the "
                    f"{type(seen).__name__} {seen!r}: convert the ids to the type that they have "
                    "in fit)"
                )
    return ""


def _converted(given: Any, kind: type) -> Any:
    """Return an id as another type, or as it is if that has no such value."""
    try:
        return kind(str(given))  # int would round floats
    except ValueError:
        return given
