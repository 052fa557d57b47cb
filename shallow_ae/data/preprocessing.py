"""LogCountTransformer: counts weighted by 1 + log(1 + count)."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._typing import Array, Interactions
from shallow_ae.data.dask_arrays import map_rows, row_blocks
from shallow_ae.data.fitting import forget_names, snapshot, take_over
from shallow_ae.data.log_counts import log_counts
from shallow_ae.data.matrices import as_frame, check_interactions
from shallow_ae.data.matrix_errors import how_to_fill, place_of


class _SparseStaysSparse:
    """Mixin that applies scikit-learn's `set_output` to dense results only.

    scikit-learn wraps `transform` of every class that derives from TransformerMixin. The wrapper
    converts results to DataFrames if `set_output` says so, and refuses sparse matrices. This mixin
    does not derive from TransformerMixin, so its own `transform` is not wrapped.
    """

    fit: Callable[..., Any]
    _weighted: Callable[[Any], Interactions]

    def transform(self, X: Any) -> Interactions:
        """Return 1 + log(1 + count) for counts above 0, and 0 for zeros.

        The time is linear in the size of `X`.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Counts, finite and >= 0.

        Returns
        -------
        weights : ndarray, csr_array or Dask array of shape (n_users, n_items)
            New array; float64 for float64 input, else float32. A dense result becomes a DataFrame
            if scikit-learn's `set_output` requests it. A sparse result stays sparse. A Dask array
            is weighted and checked block by block, when it is computed.

        Examples
        --------
        >>> from shallow_ae import LogCountTransformer
        >>> transformer = LogCountTransformer().fit([[0, 1]])
        >>> transformer.transform([[1, 0]])
        array([[1.6931472, 0.       ]], dtype=float32)
        """
        if is_dask(X):
            weigh = copy(self).transform
            return map_rows(weigh, X)  # type: ignore[no-any-return]
        if sp.issparse(X):
            return self._weighted(X)
        weights: Interactions = super().transform(X)  # type: ignore[misc]
        return weights

    def fit_transform(self, X: Any, y: None = None) -> Interactions:
        """Fit to `X` and return its weights, as `fit` followed by `transform`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Counts, finite and >= 0.
        y : None
            Ignored.

        Returns
        -------
        weights : ndarray or csr_array of shape (n_users, n_items)
            As from `transform`.

        Examples
        --------
        >>> from shallow_ae import LogCountTransformer
        >>> LogCountTransformer().fit_transform([[0, 1]])
        array([[0.       , 1.6931472]], dtype=float32)
        """
        self.fit(X)
        return self.transform(X)


class _DenseWeighting(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base class with the `transform` of dense rows that scikit-learn wraps."""

    _weighted: Callable[[Any], Interactions]

    def transform(self, X: Any) -> Interactions:
        """Return the weights of dense rows."""
        return self._weighted(X)


class LogCountTransformer(_SparseStaysSparse, _DenseWeighting):
    """Weight counts by 1 + log(1 + count), leaving zeros zero.

    The first interaction with an item has weight 1.69, and the hundredth adds 0.01. Whether a user
    has seen an item therefore matters more than how often.

    At a count of 0 the formula gives 1 + log(1 + 0) = 1, which would turn every unseen item into a
    seen item. The transform is therefore applied only to counts above 0, also in dense input.

    Attributes
    ----------
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import LogCountTransformer
    >>> counts = np.array([[0, 1, 99]])
    >>> weights = LogCountTransformer().fit_transform(counts)
    >>> weights
    array([[0.       , 1.6931472, 5.6051702]], dtype=float32)
    >>> transformer = LogCountTransformer().fit(counts)
    >>> bool(np.array_equal(transformer.transform(counts), weights))
    True
    >>> transformer.inverse_transform(weights).round(3)
    array([[ 0.,  1., 99.]], dtype=float32)
    """

    def fit(self, X: Any, y: None = None) -> Self:
        """Check `X` and store the number and the names of its items.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Counts, finite and >= 0.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a count is negative, infinite or NaN. The message names its row and column.
        """
        trial = copy(self)
        if is_dask(X):  # `transform` checks the counts, block by block
            row_blocks(X)
            forget_names(trial, X.shape[1])
        else:
            trial._check(X, above=0, what="counts", reset=True)
        return take_over(self, trial)

    def _weighted(self, X: Any) -> Interactions:
        at = snapshot(self)
        check_is_fitted(at)
        counts = at._check(X, above=0, what="counts", reset=False)
        return _on_positive(counts, log_counts)

    def inverse_transform(self, X: Any) -> Interactions:
        """Return the counts for given weights: the inverse of `transform`, up to rounding.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Weights, 0 or finite and > 1.

        Returns
        -------
        counts : ndarray or csr_array of shape (n_users, n_items)
            Counts of the data type that `transform` would return for `X`.

        Examples
        --------
        >>> from shallow_ae import LogCountTransformer
        >>> transformer = LogCountTransformer()
        >>> weights = transformer.fit_transform([[0, 1, 3]])
        >>> transformer.inverse_transform(weights).round(3)
        array([[0., 1., 3.]], dtype=float32)
        """
        at = snapshot(self)
        check_is_fitted(at)
        weights = at._check(X, above=1, what="weights", reset=False)
        return _on_positive(weights, lambda weight: np.expm1(weight - 1))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, X: Any, *, above: float, what: str, reset: bool) -> Interactions:
        """Return `X` as float; raise a ValueError unless entries are 0, or finite and > `above`."""
        checked = check_interactions(self, X, reset=reset, ensure_all_finite=False)
        values = checked.data if isinstance(checked, sp.csr_array) else checked
        bad = ~((values == 0) | (values > above)) | np.isinf(values)  # NaN fails both comparisons
        if bad.any():
            wanted = f"{what} that are 0 or finite and > {above:g}."
            frame = None if sp.issparse(X) else as_frame(X)
            self._tell_bad(checked, bad, wanted, how_to_fill(checked, frame))
        return checked

    def _tell_bad(self, X: Interactions, bad: Array, expected: str, fill: str) -> None:
        row, column = place_of(X, int(bad.argmax()))
        value = X[row, column]
        names = getattr(self, "feature_names_in_", None)
        name = "" if names is None else f" ({names[column]!r})"
        kind = "Negative values" if value < 0 else "Unusable values"
        raise ValueError(
            f"{kind} in data passed to {type(self).__name__}: {_spell(value)} in row {row}, column "
            f"{column}{name}, the first of {int(bad.sum()):,}. Expected {expected}"
            + (f" {fill}" if np.isnan(value) else "")
        )


def _spell(value: Any) -> str:
    return "NaN" if np.isnan(value) else f"{value:g}"


def _on_positive(X: Interactions, function: Callable[[Array], Array]) -> Interactions:
    """Return a copy of `X` with `function` applied to its entries above 0."""
    X = X.copy()
    values = X.data if isinstance(X, sp.csr_array) else X
    np.copyto(values, function(values), where=values > 0)
    return X
