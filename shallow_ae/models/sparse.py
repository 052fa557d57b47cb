"""SparseShallowAutoEncoder: weights between each item and its nearest items only."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingRows, own_rows
from shallow_ae._runtime.memory import free_memory
from shallow_ae._solvers.costs import Cost, check_neighbors_fit, neighborhood_cost
from shallow_ae._solvers.neighborhood.fit import NeighborhoodSolver
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.fitting import take_over
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models.fitted import FittedAttribute, solved_state
from shallow_ae.models.parameters import check_parameters, objective_of
from shallow_ae.models.recommender import RecommenderMixin


class SparseShallowAutoEncoder(RecommenderMixin, BaseEstimator):
    """Recommend with weights between each item and its nearest items only.

    The model minimises the objective of :class:`~shallow_ae.ShallowAutoEncoder`, but each item
    has weights from only the `n_neighbors` items nearest to it. The solution is in closed form: one
    small linear system for each item, instead of the inverse of the whole matrix. The number of
    weights is proportional to the number of items. Time and memory grow with the number of pairs of
    items that share a user, not with the number of all pairs. Fewer weights also regularise.

    With G = X'WX and A = G plus the penalty on its diagonal, the neighbors of item j are the items
    i with the largest ``|G_ij| / sqrt(A_ii)`` among the items that share a user with j, ties by
    ascending index. If `n_neighbors` >= n_items - 1, all other items are neighbors, and the model
    is the exact solution.

    Parameters
    ----------
    regularization : float, default=0.02
        Strength of the penalty, as in ShallowAutoEncoder. The unscaled lambda of the literature is
        `n * regularization` for n users. Must be > 0 unless `dropout` is > 0.
    n_neighbors : int, default=100
        Maximum number of weights for each item. Time grows with the square of `n_neighbors`, and
        beyond about 100 with its cube.
    dropout, diagonal_slack, user_exponent, item_exponent : float, default=0.0
        As in ShallowAutoEncoder.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    item_weights_ : csr_array of shape (n_items, n_items)
        P: entry (i, j) is what a unit of item i adds to the score of item j. A column has at most
        `n_neighbors` entries.
    item_counts_ : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users in training: their number by default.
    residual_ : float
        Relative residual ||A w - g|| / ||g|| over the systems A w = g of all items. It measures
        whether the systems were solved. It does not measure how much rounding of ill-conditioned
        data changes the weights; `fit` warns of that. After `sparsify`, the residual of the exact
        model.
    loss_curve_ : list of float
        Objective at the minimum. After `sparsify`, the objective before and after pruning.
    n_samples_seen_ : int
        Number of users in the training data.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    ShallowAutoEncoder : Weights between all items, by gradient descent or in closed form.

    Notes
    -----
    An item costs one multiplication for each other item of each of its users, n_neighbors^3 / 6
    multiplications for its system, and a lookup of the products of its neighbors with each other.
    These products are stored once during the fit: as arrays for popular items and as lists for
    other items. Each system is solved independently, on as many threads as there are cores. The
    result does not depend on the number of threads or on how items are distributed among them.

    Computations, including sums over users, use float64 for float64 data and float32 for all other
    data. If one item has tens of millions of users, pass float64.

    The model keeps its training rows for `partial_fit` and `forget`.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] X. Ning and G. Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems",
       ICDM 2011: regressions on the nearest items only (fsSLIM).

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import SparseShallowAutoEncoder
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> model = SparseShallowAutoEncoder(0.1, n_neighbors=2).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    >>> model.item_weights_.shape, model.item_weights_.nnz
    ((4, 4), 7)
    """

    residual_ = FittedAttribute[float]()
    loss_curve_ = FittedAttribute["list[float]"]()

    def __init__(
        self,
        regularization: float = 0.02,
        *,
        n_neighbors: int = 100,
        dropout: float = 0.0,
        diagonal_slack: float = 0.0,
        user_exponent: float = 0.0,
        item_exponent: float = 0.0,
        verbose: int = 0,
    ) -> None:
        self.regularization = regularization
        self.n_neighbors = n_neighbors
        self.dropout = dropout
        self.diagonal_slack = diagonal_slack
        self.user_exponent = user_exponent
        self.item_exponent = item_exponent
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the item weights from interactions.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, the data are not finite, or `regularization` is too
            small for the data type. The estimator is then unchanged.
        MemoryError
            If the fit needs more than the free memory. Raised before anything large is allocated.

        Warns
        -----
        UserWarning
            If the weights are less accurate than the data type should allow, measured by
            `residual_` or by the estimated effect of the systems' residuals on the solutions.
        """
        check_parameters(self)
        free = free_memory()  # measured before the copies that the estimated cost includes
        trial = copy(self)
        return self._learn(trial, _checked_rows(trial, X, sample_weight), free)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with the interactions of further users.

        The result equals a `fit` on all rows so far and costs as much as that fit: the penalty
        grows with the number of users, so every system changes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of further users, with the same items as in the first call.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError, MemoryError
            As in `fit`.
        """
        if not hasattr(self, "_fitted"):
            return self.fit(X, y, sample_weight)
        check_parameters(self)
        kept, rows, weights = self._checked_update(X, sample_weight)
        return self._learn(copy(self), kept.plus(rows, weights), free_memory())

    def forget(self, X: Any, sample_weight: Any = None) -> Self:
        """Remove users from the training data and update the weights.

        The result equals, bit for bit, a `fit` on the remaining rows, and costs as much as that
        fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Rows with the same values as in `fit` or `partial_fit`, in any order. Each given row
            removes one training row equal to it. If float32 rows were combined with float64 rows,
            all rows are kept and compared in float64.
        sample_weight : array-like of shape (n_users,), default=None
            The weights that these rows had in training; None means 1.

        Returns
        -------
        self

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
        kept, rows, weights = self._checked_update(X, sample_weight)
        return self._learn(copy(self), kept.minus(rows, weights), free_memory())

    def plan(self, X: Any) -> Cost:
        """Estimate the memory and time of a fit to `X`, without fitting.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        cost : (form, bytes, kept_bytes, multiplications, seconds)
            `form` is "nearest". `bytes` is an upper bound of the peak memory beside `X`, and
            `kept_bytes` the part of it that the fitted model keeps. `multiplications` counts
            multiplications of numbers, and `seconds` is a rough estimate. The conversion of a dense
            `X` may need more memory and is not counted.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder
        >>> X = sp.random_array((20_000, 20_000), density=0.001, dtype="float32", rng=0)
        >>> everything = ShallowAutoEncoder().plan(X)["exact"]
        >>> SparseShallowAutoEncoder().plan(X).bytes < everything.bytes / 5
        True
        """
        check_parameters(self)
        rows = _checked_rows(copy(self), X, None, is_kept=False)
        return neighborhood_cost(rows.X, self.n_neighbors)

    def _learn(self, trial: Self, data: TrainingRows, free: int) -> Self:
        """Fit to the given rows only, or raise a MemoryError if `free` bytes are too few."""
        problem = problem_of(data, objective_of(self))
        solver = NeighborhoodSolver(problem)
        check_neighbors_fit(data.X.shape[1], self.n_neighbors, solver.rows.solver_bytes, free)
        solution = solver.solve(self.n_neighbors, verbose=self.verbose)
        trial._fitted = solved_state(problem, solution)
        return take_over(self, trial)

    def _checked_update(
        self, X: Any, sample_weight: Any
    ) -> tuple[TrainingRows, sp.csr_array[Any], Array]:
        """Return the training rows, and the checked new rows with their weights."""
        kept = self._fitted.training_data
        if not isinstance(kept, TrainingRows):
            raise ValueError(
                "A model returned by `sparsify` keeps no rows. Update the original model and call "
                "`sparsify` again."
            )
        rows = _narrowed(sp.csr_array(check_interactions(self, X, reset=False)))
        return kept, rows, check_sample_weight(sample_weight, rows.shape[0], may_be_zero=True)


def _checked_rows(
    trial: SparseShallowAutoEncoder, X: Any, sample_weight: Any, *, is_kept: bool = True
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
