"""IdMapper: raw ids to rows and columns of a users x items matrix, and back."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from shallow_ae._runtime.dask_graphs import is_dask_frame
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_choice, check_integer, plain
from shallow_ae.data.counts import check_some_counts
from shallow_ae.data.decay import decayed
from shallow_ae.data.fitting import snapshot, take_over
from shallow_ae.data.frequent_items import with_frequent_items
from shallow_ae.data.id_index import index_of
from shallow_ae.data.mapped_rows import (
    check_plain_counts,
    read_columns,
    read_to_fit,
    report_unknown,
    rows_and_users,
)
from shallow_ae.data.matrices import canonical
from shallow_ae.data.tables import IndexedInteractions, to_csr
from shallow_ae.data.unnamed_columns import of_one_type


class IdMapper(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Turn interactions with raw ids into a sparse users x items matrix of counts.

    Interactions have one of these forms:

    - a DataFrame (pandas, polars or any other eager frame that narwhals reads) with the columns
      named by `user`, `item` and `count`; without a count column each row counts 1;
    - a list of `(user, item)` or `(user, item, count)` tuples;
    - an array of shape (n_interactions, 2 or 3) with the same columns;
    - a path: a Parquet file or a folder of Parquet files (which need the extra `parquet`), a
      `.csv` or `.tsv` file with a header, or a `.txt` file with lines of `user item count` and no
      header. Text may be compressed. pandas reads ids that are all digits as integers from files
      with a header, and as strings from files without;
    - a DuckDB relation, or an Arrow table or stream, such as a RecordBatchReader;
    - a Dask DataFrame with the columns of a DataFrame, whose rows may lie in any partition.

    Paths, relations and streams are read into memory.

    Ids may have any hashable type and are numbered in order of first appearance. The counts of
    repeated (user, item) pairs are summed.

    Parameters
    ----------
    user, item, count : str, default="user", "item", "count"
        Column names, for DataFrames only. A frame may lack the column "count", but not a column of
        another name that `count` names.
    time : str, default=None
        Name of the column with the time of each interaction: dates of any type, or numbers such as
        years. Read only if `half_life` is set.
    half_life : timedelta, str or float, default=None
        Age at which the count of an interaction is halved. The age is measured from
        `reference_time_`. For dates, a timedelta or a str such as "90D" that pandas.Timedelta
        reads; for numbers, a number in their unit. None means no decay.
    weight : str, default=None
        Name of a column with the weight of each interaction, finite and >= 0, by which its count is
        multiplied. None means 1.
    unknown : {"ignore", "error"}, default="ignore"
        How `transform` handles items that `fit` did not see or left out: "ignore" leaves them out
        and warns with their number, "error" raises a ValueError.
    min_users : int, default=1
        Least number of users that an item needs to become a column. A user counts once, with a
        count above 0 of the item. `fit` leaves out the interactions with all other items, without a
        warning. The default 1 leaves out no item.

    Attributes
    ----------
    users_ : ndarray of shape (n_users,)
        The raw user ids of `fit`, in order of first appearance. Not defined after a fit to a Dask
        DataFrame, whose users stay on the workers.
    items_ : ndarray of shape (n_items,)
        The raw item ids of `fit`, without those that have fewer than `min_users` users. The columns
        of matrices that `transform` returns have this order.
    reference_time_ : int or float
        The latest time in `fit` of an interaction with an item of `items_`, for dates in
        nanoseconds since 1970. Defined only with `half_life`.

    Notes
    -----
    Each interaction decays before the counts of a pair are summed. In `transform`, interactions
    later than `reference_time_` do not decay, and a user's row does not depend on other users. The
    share that remains of a count is at least ``2**-60``, so an item stays seen for ever.

    The model has no parameters for users, so new users can be scored: `transform` returns one row
    for each user of the given interactions, in order of first appearance. `users_in` returns the
    ids of these users. Sums are computed in float64. The matrix is float64 if the counts are
    float64 or include a Python float, else float32 (exact for sums up to ``2**24``).

    A user all of whose items are left out by `min_users` has an empty row, as a user with only
    unknown items in `transform`. Such a row is one more user in the model's mean over users. The
    types of the columns are found before items are left out. No other trace of the interactions
    that are left out remains.

    The time is spent on hashing both id columns and constructing one csr matrix. There is no Python
    loop over rows.

    For a Dask DataFrame, the matrix is a Dask array with blocks of csr matrices. Dask's shuffle
    brings the rows of each user together, and determines the order of the users. The numbers of the
    items do not depend on the partitions.

    Examples
    --------
    >>> from shallow_ae import IdMapper
    >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
    >>> mapper = IdMapper()
    >>> mapper.fit_transform(listens).toarray()
    array([[3., 2.],
           [0., 1.]], dtype=float32)
    >>> mapper.users_, mapper.items_
    (array(['ann', 'bob'], dtype=object), array(['Hey Jude', 'Kashmir'], dtype=object))
    >>> mapper.transform([("cleo", "Kashmir")]).toarray()
    array([[0., 1.]], dtype=float32)
    """

    users_: Array
    items_: Array

    def __init__(
        self,
        user: str = "user",
        item: str = "item",
        count: str = "count",
        *,
        time: str | None = None,
        half_life: Any = None,
        weight: str | None = None,
        unknown: str = "ignore",
        min_users: int = 1,
    ) -> None:
        self.user = user
        self.item = item
        self.count = count
        self.time = time
        self.half_life = half_life
        self.weight = weight
        self.unknown = unknown
        self.min_users = min_users

    def fit(self, interactions: Any, y: None = None) -> Self:
        """Assign numbers to the users and items of `interactions`, in order of first appearance.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray or Dask DataFrame
            Interactions with raw ids. An array has shape (n_interactions, 2 or 3).
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are no interactions, a column or an id is missing, tuples differ in length, or
            a count is missing, infinite, negative or not a real number. The message names the row.
            Also if the counts of one user and item sum to more than the data type of the matrix
            can represent, or if no item has `min_users` users.
        TypeError
            If `min_users` is not an integer, or `interactions` is not a table, or is a list whose
            rows are strings or unordered.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.items_
        array(['Hey Jude', 'Kashmir'], dtype=object)
        """
        if is_dask_frame(interactions):
            return self._fit_partitions(interactions)
        self._fit(interactions)
        return self

    def fit_transform(self, interactions: Any, y: None = None) -> sp.csr_array[Any]:
        """Fit to `interactions` and return their matrix, as `fit` followed by `transform`.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray or Dask DataFrame
            Interactions with raw ids. An array has shape (n_interactions, 2 or 3).
        y : None
            Ignored.

        Returns
        -------
        X : csr_array of shape (n_users, n_items)
            Counts: row i belongs to user `users_[i]`, column j to item `items_[j]`. A Dask array
            for a Dask DataFrame.

        Raises
        ------
        ValueError, TypeError
            As in `fit`.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> IdMapper().fit_transform(listens).toarray()
        array([[3., 2.],
               [0., 1.]], dtype=float32)
        """
        if is_dask_frame(interactions):
            fitted = self._fit_partitions(interactions)
            return fitted._matrix_of(interactions, "ignore")  # type: ignore[no-any-return]
        columns = self._fit(interactions)
        return to_csr(columns, len(columns.item_ids))

    def transform(self, interactions: Any) -> sp.csr_array[Any]:
        """Return the users x items matrix of `interactions`, with the items of `fit` as columns.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray or Dask DataFrame
            Interactions with raw ids. An array has shape (n_interactions, 2 or 3).

        Returns
        -------
        X : csr_array or Dask array of shape (n_users of interactions, n_items)
            Counts. Rows are the users of `interactions` in order of first appearance, see
            `users_in`. A user with only unknown items has an empty row.

        Raises
        ------
        ValueError
            As in `fit`, and if an item is unknown and `unknown` is "error".

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> mapper = IdMapper().fit([("ann", "Hey Jude", 3), ("bob", "Kashmir", 1)])
        >>> mapper.transform([("cleo", "Kashmir", 2)]).toarray()
        array([[0., 2.]], dtype=float32)
        """
        if is_dask_frame(interactions):
            check_is_fitted(self)
            check_plain_counts(self)
            return self._matrix_of(interactions, self.unknown)  # type: ignore[no-any-return]
        return rows_and_users(snapshot(self), interactions, report=report_unknown)[0]

    def inverse_transform(self, X: Any, users: Iterable[Any] | None = None) -> pd.DataFrame:
        """Return the nonzero entries of `X` as interactions.

        Parameters
        ----------
        X : sparse matrix or ndarray of shape (n_users, n_items)
            Counts, with the items of `fit` as columns.
        users : sequence of n_users raw ids, default=None
            User of each row; None means the users of `fit`.

        Returns
        -------
        interactions : pandas.DataFrame
            Columns named by `user`, `item` and `count`, in the order of the rows of `X`.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.inverse_transform(mapper.transform(listens))
          user      item  count
        0  ann  Hey Jude    3.0
        1  ann   Kashmir    2.0
        2  bob   Kashmir    1.0
        """
        at = snapshot(self)
        check_is_fitted(at)
        rows = canonical(X).tocoo()
        ids = at._users() if users is None else index_of(users).to_numpy()
        if rows.shape != (len(ids), len(at.items_)):
            raise ValueError(
                f"X has shape {rows.shape}, expected ({len(ids)}, {len(at.items_)}): a row for "
                "each user and a column for each fitted item. Pass `users` if the rows do not "
                "belong to the users of `fit`."
            )
        return pd.DataFrame(
            {
                self.user: ids[rows.coords[0]],
                self.item: at.items_[rows.coords[1]],
                self.count: rows.data,
            }
        )

    def users_in(self, interactions: Any) -> Array:
        """Return the raw user id of each row of `transform(interactions)`, in order.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Interactions with raw ids.

        Returns
        -------
        users : ndarray of shape (n_users,)
            Raw user ids in order of first appearance.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.users_in([("cleo", "Kashmir"), ("ann", "Hey Jude")])
        array(['cleo', 'ann'], dtype=object)
        """
        return read_columns(self, interactions).user_ids

    def user_index(self, users: Iterable[Any], *, unknown: str = "error") -> NDArray[np.intp]:
        """Return the row index of each user in the matrix of `fit`.

        Parameters
        ----------
        users : sequence of raw ids
            Users to look up.
        unknown : {"error", "ignore"}, default="error"
            How to handle users that `fit` did not see: "error" raises a ValueError, "ignore"
            returns -1 for them. As an index, -1 is the last row.

        Returns
        -------
        rows : ndarray of int of shape (n,)
            Row indices.

        Raises
        ------
        ValueError
            If `fit` did not see a user and `unknown` is "error".

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.user_index(["bob", "ann"])
        array([1, 0])
        """
        at = snapshot(self)
        check_is_fitted(at)
        check_choice("unknown", unknown, ("error", "ignore"))
        asked = index_of(users)
        rows: NDArray[np.intp] = at._user_positions.get_indexer(asked)
        missing = np.flatnonzero(rows < 0)
        if len(missing) and unknown == "error":
            raise ValueError(
                f"{len(missing):,} of {len(rows):,} users were not seen in fit, the first is "
                f"{plain(asked[missing[0]])!r}. Leave them out, or pass `unknown`='ignore' to get "
                "-1 for them."
            )
        return rows

    def item_index(self, items: Iterable[Any]) -> NDArray[np.intp]:
        """Return the column index of each item.

        Parameters
        ----------
        items : sequence of raw ids
            Items to look up.

        Returns
        -------
        columns : ndarray of int of shape (n,)
            Column indices; -1 for items that `fit` did not see.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.item_index(["Kashmir", "Hey Jude"])
        array([1, 0])
        """
        at = snapshot(self)
        check_is_fitted(at)
        columns: NDArray[np.intp] = at._positions.get_indexer(index_of(items))
        return columns

    def item_ids(self, indices: ArrayLike) -> Array:
        """Return the raw item id of each column index.

        Parameters
        ----------
        indices : array-like of int of any shape
            Column indices, for instance the result of a model's `recommend`. An index of -1 stands
            for no item.

        Returns
        -------
        items : ndarray of object of the same shape
            Raw item ids; None where the index is -1.

        Raises
        ------
        TypeError
            If the indices are not integers.
        ValueError
            If an index is less than -1 or not less than n_items.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.item_ids([1, 0])
        array(['Kashmir', 'Hey Jude'], dtype=object)
        """
        check_is_fitted(self)
        items = self.items_
        columns, n_items = of_one_type(np.asarray(indices)), len(items)
        if columns.size and columns.dtype.kind not in "iu":
            raise TypeError(
                f"Item indices must be integers, found {columns.dtype}: {plain(columns.flat[0])!r} "
                "is the first. Pass the result of `recommend` or `item_index`."
            )
        if columns.size and (columns.min() < -1 or columns.max() >= n_items):
            raise ValueError(
                f"Item indices must lie in [-1, {n_items - 1}], found {columns.min()} "
                f"to {columns.max()}. Pass column indices, or -1 for an empty place."
            )
        ids = np.empty(n_items + 1, dtype=object)  # index -1 refers to the last entry, None
        ids[:n_items] = items
        return ids[columns.astype(np.intp)]

    def get_feature_names_out(self, input_features: None = None) -> NDArray[np.object_]:
        """Return the column names of the matrix: the item ids of `fit` as strings.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str of shape (n_items,)
            Item ids in the order of the columns.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.get_feature_names_out()
        array(['Hey Jude', 'Kashmir'], dtype=object)
        """
        check_is_fitted(self)
        return np.array([str(item) for item in self.items_], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Return the mapper unchanged: `transform` always returns a sparse matrix.

        Parameters
        ----------
        transform : str or None
            Ignored; present for pipelines, which call `set_output` of all steps.

        Returns
        -------
        self : object
            This mapper.

        Examples
        --------
        >>> from shallow_ae import IdMapper
        >>> listens = [("ann", "Hey Jude", 3), ("bob", "Kashmir", 1), ("ann", "Kashmir", 2)]
        >>> mapper = IdMapper().fit(listens)
        >>> mapper.set_output(transform="default") is mapper
        True
        """
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # rows are interactions, not samples
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _fit(self, interactions: Any) -> IndexedInteractions:
        min_users = self._checked_min_users()
        self._check_half_life()
        given = read_to_fit(self, interactions)
        check_some_counts(int(np.count_nonzero(given.counts)), len(given.counts), self.count)
        columns = with_frequent_items(given, min_users)
        latest = None if columns.times is None else columns.times.values.max().item()
        weighted = decayed(columns, latest, self.half_life)
        met = columns.users[columns.counts > 0]
        n_rows = np.bincount(met, minlength=len(columns.user_ids))
        self._store(
            columns.item_ids, users_=columns.user_ids, reference_time_=latest, _n_rows=n_rows
        )
        return weighted

    def _store(
        self,
        items: Array,
        *,
        users_: Array | None = None,
        reference_time_: float | None = None,
        _n_rows: Array | None = None,
    ) -> Self:
        trial, learned = copy(self), {"users_": users_, "reference_time_": reference_time_}
        for name, value in {**learned, "_n_rows": _n_rows}.items():
            trial.__dict__.pop(name, None)
            if value is not None:
                setattr(trial, name, value)
        trial.items_ = items
        trial._index = index_of(items)  # kept, so that its hash table is built once
        return take_over(self, trial)

    def _checked_min_users(self) -> int:
        check_choice("unknown", self.unknown, ("ignore", "error"))
        return check_integer("min_users", self.min_users, low=1)

    def _check_half_life(self) -> None:
        if self.half_life is not None and self.time is None:
            raise ValueError(
                f"`half_life`={self.half_life!r} needs the name of a column of times: set `time`."
            )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        for name in ("_index", "_user_index"):  # of `items_` and `users_`
            state.pop(name, None)
        state.pop("_n_rows", None)  # of each user, for a warning in the process of the fit
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "items_")

    @property
    def _user_positions(self) -> pd.Index[Any]:
        if "_user_index" not in vars(self):
            self._user_index = index_of(self._users())
        return self._user_index

    @property
    def _positions(self) -> pd.Index[Any]:
        if "_index" not in vars(self):
            self._index = index_of(self.items_)
        return self._index

    def _fit_partitions(self, frame: Any) -> Self:
        """Fit to a Dask DataFrame. Its users stay on the workers."""
        from shallow_ae.data.dask_tables import distinct_items, frequent_items

        check_plain_counts(self)
        min_users = self._checked_min_users()
        columns = (self.user, self.item, self.count)
        items = distinct_items(frame, columns)
        return self._store(frequent_items(frame, columns, items, min_users))

    def _matrix_of(self, frame: Any, unknown: str) -> Any:
        """Return the matrix of a Dask DataFrame as a Dask array with blocks of csr matrices."""
        from shallow_ae.data.dask_tables import array_of_counts

        columns = (self.user, self.item, self.count)
        return array_of_counts(frame, columns, self.items_, unknown)

    def _users(self) -> Array:
        if not hasattr(self, "users_"):
            raise ValueError(
                "The mapper has no users: it was fitted to a Dask DataFrame, whose users it does "
                "not keep, or it was saved for serving. Pass the users of the rows to "
                "`inverse_transform`; `transform` needs no known users."
            )
        return self.users_
