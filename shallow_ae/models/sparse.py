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
    """Recommend with the weights between each item and its nearest only.

    It minimises what :class:`~shallow_ae.ShallowAutoEncoder` minimises, for each item by the
    weights of the `n_neighbors` items that are nearest to it, and in closed form: one small system
    an item, where the exact solution takes an inverse of all. The weights grow with the number of
    items, and time and memory with the pairs of items that share a user, not with all pairs. Fewer
    weights regularise, too.

    With G = X'WX and A = G plus the penalty on its diagonal, the neighbors of item j are the items
    i with the largest ``|G_ij| / sqrt(A_ii)`` of those that share a user with it; equal ones by
    rising index. From `n_neighbors` = n_items - 1 on they are all other items, and the model is
    the exact solution.

    Parameters
    ----------
    regularization : float, default=0.02
        Strength of the penalty, as in ShallowAutoEncoder; the unscaled lambda of the literature is
        `n * regularization` for n users. It must be > 0 unless `dropout` is.
    n_neighbors : int, default=100
        Weights an item, at most. Time grows with its square, beyond 100 rather with its cube.
    dropout, diagonal_slack, user_exponent, item_exponent : float, default=0.0
        The variants of ShallowAutoEncoder, as there.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    item_weights_ : csr_array of shape (n_items, n_items)
        P: entry (i, j) is what a unit of item i adds to the score of item j. At most
        `n_neighbors` entries a column.
    item_counts_ : ndarray of shape (n_items,)
        Users of each item in training, their sample weights summed.
    residual_ : float
        ||A w - g|| / ||g|| over the systems A w = g of all items. It tells whether they were
        solved, not how far rounding of ill-conditioned data moves the weights: a warning does.
        After `sparsify`, that of the exact model.
    loss_curve_ : list of float
        The objective at the minimum; after `sparsify`, before and after it.
    n_samples_seen_ : int
        Users learned from.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, where X has names that are all strings.

    See Also
    --------
    ShallowAutoEncoder : Weights between all items, by descent or exactly.

    Notes
    -----
    An item costs a multiplication for each pair of it and another item of one of its users,
    n_neighbors^3 / 6 for its system, and a look into the products of its neighbors with each other.
    Those products are kept once, for the time of the fit: as arrays for popular items and as
    lists for others. Each system is solved by itself, on as many threads as there are cores; the
    result depends neither on their number nor on how items are shared among them. float64 data
    are computed in float64, everything else in float32, sums over users too: with tens of millions
    of users of one item, pass float64.

    The model keeps its rows, for `partial_fit` and `forget`.

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
            Interactions, finite: nonzero means seen, larger means more. Not changed.
        y : None
            Ignored, there for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters out of range, data that are not finite and a `regularization` too small
            for the type of the data; the estimator is then as before.
        MemoryError
            If the fit does not fit in the free memory, before anything large is allocated.

        Warns
        -----
        UserWarning
            If the weights are less exact than the type of the data should allow: by `residual_`,
            or by how far the systems' residuals move the solutions.
        """
        check_parameters(self)
        free = free_memory()  # before anything is copied that the cost includes
        trial = copy(self)
        return self._learn(trial, _checked_rows(trial, X, sample_weight), free)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Become the model of a `fit` on all rows so far and these.

        It costs what that fit costs: the penalty grows with the number of users, and all systems
        with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of further users, with the items of the first call.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0.

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
        """Become, bit for bit, the model of a `fit` without the rows given.

        It costs what that fit costs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Rows as they were in `fit` or `partial_fit`, in any order; of equal ones, as many are
            forgotten as are given. Rows of float32 and of float64 are kept, and forgotten, in
            float64.
        sample_weight : array-like of shape (n_users,), default=None
            The weights that they had; None means 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model has not learned from one of the rows, or would have nobody left to learn
            from; the estimator is then as before.

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
        """Return what fitting to `X` takes, without doing it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        cost : (form, bytes, kept_bytes, multiplications, seconds)
            The form is "nearest"; peak memory beside `X`, at most, and of that the model's own;
            the multiplications of numbers; and a rough estimate of the time. To convert a dense
            array first may take more, and is not counted.

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
        rows = _checked_rows(copy(self), X, None)
        return neighborhood_cost(rows.X, self.n_neighbors)

    def _learn(self, trial: Self, data: TrainingRows, free: int) -> Self:
        """Learn from these rows and no others, where that fits in so much free memory."""
        problem = problem_of(data, objective_of(self))
        solver = NeighborhoodSolver(problem)
        check_neighbors_fit(data.X.shape[1], self.n_neighbors, solver.rows.solver_bytes, free)
        solution = solver.solve(self.n_neighbors, verbose=self.verbose)
        trial._fitted = solved_state(problem, solution)
        return take_over(self, trial)

    def _checked_update(
        self, X: Any, sample_weight: Any
    ) -> tuple[TrainingRows, sp.csr_array[Any], Array]:
        """Return the rows learned from, and checked rows with their weights."""
        kept = self._fitted.training_data
        if not isinstance(kept, TrainingRows):
            raise ValueError(
                "A model made by `sparsify` keeps no rows: update the model that it was made from "
                "and make it again."
            )
        rows = _narrowed(sp.csr_array(check_interactions(self, X, reset=False)))
        return kept, rows, check_sample_weight(sample_weight, rows.shape[0], may_be_zero=True)


def _checked_rows(trial: SparseShallowAutoEncoder, X: Any, sample_weight: Any) -> TrainingRows:
    """Return checked rows in memory of their own; nothing else of the check is left."""
    rows = _narrowed(sp.csr_array(check_interactions(trial, X, reset=True)))
    weights = check_sample_weight(sample_weight, rows.shape[0])
    return own_rows(rows, weights, X, sample_weight)


def _narrowed(X: sp.csr_array[Any]) -> sp.csr_array[Any]:
    """Return rows with indices of 32 bits, where these are enough."""
    if X.nnz > np.iinfo(np.int32).max:
        return X
    narrow = (array.astype(np.int32, copy=False) for array in (X.indices, X.indptr))
    return sp.csr_array((X.data, *narrow), X.shape)
