"""PopularityRecommender: the items with the most users, with the same scores for all users."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import scipy.sparse as sp
from sklearn.base import BaseEstimator

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae._weights.popularity import PopularityScores
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.fitting import take_over
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models.fit_partitions import read_partitions
from shallow_ae.models.fitted import FittedState
from shallow_ae.models.recommender import RecommenderMixin


class PopularityRecommender(RecommenderMixin, BaseEstimator):
    """Recommend the items with the most users that a user has not seen.

    The score of an item is the share of the training users who have seen it. It is the same for
    every user. The model is a baseline for other models. As a part of a
    :class:`~shallow_ae.BlendedRecommender`, it mainly affects users with few items, for whom the
    scores of the other parts are small.

    Attributes
    ----------
    item_counts_ : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users in training: their number by default.
    n_samples_seen_ : int
        Number of users in the training data.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    BlendedRecommender : A weighted sum of models.

    Notes
    -----
    The scores do not depend on the items of a user. The model has no `item_weights_`, and all
    contributions that `explain` returns are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import PopularityRecommender
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 1]])
    >>> model = PopularityRecommender().fit(X)
    >>> model.recommend(X, k=2)
    array([[ 3,  2],
           [ 2, -1],
           [ 0, -1]])
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Count the users of each item.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item. `X` is
            not modified.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are not finite. The estimator is then unchanged.
        """
        trial = copy(self)
        rows: TrainingRows | PartitionedRows
        if is_dask(X):
            rows = read_partitions(trial, X, sample_weight)
        else:
            matrix = sp.csr_array(check_interactions(trial, X, reset=True))
            rows = TrainingRows(matrix, check_sample_weight(sample_weight, matrix.shape[0]))
        counts = rows.item_counts
        popularity = (counts / rows.total_weight).astype(rows.dtype)
        trial._fitted = FittedState(ItemWeights(PopularityScores(popularity)), counts, rows.n_rows)
        return take_over(self, trial)
