"""KeptRowsMixin: partial_fit and forget of models that keep their training rows."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.training_data import TrainingRows, own_rows
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._runtime.memory import free_memory
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.matrices import check_interactions, with_new_items
from shallow_ae.models.fit_partitions import read_partitions, updated_rows
from shallow_ae.models.parameters import check_parameters
from shallow_ae.models.recommender import RecommenderMixin


class KeptRowsMixin(RecommenderMixin):
    """A recommender that keeps its training rows, and is fitted again to add or remove rows."""

    def _learn(self, trial: Self, data: TrainingRows, free: int) -> Self:
        """Fit to the given rows only, or raise a MemoryError if `free` bytes are too few.

        `trial` is a copy of the estimator, which the estimator takes over.
        """
        raise NotImplementedError

    def _learn_partitions(self, trial: Self, data: PartitionedRows) -> Self:
        """Fit to rows in partitions only, on the workers."""
        raise NotImplementedError

    def _fit_rows(self, X: Any, sample_weight: Any) -> Self:
        check_parameters(self)
        free = free_memory()  # measured before the copies that the estimated cost includes
        trial = copy(self)
        if is_dask(X):
            return self._learn_partitions(trial, read_partitions(trial, X, sample_weight))
        return self._learn(trial, checked_training_rows(trial, X, sample_weight), free)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with the interactions of further users.

        The result equals a `fit` on all rows so far, and costs as much as that fit. If the model
        has a parameter `random_state`, it must be an int for this equality.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions of further users, with the same items as in the first call. A DataFrame may
            have further columns: if `fit` saw column names, these become new items.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError, MemoryError
            As in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import SparseShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = SparseShallowAutoEncoder().fit(X[:2])
        >>> model.partial_fit(X[2:]).n_samples_seen_
        3
        """
        if not hasattr(self, "_fitted"):
            return self._fit_rows(X, sample_weight)
        check_parameters(self)
        kept = self._kept_rows()
        if is_dask(X) or isinstance(kept, PartitionedRows):
            return self._update(kept, X, sample_weight, is_added=True)
        trial, X = with_new_items(self, X)
        rows, weights = trial._checked_rows(X, sample_weight)
        free = free_memory()  # before the rows are joined, which the estimated cost includes
        return self._learn(trial, kept.with_items(rows.shape[1]).plus(rows, weights), free)

    def forget(self, X: Any, sample_weight: Any = None) -> Self:
        """Remove users from the training data and update the weights.

        The result equals, bit for bit, a `fit` on the remaining rows, and costs as much as that
        fit. If the model has a parameter `random_state`, it must be an int for this equality.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Rows with the same values as in `fit` or `partial_fit`, in any order. Each given row
            removes one training row equal to it. If float32 rows were combined with float64 rows,
            all rows are kept and compared in float64.
        sample_weight : array-like of shape (n_users,), default=None
            The weights that these rows had in training; None means 1.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If a row is not in the training data, or if no user would remain. The estimator is then
            unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import SparseShallowAutoEncoder
        >>> X = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
        >>> model = SparseShallowAutoEncoder().fit(X).forget(X[1:2])
        >>> expected = SparseShallowAutoEncoder().fit(X[[0, 2]])
        >>> (model.item_weights_ != expected.item_weights_).nnz
        0
        """
        check_is_fitted(self)
        check_parameters(self)
        kept = self._kept_rows()
        if is_dask(X) or isinstance(kept, PartitionedRows):
            return self._update(kept, X, sample_weight, is_added=False)
        rows, weights = self._checked_rows(X, sample_weight)
        free = free_memory()
        return self._learn(copy(self), kept.minus(rows, weights), free)

    def _update(
        self, kept: TrainingRows | PartitionedRows, X: Any, sample_weight: Any, *, is_added: bool
    ) -> Self:
        """Add or remove rows where the new rows or the kept rows lie in partitions."""
        data = updated_rows(self, kept, X, sample_weight, is_added=is_added)
        return self._learn_partitions(copy(self), data)

    def _kept_rows(self) -> TrainingRows | PartitionedRows:
        kept = self._fitted.training_data
        if not isinstance(kept, TrainingRows | PartitionedRows):
            raise ValueError(
                "This model keeps no training rows, so it cannot be updated: it was loaded "
                "from a file without them (save it with `keep='all'`), returned by `sparsify`, or "
                "fitted to a Dask array and then pickled. Update the original model, or call `fit`."
            )
        return kept

    def _checked_rows(self, X: Any, sample_weight: Any) -> tuple[sp.csr_array[Any], Array]:
        rows = _narrowed(sp.csr_array(check_interactions(self, X, reset=False)))
        return rows, check_sample_weight(sample_weight, rows.shape[0], may_be_zero=True)


def checked_training_rows(
    trial: KeptRowsMixin, X: Any, sample_weight: Any, *, is_kept: bool = True
) -> TrainingRows:
    """Return checked rows, and free the temporary arrays.

    Rows that a model keeps share no memory with `X`.
    """
    rows = _narrowed(sp.csr_array(check_interactions(trial, X, reset=True)))
    weights = check_sample_weight(sample_weight, rows.shape[0])
    return own_rows(rows, weights, X if is_kept else None, sample_weight)


def _narrowed(X: sp.csr_array[Any]) -> sp.csr_array[Any]:
    """Return rows with 32-bit indices if these can address all entries."""
    if X.nnz > np.iinfo(np.int32).max:
        return X
    narrow = (array.astype(np.int32, copy=False) for array in (X.indices, X.indptr))
    return sp.csr_array((X.data, *narrow), X.shape)
