"""SparseShallowAutoEncoder: weights between each item and its nearest items only."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

from sklearn.base import BaseEstimator

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._solvers.costs import Cost, check_neighbors_fit, neighborhood_cost
from shallow_ae._solvers.neighborhood.fit import NeighborhoodSolver
from shallow_ae.data.fitting import take_over
from shallow_ae.models.fit_partitions import fit_nearest
from shallow_ae.models.fitted import AutoEncoderState, FittedAttribute, solved_state
from shallow_ae.models.kept_rows import KeptRowsMixin, checked_training_rows
from shallow_ae.models.parameters import check_parameters, objective_of


class SparseShallowAutoEncoder(KeptRowsMixin, BaseEstimator):
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
    regularization : float or "auto", default=0.02
        Strength of the penalty, as in ShallowAutoEncoder. The unscaled lambda of the literature is
        `n * regularization` for n users. Must be > 0 unless `dropout` is > 0. "auto" is computed
        from the training data, in `fit`, `partial_fit` and `forget`, as in ShallowAutoEncoder.
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
        P: entry (i, j) is the amount that one unit of item i adds to the score of item j. A column
        has at most `n_neighbors` entries.
    item_counts_ : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users in training: their number by default.
    regularization_ : float
        The value of `regularization` in the fit; the value found if it was "auto".
    residual_ : float
        Relative residual ||A w - g|| / ||g|| over the systems A w = g of all items. It measures
        how accurately the systems were solved. It does not measure how much the rounding of
        ill-conditioned data changes the weights; `fit` warns if that effect is large. After
        `sparsify`, the residual of the exact model.
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
    LowRankAutoEncoder : Weights between all items, as products of item vectors.
    BlendedRecommender : A weighted sum of models.

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

    _automatic = ("regularization",)
    _fitted: AutoEncoderState
    regularization_ = FittedAttribute[float]()
    residual_ = FittedAttribute[float]()
    loss_curve_ = FittedAttribute["list[float]"]()

    def __init__(
        self,
        regularization: float | str = 0.02,
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
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified. A Dask array has blocks of rows, csr or
            ndarray, and the fit runs on its workers.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.

        Returns
        -------
        self : object
            The fitted estimator.

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
        return self._fit_rows(X, sample_weight)

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
        rows = checked_training_rows(copy(self), X, None, is_kept=False)
        return neighborhood_cost(rows.X, self.n_neighbors)

    def _learn(self, trial: Self, data: TrainingRows, free: int) -> Self:
        """Fit to the given rows only, or raise a MemoryError if `free` bytes are too few."""
        problem = problem_of(data, objective_of(self, data))
        solver = NeighborhoodSolver(problem)
        check_neighbors_fit(data.X.shape[1], self.n_neighbors, solver.rows.solver_bytes, free)
        solution = solver.solve(self.n_neighbors, verbose=self.verbose)
        trial._fitted = solved_state(problem, solution)
        return take_over(self, trial)

    def _learn_partitions(self, trial: Self, data: PartitionedRows) -> Self:
        """Fit to the given rows on Dask's workers."""
        trial._fitted = fit_nearest(data, objective_of(self, data), self.n_neighbors)
        return take_over(self, trial)
