"""AutoEncoderUpdatesMixin: partial_fit and forget of ShallowAutoEncoder."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, Self

import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.regularization import AUTO
from shallow_ae._objective.training_data import TrainingData
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._solvers.costs import quicker_solver
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.fitting import forget_names, take_over
from shallow_ae.data.matrices import check_interactions, with_new_items
from shallow_ae.models import fit_exact, fit_sgd
from shallow_ae.models.descent_rows import DescentRows
from shallow_ae.models.fit_partitions import fit_gram, read_partitions, updated
from shallow_ae.models.fitted import AutoEncoderState
from shallow_ae.models.parameters import check_parameters, descent_parameters_of, objective_of
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.models.updates import RowChange, exchanged, with_columns, with_items


class AutoEncoderUpdatesMixin(RecommenderMixin):
    """Updates of a model that was fitted in closed form or by gradient descent."""

    _fitted: AutoEncoderState
    fit: Callable[..., Self]
    regularization: float | str
    dropout: float
    solver: str
    batch_size: int
    max_iter: int
    user_exponent: float
    early_stopping: bool
    verbose: int

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with the interactions of further users.

        With "exact", the result equals a `fit` on all rows so far. With "sgd", the update makes one
        pass over the users, in random order and in batches of at most `batch_size`. Its steps have
        the constant length `learning_rate`, because the number of later updates is unknown. With
        `learning_rate` "auto", the step length is 1/L on these rows, or the previous step length
        if that is shorter. `max_iter` and `tol` are ignored.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions of further users, with the same items as in the first call. A DataFrame may
            have further columns: if `fit` saw column names, these become new items.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. With "sgd", a step depends only on the ratios
            between the weights of one call.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError, MemoryError
            As in `fit`. A ValueError also if `early_stopping` is set with "sgd", or if "exact"
            updates a model fitted with "sgd". The estimator is then unchanged.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(solver="exact").fit(X[:2])
        >>> model.partial_fit(X[2:]).n_samples_seen_
        3
        >>> whole = ShallowAutoEncoder(solver="exact").fit(X)
        >>> bool(np.allclose(model.item_weights_, whole.item_weights_))
        True
        """
        check_parameters(self)
        is_fitted = hasattr(self, "_fitted")
        if (self._solver_of_updates() if is_fitted else self._solver_for(X)) == "exact":
            if not is_fitted:
                return self.fit(X, y, sample_weight)
            kept = self._kept_data()
            if is_dask(X) or isinstance(kept, PartitionedRows):
                return self._update(kept, X, sample_weight, is_added=True)
            trial, X = with_new_items(self, X)
            rows, weights = trial._checked_rows(X, sample_weight)
            fit_exact.check_update_fits(kept, rows, is_added=True)
            kept = kept.with_items(trial.n_features_in_)
            return self._solve(trial, kept.learn(rows, weights, self.user_exponent))
        self._check_single_pass()
        trial, X = with_new_items(self, X)
        data = descent_rows_of(trial, X, sample_weight, reset=not is_fitted)
        if isinstance(data, DescentRows):  # before memory for new items is taken
            fit_sgd.check_descent_fits(descent_parameters_of(self), data.X)
        before = with_items(self._fitted, trial.n_features_in_) if is_fitted else None
        trial._fitted = fit_sgd.single_pass(
            descent_parameters_of(self), objective_of(self, data), data, before
        )
        taken: Self = take_over(self, trial)
        return taken

    def forget(self, X: Any, sample_weight: Any = None) -> Self:
        """Remove users from the training data and update the weights.

        The result equals a `fit` on the remaining rows. An exact model keeps its training rows, or
        their Gram matrix if it is not larger (n_items^2 <= number of interactions). If it keeps
        rows, the result is equal bit for bit. If it keeps the Gram matrix, the result is equal up
        to float64 rounding relative to the largest sum that the matrix has held. A warning reports
        an accuracy of less than eight digits.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Rows with the same values as in `fit` or `partial_fit`, in any order. Each given row
            removes one training row equal to it.
        sample_weight : array-like of shape (n_users,), default=None
            The weights that these rows had in training; None means 1.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If the model was not fitted with "exact", if a row is not in the training data, or if no
            user would remain. The estimator is then unchanged. A model that keeps the Gram matrix
            detects only rows that cannot have been in the training data.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
        >>> model = ShallowAutoEncoder(solver="exact").fit(X).forget(X[1:2])
        >>> expected = ShallowAutoEncoder(solver="exact").fit(X[[0, 2]])
        >>> bool(np.allclose(model.item_weights_, expected.item_weights_))
        True
        """
        check_is_fitted(self)
        check_parameters(self)
        kept = self._kept_data()
        if is_dask(X) or isinstance(kept, PartitionedRows):
            return self._update(kept, X, sample_weight, is_added=False)
        rows, weights = self._checked_rows(X, sample_weight)
        fit_exact.check_update_fits(kept, rows, is_added=False)
        return self._solve(copy(self), kept.forget(rows, weights, self.user_exponent))

    def _relearn(self, change: RowChange) -> Self:
        check_parameters(self)
        if not hasattr(self, "_fitted"):  # the model was replaced after the fit of a pipeline
            return super()._relearn(change)
        if self._solver_of_updates() == "exact":
            kept = exchanged(self._fitted.training_data, change, self.user_exponent)
            if kept is not None:
                trial = copy(self)
                forget_names(trial, len(kept.matrix))
                return self._solve(trial, kept)
        elif change.is_added and self._is_descent_of(change.shape_before):
            return self._descend(change)
        return super()._relearn(change)

    def _is_descent_of(self, shape: tuple[int, int]) -> bool:
        """Return whether gradient descent has fitted this model to rows of this shape."""
        state = self._fitted
        return state.training_data is None and shape == (
            state.n_samples_seen,
            len(state.diagonal),
        )

    def _descend(self, change: RowChange) -> Self:
        """Make one pass of gradient descent over the rows with new interactions."""
        self._check_single_pass()
        trial, rows, after = copy(self), DescentRows(*change.touched()), change.after()
        fit_sgd.check_descent_fits(descent_parameters_of(self), rows.X)
        forget_names(trial, len(change.columns_before))
        state = fit_sgd.single_pass(
            descent_parameters_of(self),
            objective_of(self, rows),
            rows,
            with_columns(self._fitted, change.columns_before),
            after.item_counts,
        )
        trial._fitted = replace(state, n_samples_seen=after.n_rows)
        return take_over(self, trial)

    def _check_single_pass(self) -> None:
        if self.early_stopping:
            raise ValueError(
                "`partial_fit` makes one pass over the rows and cannot stop early. Set "
                "`early_stopping`=False."
            )

    def _solver_for(self, X: Any, *, needs_steps: bool = False) -> str:
        """Return the solver of a fit to `X`, which is `solver` unless that is "auto"."""
        if self.solver != AUTO:
            return self.solver
        if is_dask(X):
            raise ValueError(
                "`solver`='auto' estimates the cost of X in memory, and X is a Dask array. Set "
                "`solver`='exact' if n_items^2 numbers fit in this process, else `solver`='sgd'."
            )
        if needs_steps or not (self.regularization or self.dropout):  # exact offers neither
            return "sgd"
        rows = check_interactions(copy(self), X, reset=True)
        return quicker_solver(rows, self.batch_size, self.max_iter)

    def _solver_of_updates(self) -> str:
        """Return the solver of updates of the fitted model."""
        return self._fitted.solver if self.solver == AUTO else self.solver

    def _solve(self, trial: Self, data: TrainingData | PartitionedRows) -> Self:
        """Fit in closed form to the given training data only."""
        objective = objective_of(self, data)
        if isinstance(data, PartitionedRows):
            trial._fitted = fit_gram(data, objective, verbose=self.verbose)
        else:
            trial._fitted = fit_exact.fit(data, objective, verbose=self.verbose)
        return take_over(self, trial)

    def _update(
        self, kept: TrainingData | PartitionedRows, X: Any, sample_weight: Any, *, is_added: bool
    ) -> Self:
        """Add or remove rows where the new rows or the kept rows lie in partitions."""
        data = updated(self, kept, X, sample_weight, is_added=is_added)
        return self._solve(copy(self), data)

    def _kept_data(self) -> TrainingData | PartitionedRows:
        kept = self._fitted.training_data
        if self._solver_of_updates() != "exact" or kept is None:
            raise ValueError(
                "Exact updates need a model fitted with solver='exact' that keeps its training "
                "data. This model was fitted with another solver, loaded from a file without "
                "training data (save it with `keep='all'`), or fitted to a Dask array and then "
                "pickled. Set `solver` and call `fit`, or update the original model."
            )
        return kept

    def _checked_rows(self, X: Any, sample_weight: Any) -> tuple[sp.csr_array[Any], Array]:
        rows = sp.csr_array(check_interactions(self, X, reset=False))
        return rows, check_sample_weight(sample_weight, rows.shape[0], may_be_zero=True)


def descent_rows_of(
    trial: Any, X: Any, sample_weight: Any, *, reset: bool
) -> DescentRows | PartitionedRows:
    """Return checked rows with their weights."""
    if is_dask(X):
        rows = read_partitions(trial, X, sample_weight, reset=reset)
        rows.check_total()
        return rows
    X = check_interactions(trial, X, reset=reset)
    return DescentRows(X, check_sample_weight(sample_weight, X.shape[0]))
