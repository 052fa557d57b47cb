"""ShallowAutoEncoder: weights between all items, by gradient descent or in closed form."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import scipy.sparse as sp
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from shallow_ae._objective.training_data import TrainingData, training_data
from shallow_ae._solvers.costs import Cost, dense_costs
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_integer, check_sample_weight
from shallow_ae.data.fitting import take_over
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models import fit_exact, fit_sgd
from shallow_ae.models.callbacks import check_callback
from shallow_ae.models.fitted import FittedAttribute
from shallow_ae.models.parameters import check_parameters
from shallow_ae.models.pruning import prune
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.models.sparse import SparseShallowAutoEncoder


def _has_training_data(model: Any) -> bool:
    """Return True if a model can be pruned; scikit-learn reports the error of one that cannot."""
    if getattr(getattr(model, "_fitted", None), "training_data", None) is None:
        raise AttributeError(
            "`sparsify` requires a model fitted with solver='exact'. Set `solver` and call `fit`."
        )
    return True


class ShallowAutoEncoder(RecommenderMixin, BaseEstimator):
    """Recommend with one learned weight for every pair of items.

    Each user's row of interactions is rebuilt from itself without using an item to predict
    itself; the scores of unseen items are the recommendation. For rows x_u with weights w_u
    (default 1) and n the sum of the w_u, the weights P minimise ::

        (1/n) * sum_u w_u ||x_u - x_u P||^2  +  regularization * ||P||_F^2,    diag(P) = 0.

    Parameters
    ----------
    regularization : float, default=0.02
        Strength of the penalty, >= 0. The data term is a mean over users, so its meaning does not
        change with their number. The unscaled lambda of the literature (EASE [1]_) is
        `n * regularization`.
    solver : {"sgd", "exact"}, default="sgd"
        "sgd" descends on the gradient of minibatches of users. Stopped early, which `max_iter`
        and `learning_rate_decay` do, it regularises as much as `regularization` does. "exact"
        takes the minimum from one inverse of items x items or users x users, whichever is smaller;
        of the parameters from `learning_rate` to `validation_fraction`, `warm_start` and
        `random_state` nothing depends on then. It asks for `regularization` or `dropout` > 0.
    learning_rate : float or "auto", default="auto"
        Length of the first step, > 0. "auto" is 1/L with L = 2 * (largest eigenvalue of X'WX/n +
        penalty), by power iteration; steps of more than 2/L diverge.
    learning_rate_decay : float, default=0.99
        Factor on the length of each further step of `fit`, in (0, 1].
    max_iter : int, default=100
        Number of steps at most.
    batch_size : int, default=1024
        Users a step, drawn with replacement. From the number of users on, every step takes each
        user once and none is drawn.
    init_scale : float, default=1e-3
        Standard deviation of the normal weights that the descent starts from, >= 0.
    tol : float or None, default=None
        Stop when the mean loss of the last `n_iter_no_change` steps is less than `tol` below that
        of as many steps before; with `early_stopping`, when no score of these steps exceeds the
        best before by more than `tol`. Looked at every 8 steps or sooner.
    n_iter_no_change : int, default=20
        Steps that `tol` and `early_stopping` look back on.
    early_stopping : bool, default=False
        Hold out some users, hide a fifth of their items, and after every fifth step score how well
        these are found again (NDCG@100). Stop when no score of the last `n_iter_no_change` steps
        is a new best, and keep the best weights: their steps are taken a second time, where a copy
        would double the memory.
    validation_fraction : float, default=0.1
        Share of the users that `early_stopping` holds out, in (0, 1).
    dropout : float, default=0.0
        Share of a user's items hidden from the input, in [0, 1): not by random masks but their
        expectation, a penalty of `dropout / (1 - dropout)` times an item's mean square on its row
        of P (EDLAE [2]_).
    diagonal_slack : float, default=0.0
        Up to which weight an item may explain itself in training, in [0, 1]; the diagonal of P is
        dropped afterwards. 0 is EASE, 1 plain ridge regression (RLAE [3]_).
    user_exponent : float, default=0.0
        A user with m items weighs m ** -user_exponent, times `sample_weight` (DAN [4]_).
    item_exponent : float, default=0.0
        The finished P_ij is multiplied by (users of j / users of i) ** item_exponent (DAN [4]_).
    warm_start : bool, default=False
        Start `fit` from the weights of the fit before, if there was one, and go on with its decay.
    random_state : int, RandomState instance or None, default=None
        Determines the start, the draws and the held-out users. Pass an int for reproducible fits.
    verbose : int, default=0
        1 shows a progress bar, with the loss if there are steps.

    Attributes
    ----------
    item_weights_ : ndarray of shape (n_items, n_items)
        P: entry (i, j) is what a unit of item i adds to the score of item j. Not symmetric;
        the diagonal is 0. After an inverse of users x users, formed when first asked for.
    item_counts_ : ndarray of shape (n_items,)
        Users of each item in training, their sample weights summed.
    residual_ : float
        With "exact", ||A C V - V|| / ||V|| for random columns V and the inverse C of A.
    learning_rate_ : float
        Length of the first step of the last `fit` or `partial_fit`.
    loss_curve_ : list of float
        The objective before each step, on that step's batch; with "exact", at the minimum.
    validation_curve_ : list of float
        With `early_stopping`, NDCG@100 of the held-out users after each fifth step and the last.
    validation_steps_ : list of int
        How many steps of `loss_curve_` were taken before each of those.
    n_iter_ : int
        Steps behind the weights; fewer than in `loss_curve_` if `early_stopping` went back.
    n_samples_seen_ : int
        Users seen in the last `fit` and each `partial_fit` since, but for those forgotten.
    batch_layout_ : {"sparse", "dense"}
        Form in which batches are multiplied: "sparse" on a CPU if under a fifth of X is nonzero.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, where X has names that are all strings.

    Notes
    -----
    A step costs 2 * n_items multiplications for each interaction in its batch, and 2 for each of
    the n_items^2 weights; "exact" costs n^3/2 for n the smaller of n_users and n_items. Memory is
    little more than n_items^2 or n^2 numbers; `plan` says how much. float64 data are computed in
    float64, everything else in float32.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    .. [2] H. Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.
    .. [3] J. Moon, H. Kim and J. Lee, "It's Enough: Relaxing Diagonal Constraints in Linear
       Autoencoders for Recommendation", SIGIR 2023.
    .. [4] S. Park, M. Yoon, H. Choi and J. Lee, "Why is Normalization Necessary for Linear
       Recommenders?", SIGIR 2025.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoder
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> model = ShallowAutoEncoder(regularization=0.1, random_state=0).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    """

    residual_ = FittedAttribute[float]()
    learning_rate_ = FittedAttribute[float]()
    loss_curve_ = FittedAttribute["list[float]"]()
    validation_curve_ = FittedAttribute["list[float]"]()
    validation_steps_ = FittedAttribute["list[int]"]()
    n_iter_ = FittedAttribute[int]()
    batch_layout_ = FittedAttribute[str]()

    def __init__(
        self,
        regularization: float = 0.02,
        *,
        solver: str = "sgd",
        learning_rate: float | str = "auto",
        learning_rate_decay: float = 0.99,
        max_iter: int = 100,
        batch_size: int = 1024,
        init_scale: float = 1e-3,
        tol: float | None = None,
        n_iter_no_change: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        dropout: float = 0.0,
        diagonal_slack: float = 0.0,
        user_exponent: float = 0.0,
        item_exponent: float = 0.0,
        warm_start: bool = False,
        random_state: int | RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.regularization = regularization
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.init_scale = init_scale
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.dropout = dropout
        self.diagonal_slack = diagonal_slack
        self.user_exponent = user_exponent
        self.item_exponent = item_exponent
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        callback: Callable[[ShallowAutoEncoder], object] | None = None,
        callback_every: int = 10,
    ) -> Self:
        """Learn the item weights from interactions.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, finite: nonzero means seen, larger means more. Not changed.
        y : None
            Ignored, there for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.
        callback : callable, default=None
            Called with the model as trained so far, which recommends, scores and has all
            attributes; its weights are lent: copy them to keep them. It may not change the model.
            It returns True to end the fit. Not with "exact".
        callback_every : int, default=10
            Steps between two calls.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters out of range, data that are not finite, a diverging loss, and a
            `regularization` too small for an exact solution; the estimator is then as before.
        MemoryError
            If the weights do not fit in the free memory, before anything is allocated.
        KeyboardInterrupt
            If interrupted from the keyboard. With "sgd", the model is then the one trained so far,
            and the message says after how many steps.

        Warns
        -----
        ConvergenceWarning
            If `tol` is set and not reached within `max_iter` steps.
        UserWarning
            If `residual_` is too large for the type of the data.
        """
        check_parameters(self)
        if self.solver == "exact":
            if callback is not None:
                raise ValueError("`callback` is called between steps: solver='exact' has none.")
            trial = copy(self)
            checked = check_interactions(trial, X, reset=True)
            weights = check_sample_weight(sample_weight, checked.shape[0])
            fit_exact.check_fit_fits(trial, checked)
            rows = sp.csr_array(checked)
            return self._solve(
                trial, training_data(rows, weights, self.user_exponent, X, sample_weight)
            )
        check_callback(callback, callback_every)
        before = self._fitted if self.warm_start and hasattr(self, "_fitted") else None
        trial = copy(self)
        X = check_interactions(trial, X, reset=before is None)
        weights = check_sample_weight(sample_weight, X.shape[0])
        trial._fitted, interrupt = fit_sgd.fit(trial, X, weights, before, callback, callback_every)
        take_over(self, trial)
        if interrupt:
            raise interrupt
        return self

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
        is_fitted = hasattr(self, "_fitted")
        if self.solver == "exact":
            if not is_fitted:
                return self.fit(X, y, sample_weight)
            trial, rows, weights, kept = self._checked_update(X, sample_weight)
            fit_exact.check_update_fits(kept, rows, is_added=True)
            return self._solve(trial, kept.learn(rows, weights, self.user_exponent))
        if self.early_stopping:
            raise ValueError(
                "`partial_fit` makes one pass and cannot stop early: set `early_stopping`=False."
            )
        trial = copy(self)
        X = check_interactions(trial, X, reset=not is_fitted)
        weights = check_sample_weight(sample_weight, X.shape[0])
        before = self._fitted if is_fitted else None
        trial._fitted = fit_sgd.single_pass(trial, X, weights, before)
        return take_over(self, trial)

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
        trial, rows, weights, kept = self._checked_update(X, sample_weight)
        fit_exact.check_update_fits(kept, rows, is_added=False)
        return self._solve(trial, kept.forget(rows, weights, self.user_exponent))

    @available_if(_has_training_data)  # type: ignore[untyped-decorator]
    def sparsify(self, n_neighbors: int = 100) -> SparseShallowAutoEncoder:
        """Return a model with the largest weights only, to serve from.

        Only models fitted with "exact" have this method. The weights are those of the exact
        solution: the weights that are kept do not make up for those that are left out, as they do
        where :class:`~shallow_ae.SparseShallowAutoEncoder` fits as few.

        Parameters
        ----------
        n_neighbors : int, default=100
            Weights to keep of each column of `item_weights_`, the largest by absolute value, equal
            ones by rising index.

        Returns
        -------
        pruned : SparseShallowAutoEncoder
            Fitted. Its `loss_curve_` holds the objective with all weights and with those kept. It
            keeps no rows: `partial_fit` and `forget` are this model's.

        Raises
        ------
        AttributeError
            If the model was not fitted by "exact".
        MemoryError
            If the weights to keep do not fit in the free memory.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = sp.random_array((500, 100), density=0.1, rng=0)
        >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
        >>> pruned = model.sparsify(20)
        >>> all_weights, kept = pruned.loss_curve_
        >>> pruned.item_weights_.nnz, bool(all_weights < kept)
        (2000, True)
        """
        check_parameters(self)
        return prune(self, check_integer("n_neighbors", n_neighbors, low=1))

    def plan(self, X: Any) -> dict[str, Cost]:
        """Return what fitting to `X` takes, without doing it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        costs : dict of str to (form, bytes, kept_bytes, multiplications, seconds)
            For each solver: how it multiplies; peak memory beside `X`, and of that the model's own;
            the work, of `max_iter` steps with "sgd"; and an estimate of the time.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = sp.random_array((2000, 20_000), density=0.001, dtype="float32", rng=0)
        >>> costs = ShallowAutoEncoder().plan(X)
        >>> costs["exact"].form, costs["exact"].kept_bytes < costs["sgd"].kept_bytes / 50
        ('dual', True)
        """
        check_parameters(self)
        X = check_interactions(copy(self), X, reset=True)
        return dense_costs(X, self.batch_size, self.max_iter)

    def _solve(self, trial: Self, data: TrainingData) -> Self:
        """Learn in closed form from checked training data, and nothing else."""
        trial._fitted = fit_exact.fit(trial, data)
        return take_over(self, trial)

    def _checked_update(
        self, X: Any, sample_weight: Any
    ) -> tuple[Self, sp.csr_array[Any], Array, TrainingData]:
        """Return a copy to be trained, checked rows and weights, and what was learned from."""
        kept = self._fitted.training_data
        if self.solver != "exact" or kept is None:
            raise ValueError(
                "Exact updates need a model fitted with solver='exact': set it and call `fit`."
            )
        rows = sp.csr_array(check_interactions(self, X, reset=False))
        weights = check_sample_weight(sample_weight, rows.shape[0], may_be_zero=True)
        return copy(self), rows, weights, kept
