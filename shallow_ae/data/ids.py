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

from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_choice
from shallow_ae.data.fitting import take_over
from shallow_ae.data.matrices import canonical
from shallow_ae.data.tables import IndexedInteractions, encode, of_one_type, to_csr


class IdMapper(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Turn interactions with raw ids into a sparse users x items matrix of counts.

    Interactions are any of

    - a DataFrame (pandas, polars or any other eager frame that narwhals reads) with the columns
      named by `user`, `item` and `count`; without a count column each row counts 1;
    - a list of `(user, item)` or `(user, item, count)` tuples;
    - an array of shape (n_interactions, 2 or 3) with the same columns.

    ids may be of any hashable kind, numbered by first appearance. Equal pairs are summed.

    Parameters
    ----------
    user, item, count : str, default="user", "item", "count"
        Column names, for DataFrames only.
    unknown : {"ignore", "error"}, default="ignore"
        What `transform` does with items that `fit` did not see: leave them out and warn with
        their number, or raise a ValueError.

    Attributes
    ----------
    users_ : ndarray of shape (n_users,)
        The raw user ids of `fit`, in order of first appearance.
    items_ : ndarray of shape (n_items,)
        The raw item ids of `fit`: the columns of every matrix that `transform` returns.

    Notes
    -----
    Users carry no state in the model: `transform` gives one row to each user *of the frame it is
    handed*, in order of first appearance there, so new users can be scored. `users_in` tells
    whose rows they are. Sums are taken in float64; the result is float64 where the counts are
    float64, or have one of Python's floats among them, and float32 otherwise (exact for sums up to
    2**24).

    Time is that of hashing both id columns and of one csr construction, without a Python loop over
    rows.

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
        unknown: str = "ignore",
    ) -> None:
        self.user = user
        self.item = item
        self.count = count
        self.unknown = unknown

    def fit(self, interactions: Any, y: None = None) -> Self:
        """Give the users and items of `interactions` numbers, by first appearance.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For no interactions, missing columns, missing ids, tuples of different lengths, and
            counts that are missing, infinite, negative or not real numbers; the message says which
            row. For counts of a user and an item whose sum the type of the matrix does not hold.
        TypeError
            For what is no table, and lists whose rows have no order or are texts.
        """
        self._fit(interactions)
        return self

    def fit_transform(self, interactions: Any, y: None = None) -> sp.csr_array[Any]:
        """Fit to `interactions` and return their matrix; the same as `fit` and `transform`.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
        y : None
            Ignored.

        Returns
        -------
        X : csr_array of shape (n_users, n_items)
        """
        return to_csr(self._fit(interactions), len(self.items_))

    def transform(self, interactions: Any) -> sp.csr_array[Any]:
        """Return the matrix of `interactions`: a row for each of their users, the fitted items.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)

        Returns
        -------
        X : csr_array of shape (n_users of interactions, n_items)
            Users stand in order of first appearance, see `users_in`. A user with unknown items
            only has an empty row.

        Raises
        ------
        ValueError
            As `fit`, and for unknown items where `unknown="error"`.
        """
        return rows_and_users(self, interactions, warn=True)[0]

    def inverse_transform(self, X: Any, users: Iterable[Any] | None = None) -> pd.DataFrame:
        """Return the nonzero entries of `X` as interactions.

        Parameters
        ----------
        X : sparse matrix or ndarray of shape (n_users, n_items)
        users : sequence of n_users raw ids, default=None
            Whose rows these are; None means the users of `fit`.

        Returns
        -------
        interactions : pandas.DataFrame
            Columns as named by `user`, `item` and `count`, row by row of `X`.
        """
        check_is_fitted(self)
        rows = canonical(X).tocoo()
        ids = self.users_ if users is None else index_of(users).to_numpy()
        if rows.shape != (len(ids), len(self.items_)):
            raise ValueError(
                f"X has shape {rows.shape}, expected ({len(ids)}, {len(self.items_)}): a row for "
                "each user and a column for each fitted item. Pass `users` for rows of others "
                "than the users of `fit`."
            )
        return pd.DataFrame(
            {
                self.user: ids[rows.coords[0]],
                self.item: self.items_[rows.coords[1]],
                self.count: rows.data,
            }
        )

    def users_in(self, interactions: Any) -> Array:
        """Return the raw ids of the rows that `transform(interactions)` has, in order.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)

        Returns
        -------
        users : ndarray of shape (n_users,)
        """
        return encode(interactions, self.user, self.item, self.count).user_ids

    def user_index(self, users: Iterable[Any]) -> NDArray[np.intp]:
        """Return the row of each user in the fitted matrix, -1 for users that `fit` did not see.

        Parameters
        ----------
        users : sequence of raw ids

        Returns
        -------
        rows : ndarray of int of shape (n,)
        """
        check_is_fitted(self)
        return index_of(self.users_).get_indexer(index_of(users))

    def item_index(self, items: Iterable[Any]) -> NDArray[np.intp]:
        """Return the column of each item, -1 for items that `fit` did not see.

        Parameters
        ----------
        items : sequence of raw ids

        Returns
        -------
        columns : ndarray of int of shape (n,)
        """
        check_is_fitted(self)
        columns: NDArray[np.intp] = self._positions.get_indexer(index_of(items))
        return columns

    def item_ids(self, indices: ArrayLike) -> Array:
        """Return the raw id of each column index; None where the index is -1.

        Parameters
        ----------
        indices : array-like of int of any shape
            For instance what `recommend` returns, in which -1 means "nothing left to offer".

        Returns
        -------
        items : ndarray of object of the same shape

        Raises
        ------
        TypeError
            For indices that are no integers.
        ValueError
            For integers that are no column.
        """
        check_is_fitted(self)
        columns, n_items = of_one_type(np.asarray(indices)), len(self.items_)
        if columns.size and columns.dtype.kind not in "iu":
            raise TypeError(
                f"Item indices must be integers, found {columns.dtype}: "
                f"{columns.flat[0]!r} is the first. Pass what `recommend` or `item_index` returns."
            )
        if columns.size and (columns.min() < -1 or columns.max() >= n_items):
            raise ValueError(
                f"Item indices must lie in [-1, {n_items - 1}], found {columns.min()} "
                f"to {columns.max()}."
            )
        ids = np.empty(n_items + 1, dtype=object)  # the last stays None, and -1 points to it
        ids[:n_items] = self.items_
        return ids[columns.astype(np.intp)]

    def get_feature_names_out(self, input_features: None = None) -> NDArray[np.object_]:
        """Return the fitted item ids as strings: the names of the matrix's columns.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str of shape (n_items,)
        """
        check_is_fitted(self)
        return np.array([str(item) for item in self.items_], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Return the mapper: its matrix is sparse, whatever scikit-learn is set to.

        Parameters
        ----------
        transform : str or None
            Ignored, there for pipelines that set it for all their steps.

        Returns
        -------
        self
        """
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # rows are interactions, not samples
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _fit(self, interactions: Any) -> IndexedInteractions:
        check_choice("unknown", self.unknown, ("ignore", "error"))
        columns = encode(interactions, self.user, self.item, self.count)
        trial = copy(self)
        trial.users_, trial.items_ = columns.user_ids, columns.item_ids
        trial._positions = index_of(trial.items_)  # whose hash table is built once
        take_over(self, trial)
        return columns


def rows_and_users(
    mapper: IdMapper, interactions: Any, *, warn: bool
) -> tuple[sp.csr_array[Any], Array]:
    """Return what `transform` and `users_in` of a fitted mapper return, and read the table once."""
    check_is_fitted(mapper)
    columns = encode(interactions, mapper.user, mapper.item, mapper.count)
    fitted = mapper.item_index(columns.item_ids)  # looked up once an item, not a row
    columns = columns._replace(items=fitted[columns.items])
    known = columns.items >= 0
    if not known.all():
        if warn:
            n_unknown, missing = int((~known).sum()), columns.item_ids[fitted < 0]
            _report_unknown(mapper, n_unknown, known.size, missing)
        columns = columns._replace(
            users=columns.users[known], items=columns.items[known], counts=columns.counts[known]
        )
    return to_csr(columns, len(mapper.items_)), columns.user_ids


def _report_unknown(mapper: IdMapper, n_unknown: int, n_interactions: int, ids: Array) -> None:
    """Warn that items are left out, or raise an error, as `unknown` says."""
    message = (
        f"{n_unknown:,} of {n_interactions:,} interactions name {len(ids):,} items that were "
        f"not seen in fit, such as {ids[0]!r}"
    )
    if mapper.unknown == "error":
        raise ValueError(f"{message}. Fit on them, or leave them out with unknown='ignore'.")
    warn_caller(f"{message}; they are left out.")


def index_of(ids: Iterable[Any]) -> pd.Index[Any]:
    """Return ids of any hashable kind as an index that compares them as Python does."""
    # Neither does pandas make a MultiIndex of tuples so, nor NumPy a table.
    values = ids if isinstance(ids, np.ndarray) else list(ids)
    return pd.Index(values, dtype=object, tupleize_cols=False)
