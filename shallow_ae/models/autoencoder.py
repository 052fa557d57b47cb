"""ShallowAutoEncoder: weights between all items, by gradient descent or in closed form."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from typing import Any, Self

import scipy.sparse as sp
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from shallow_ae._objective.training_data import training_data
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._solvers.costs import Cost, dense_costs
from shallow_ae.data.arguments import check_integer, check_sample_weight
from shallow_ae.data.fitting import copy_names, snapshot, take_over
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models import fit_exact, fit_sgd
from shallow_ae.models.autoencoder_updates import AutoEncoderUpdatesMixin, descent_rows_of
from shallow_ae.models.callbacks import Callback, check_callback
from shallow_ae.models.checkpoints import check_checkpoint, checkpoint_of
from shallow_ae.models.fit_partitions import read_partitions
from shallow_ae.models.fitted import AutoEncoderState, FittedAttribute
from shallow_ae.models.parameters import check_parameters, descent_parameters_of, objective_of
from shallow_ae.models.pruning import prune
from shallow_ae.models.sparse import SparseShallowAutoEncoder


def _has_training_data(model: Any) -> bool:
    """Return True if a model can be pruned, else raise the error that `available_if` reports."""
    if getattr(getattr(model, "_fitted", None), "training_data", None) is None:
        raise AttributeError(
            "`sparsify` requires a model fitted with solver='exact'. Set `solver` and call `fit`."
        )
    return True


class ShallowAutoEncoder(AutoEncoderUpdatesMixin, BaseEstimator):
    """Recommend with one learned weight for every pair of items.

    The model reconstructs each user's row of interactions from the row itself; no item predicts
    itself. It recommends the unseen items with the highest scores. For rows x_u with user weights
    w_u (default 1) and n the sum of the w_u, the item weights P minimise ::

        (1/n) * sum_u w_u ||x_u - x_u P||^2  +  regularization * ||P||_F^2,    diag(P) = 0.

    Parameters
    ----------
    regularization : float or "auto", default=0.02
        Strength of the penalty, >= 0. The data term is a mean over users, so the same value suits
        any number of users. The unscaled lambda of the literature (EASE [1]_) is
        `n * regularization`. "auto" is the mean of w_u ||x_u||^2, times the probability that two
        interactions, drawn at random, are of the same item. `fit`, `partial_fit` and `forget`
        compute it from the rows that the model is fitted to; with "sgd", from the rows of the call.
    solver : {"sgd", "exact", "auto"}, default="sgd"
        "sgd" is gradient descent on minibatches of users. `max_iter` and `learning_rate_decay`
        stop it before the minimum, which regularises as much as `regularization` does. "exact"
        computes the minimum from one inverse of an items x items or a users x users matrix,
        whichever is smaller. It ignores the parameters from `learning_rate` to
        `validation_fraction`, `warm_start` and `random_state`, and requires `regularization` or
        `dropout` > 0. "auto" is the solver with the shorter time in `plan(X)` among those whose
        memory is free. It is "sgd" if `fit` gets a `callback` or a `checkpoint`, or if there is no
        penalty. `X` must be in memory. `partial_fit` and `forget` continue with the solver of the
        fit.
    learning_rate : float or "auto", default="auto"
        Length of the first step, > 0. "auto" is 1/L with L = 2 * (largest eigenvalue of X'WX/n +
        penalty), computed by power iteration. Steps longer than 2/L diverge.
    learning_rate_decay : float, default=0.99
        Factor, in (0, 1], that multiplies the step length after each step of `fit`.
    max_iter : int, default=100
        Maximum number of steps.
    batch_size : int, default=1024
        Number of users in each step, drawn with replacement. If it is at least the number of
        users, every step uses each user once.
    init_scale : float, default=1e-3
        Standard deviation of the normally distributed initial weights, >= 0.
    tol : float or None, default=None
        Stop when the mean loss of the last `n_iter_no_change` steps is less than `tol` below the
        mean loss of the same number of steps before them. With `early_stopping`, stop when no
        score of the last `n_iter_no_change` steps exceeds the best earlier score by more than
        `tol`. Checked at least every 8 steps.
    n_iter_no_change : int, default=20
        Number of most recent steps that `tol` and `early_stopping` consider.
    early_stopping : bool, default=False
        Hold out some users, hide a fifth of their items, and after every fifth step score the
        recommendations against the hidden items (NDCG@100). Stop when no score of the last
        `n_iter_no_change` steps is a new best, and return the weights with the best score. These
        weights are computed a second time, because a copy would double the memory.
    validation_fraction : float, default=0.1
        Share of the users that `early_stopping` holds out, in (0, 1).
    dropout : float, default=0.0
        Share of a user's items that are hidden from the input, in [0, 1). The model uses the
        expectation over random masks, which is a penalty on each item's row of P:
        `dropout / (1 - dropout)` times the item's mean square (EDLAE [2]_).
    diagonal_slack : float, default=0.0
        Largest weight, in [0, 1], with which an item may predict itself in training. The diagonal
        of P is set to 0 afterwards. 0 is EASE, 1 is plain ridge regression (RLAE [3]_).
    user_exponent : float, default=0.0
        A user with m items has weight m ** -user_exponent, times `sample_weight` (DAN [4]_).
    item_exponent : float, default=0.0
        After training, P_ij is multiplied by (users of j / users of i) ** item_exponent
        (DAN [4]_).
    warm_start : bool, default=False
        If True, `fit` starts from the weights of the previous fit, if there is one, and continues
        its learning rate decay.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the users in each batch and the held-out users. Pass an int
        for reproducible fits.
    verbose : int, default=0
        1 shows a progress bar; with "sgd", the bar shows the loss.

    Attributes
    ----------
    item_weights_ : ndarray of shape (n_items, n_items)
        P: entry (i, j) is the amount that one unit of item i adds to the score of item j. Not
        symmetric; the diagonal is 0. If the fit inverted a users x users matrix, P is computed on
        first access.
    item_counts_ : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users in training: their number by default.
    solver_ : {"sgd", "exact"}
        The solver of the last fit.
    regularization_ : float
        The value of `regularization` in the last fit; the value found if it was "auto".
    residual_ : float
        With "exact", the relative residual ||A C V - V|| / ||V|| of the computed inverse C of the
        matrix A, for random columns V.
    learning_rate_ : float
        Length of the first step of the last `fit` or `partial_fit`.
    loss_curve_ : list of float
        Objective before each step, on that step's batch. With "exact", one entry: the objective at
        the minimum.
    validation_curve_ : list of float
        With `early_stopping`, NDCG@100 of the held-out users after every fifth step and after the
        last step.
    validation_steps_ : list of int
        Number of steps of `loss_curve_` taken before each score of `validation_curve_`.
    n_iter_ : int
        Number of steps that led to the weights. Smaller than the length of `loss_curve_` if
        `early_stopping` returned to earlier weights.
    n_samples_seen_ : int
        Number of users in the last `fit` and in each later `partial_fit`, less those removed by
        `forget`.
    batch_layout_ : {"sparse", "dense"}
        Storage of the batches in multiplications: "sparse" on a CPU if less than a fifth of X is
        nonzero, else "dense".
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    ShallowAutoEncoderCV : The exact solution, with its parameters chosen by cross-validation.
    SparseShallowAutoEncoder : Weights between each item and its nearest items only.
    LowRankAutoEncoder : Weights between all items, as products of item vectors.
    make_recommender : A pipeline that accepts and returns raw ids.

    Notes
    -----
    A step of "sgd" costs 2 * n_items multiplications for each interaction in its batch, and 2 for
    each of the n_items^2 weights. "exact" costs n^3/2 multiplications, where n is the smaller of
    n_users and n_items. Memory is slightly more than n_items^2 numbers with "sgd", n^2 with
    "exact"; `plan` returns the amount. Computations use float64 for float64 data, and float32 for
    all other data.

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

    _automatic = ("regularization", "learning_rate")
    _fitted: AutoEncoderState
    solver_ = FittedAttribute[str]()
    regularization_ = FittedAttribute[float]()
    residual_ = FittedAttribute[float]()
    learning_rate_ = FittedAttribute[float]()
    loss_curve_ = FittedAttribute["list[float]"]()
    validation_curve_ = FittedAttribute["list[float]"]()
    validation_steps_ = FittedAttribute["list[int]"]()
    n_iter_ = FittedAttribute[int]()
    batch_layout_ = FittedAttribute[str]()

    def __init__(
        self,
        regularization: float | str = 0.02,
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
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 25,
    ) -> Self:
        """Learn the item weights from interactions.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified. A Dask array has blocks of rows, csr or
            ndarray, and the fit runs on its workers. By gradient descent, the weights then stay
            there: they may be larger than the memory of any machine.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.
        callback : callable, default=None
            Function called with the model as trained so far. The model can recommend and score,
            and has all attributes. Its weights change with the next step: copy them to keep them.
            The function must not change the model. If it returns True, the fit ends. Not
            available with "exact".
        callback_every : int, default=10
            Number of steps between two calls of `callback`.
        checkpoint : str or path, default=None
            File that saves the progress of a long fit by gradient descent, for a fit that is killed
            or interrupted: call `fit` with the same arguments again. If the file exists, the fit
            continues from it, and the model equals that of an uninterrupted fit with the same
            arguments, bit for bit. The file is deleted when `fit` returns. It holds n_items^2
            numbers; its writing needs as much memory, and the extra ``files``. `callback` may be
            called twice after the same step. Each fit needs a path of its own. With `warm_start`,
            the estimator must be as it was before the fit. Not available with "exact" or for a Dask
            array.
        checkpoint_every : int, default=25
            Number of steps after which `checkpoint` is replaced.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, the data are not finite, the loss diverges, or
            `regularization` is too small for an exact solution. The estimator is then unchanged.
            Also if `checkpoint` is the file of a fit to other data or with other parameters.
        ModelFileError
            If `checkpoint` is a damaged file or a file of another kind.
        MemoryError
            If the weights do not fit in the free memory, or a sum does not fit on a Dask worker.
            Raised before anything is allocated.
        KeyboardInterrupt
            If interrupted from the keyboard. With "sgd", the estimator then keeps the weights
            trained so far, and the message states the number of steps.

        Warns
        -----
        ConvergenceWarning
            If `tol` is set and not reached within `max_iter` steps.
        UserWarning
            If `residual_` is too large for the data type, or a checkpoint cannot be written, as on
            a full disk. The fit goes on, and an earlier checkpoint remains.
        """
        check_parameters(self)
        check_callback(callback, callback_every)
        check_checkpoint(checkpoint, checkpoint_every)
        needs_steps = callback is not None or checkpoint is not None
        if self._solver_for(X, needs_steps=needs_steps) == "exact":
            if needs_steps:
                raise ValueError(
                    "`callback` and `checkpoint` come between steps: solver='exact' has none."
                )
            trial = copy(self)
            if is_dask(X):
                return self._solve(trial, read_partitions(trial, X, sample_weight))
            checked = check_interactions(trial, X, reset=True)
            weights = check_sample_weight(sample_weight, checked.shape[0])
            fit_exact.check_fit_fits(checked, self.batch_size, self.max_iter)
            rows = sp.csr_array(checked)
            return self._solve(
                trial, training_data(rows, weights, self.user_exponent, X, sample_weight)
            )
        before = self._fitted if self.warm_start and hasattr(self, "_fitted") else None
        trial = copy(self)
        data = descent_rows_of(trial, X, sample_weight, reset=before is None)
        fit = descent_parameters_of(self), objective_of(self, data), data, before
        file = None
        if checkpoint is not None:
            pauses = {"checkpoint_every": checkpoint_every}
            pauses |= {"callback_every": callback_every} if callback else {}
            file = checkpoint_of(checkpoint, pauses, *fit)
        trial._fitted, interrupt = fit_sgd.fit(
            *fit,
            on_state=Callback(callback, trial) if callback else None,
            every=callback_every,
            checkpoint=file,
        )
        take_over(self, trial)
        if interrupt:
            raise interrupt
        if file:
            file.remove()
        return self

    @available_if(_has_training_data)  # type: ignore[untyped-decorator]
    def sparsify(self, n_neighbors: int = 100) -> SparseShallowAutoEncoder:
        """Return a sparse model with the largest weights only, for recommending.

        Only models fitted with "exact" have this method. The retained weights keep their values
        from the exact solution and do not compensate for the removed weights.
        :class:`~shallow_ae.SparseShallowAutoEncoder` instead fits `n_neighbors` weights for each
        item, so its weights need no compensation.

        Parameters
        ----------
        n_neighbors : int, default=100
            Number of weights to keep in each column of `item_weights_`: the largest by absolute
            value, ties by ascending index.

        Returns
        -------
        pruned : SparseShallowAutoEncoder
            Fitted model. Its `loss_curve_` holds the objective with all weights and the objective
            with the retained weights. It keeps no training data: call `partial_fit` and `forget` of
            the original model.

        Raises
        ------
        AttributeError
            If the model was not fitted with "exact".
        MemoryError
            If the retained weights do not fit in the free memory.

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
        at = snapshot(self)
        check_parameters(at)
        state = at._fitted
        n_others = max(1, len(state.item_counts) - 1)
        n_kept = min(check_integer("n_neighbors", n_neighbors, low=1), n_others)
        pruned = SparseShallowAutoEncoder(n_neighbors=n_kept, **state.objective._asdict())
        pruned._fitted = prune(state, n_kept)
        copy_names(at, pruned)
        return pruned

    def plan(self, X: Any) -> dict[str, Cost]:
        """Estimate the memory and time of a fit to `X` with each solver, without fitting.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        costs : dict of str to named tuple (form, bytes, kept_bytes, multiplications, seconds)
            The cost with each solver, under the solver's name. `solver="auto"` takes the solver
            with the fewest `seconds` among those whose `bytes` are free. `form` is the form of the
            computation: "sparse" or "dense" batches with "sgd"; with "exact", the inverse of an
            items x items matrix ("primal") or of a users x users matrix ("dual"). `bytes` is the
            peak memory beside `X`. `kept_bytes` is the part of it that the fitted model keeps,
            before `item_weights_` is read. `multiplications` is the number of multiplications, for
            all `max_iter` steps with "sgd". `seconds` is the estimated time on this machine.

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
