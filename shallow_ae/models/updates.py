"""How a fitted autoencoder learns more, and forgets."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from shallow_ae._solvers.gradient_descent.fit import Training
from shallow_ae._typing import Array, Interactions
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models.exact import forget_exactly, learn_exactly
from shallow_ae.models.parameters import check_parameters


class AtOnceMixin:
    """How a model changes: by a copy of it that is trained and takes its place at once.

    An error on the way leaves the model as it was.
    """

    get_params: Callable[..., dict[str, Any]]

    def _checked(
        self, X: Any, sample_weight: Any, *, reset: bool = False, is_update: bool = False
    ) -> tuple[Self, Interactions, Array]:
        """Return a copy of this estimator to be trained, with checked data."""
        model = copy(self)
        X = check_interactions(model, X, reset=reset)
        weights = check_sample_weight(sample_weight, X.shape[0], may_be_zero=is_update)
        return model, X, weights

    def _become(self, trained: Self) -> Self:
        """Take over, at once, all that a trained copy has but its parameters."""
        self.__dict__ = {**trained.__dict__, **self.get_params(deep=False)}
        return self


class UpdatesMixin(AtOnceMixin):
    """Methods that change what a model of either solver has learned."""

    solver: str
    early_stopping: bool
    fit: Callable[..., Self]

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go on learning from further rows.

        With "exact", the model becomes that of a `fit` on all rows so far. With "sgd", each user is
        taken once, in batches of at most `batch_size` in random order, with steps of
        `learning_rate` that do not decay: a stream has no last step. If "auto", they are 1/L on
        these rows, or as before if that is shorter. `max_iter` and `tol` play no part.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of further users, with the items of the first call.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; with "sgd", only ratios within one call matter to a step.

        Returns
        -------
        self

        Raises
        ------
        ValueError, MemoryError
            As in `fit`, where `early_stopping` is set with "sgd", and where an exact update follows
            a fit by "sgd"; the estimator is then as before.
        """
        check_parameters(self)
        is_fitted = hasattr(self, "_weights")
        if self.solver == "exact":
            if not is_fitted:
                return self.fit(X, y, sample_weight)
            self._check_history()
            return self._become(learn_exactly(*self._checked(X, sample_weight, is_update=True)))
        if self.early_stopping:
            raise ValueError(
                "`partial_fit` makes one pass and cannot stop early: set `early_stopping`=False."
            )
        checked = self._checked(X, sample_weight, reset=not is_fitted)
        training = Training(*checked, continues=is_fitted)
        training.one_pass()
        return self._become(training.model)

    def forget(self, X: Any, sample_weight: Any = None) -> Self:
        """Become the model of a `fit` without the rows given, which it has learned from.

        The model keeps its rows, or their Gram matrix where that is no larger (n_items^2 <=
        interactions). With rows, the result is bit for bit the fit without those given. With the
        Gram matrix it is that to the rounding of float64, relative to the largest sum there was:
        a warning says where that is less than eight digits.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Rows as they were in `fit` or `partial_fit`, in any order; of equal ones, as many are
            forgotten as are given.
        sample_weight : array-like of shape (n_users,), default=None
            The weights that they had; None means 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model was not fitted by "exact", has not learned from one of the rows, or would
            have nobody left to learn from; the estimator is then as before. Where the Gram matrix
            is kept, only rows that cannot have been there are noticed.

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
        self._check_history()
        return self._become(forget_exactly(*self._checked(X, sample_weight, is_update=True)))

    def _check_history(self) -> None:
        if self.solver != "exact" or not hasattr(self, "_history"):
            raise ValueError(
                "Exact updates need a model fitted with solver='exact': set it and call `fit`."
            )
