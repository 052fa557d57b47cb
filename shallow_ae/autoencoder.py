"""The estimator: dense item-item weights of a shallow linear autoencoder."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from shallow_ae._gradient import descend, safe_learning_rate
from shallow_ae._validation import (
    Array,
    check_choice,
    check_integer,
    check_interactions,
    check_real,
    check_sample_weight,
    unchanged_on_error,
)
from shallow_ae.recommender import RecommenderMixin


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
    solver : {"sgd"}, default="sgd"
        "sgd" descends on the gradient of minibatches of users. Stopped early, which `max_iter`
        and `learning_rate_decay` do, it regularises as much as `regularization` does.
    learning_rate : float or "auto", default="auto"
        Length of the first step, > 0. "auto" is 1/L with L = 2 * (largest eigenvalue of X'WX/n +
        regularization), by power iteration; steps of more than 2/L diverge.
    learning_rate_decay : float, default=0.99
        Factor on the length of each further step, in (0, 1].
    max_iter : int, default=100
        Number of steps.
    batch_size : int, default=1024
        Users a step, drawn with replacement. From the number of users on, every step takes each
        user once and none is drawn.
    init_scale : float, default=1e-3
        Standard deviation of the normal weights that the descent starts from, >= 0.
    random_state : int, RandomState instance or None, default=None
        Determines the start and the draws. Pass an int for reproducible fits.
    verbose : int, default=0
        1 shows a progress bar with the loss.

    Attributes
    ----------
    item_weights_ : ndarray of shape (n_items, n_items)
        P: entry (i, j) is what a unit of item i adds to the score of item j. Not symmetric;
        the diagonal is 0.
    learning_rate_ : float
        Length of the first step.
    loss_curve_ : list of float
        The objective before each step, on that step's batch.
    n_iter_ : int
        Number of steps taken.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, where X has names that are all strings.

    Notes
    -----
    A step costs 4 * n_items multiplications for each interaction in its batch, and a pass over
    the n_items^2 weights. Memory is n_items^2 numbers beside `X`. float64 data are computed in
    float64, everything else in float32.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoder
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> model = ShallowAutoEncoder(regularization=0.1, random_state=0).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    """

    learning_rate_: float
    loss_curve_: list[float]
    n_iter_: int

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
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.regularization = regularization
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.init_scale = init_scale
        self.random_state = random_state
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
            For parameters out of range, data that are not finite, and a loss that is not finite
            or has grown a hundredfold; the estimator is then as it was before.
        """
        with unchanged_on_error(self):
            self._check_parameters()
            X = check_interactions(self, X, reset=True)
            weights = check_sample_weight(sample_weight, X.shape[0], X.dtype)
            self._fit_sgd(X, weights)
        return self

    def _fit_sgd(self, X: Any, sample_weight: Array) -> None:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        start_rng, batch_rng, power_rng = np.random.default_rng(seed).spawn(3)
        if self.learning_rate == "auto":
            rate = safe_learning_rate(X, sample_weight, self.regularization, power_rng)
        else:
            rate = float(self.learning_rate)

        with tqdm(total=self.max_iter, desc="fit", unit="step", disable=not self.verbose) as bar:

            def on_step(loss: float) -> None:
                bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
                bar.update()

            item_weights, loss_curve = descend(
                X,
                sample_weight,
                learning_rates=rate * self.learning_rate_decay ** np.arange(self.max_iter),
                regularization=float(self.regularization),
                batch_size=self.batch_size,
                init_scale=self.init_scale,
                start_rng=start_rng,
                batch_rng=batch_rng,
                on_step=on_step,
            )
        self.learning_rate_ = rate
        self.loss_curve_ = loss_curve
        self.n_iter_ = len(loss_curve)
        self.item_weights_ = item_weights

    def _check_parameters(self) -> None:
        check_choice("solver", self.solver, ("sgd",))
        check_real("regularization", self.regularization, low=0, open_low=False)
        if self.learning_rate != "auto":
            check_real("learning_rate", self.learning_rate, low=0, open_low=True)
        check_real("learning_rate_decay", self.learning_rate_decay, low=0, high=1, open_low=True)
        check_integer("max_iter", self.max_iter, low=1)
        check_integer("batch_size", self.batch_size, low=1)
        check_real("init_scale", self.init_scale, low=0, open_low=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
