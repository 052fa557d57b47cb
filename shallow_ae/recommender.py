"""What every fitted item-item model can do: score, recommend, be judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from shallow_ae._blocks import block_rows, blocks
from shallow_ae._top_k import top_k
from shallow_ae._validation import Array, Interactions, check_integer, check_interactions
from shallow_ae._weights import DenseWeights, Weights
from shallow_ae.metrics import ndcg_score
from shallow_ae.splits import hold_out_items

_SCORE_CUTOFF = 100
_SCORE_HOLDOUT = 0.2


class RecommenderMixin:
    """Methods of an estimator whose scores are X P.

    The estimator must be a scikit-learn one and set `_weights` and `n_features_in_` in `fit`.
    """

    _weights: Weights

    @property
    def item_weights_(self) -> Array:
        """P as an array of shape (n_items, n_items), formed when first asked for."""
        return self._store(DenseWeights(self._weights.dense()), self._weights).dense()

    def __dir__(self) -> Iterable[str]:
        """Return the names of all attributes, but not of one that asking for would form.

        scikit-learn asks for all of them, in `dir` as well as to display the model.
        """
        weights = vars(self).get("_weights")
        unformed = set() if isinstance(weights, DenseWeights) else {"item_weights_"}
        return set(object.__dir__(self)) - unformed

    def _ready_weights(self, X: Interactions) -> Weights:
        """Return the weights for scoring all rows of X, in the form that is cheapest for them."""
        weights = self._weights
        return self._store(weights.ready_for(X), weights)

    def _store(self, weights: Weights, instead_of: Weights) -> Weights:
        """Keep weights in another form, unless the model was fitted again in the meantime."""
        if self._weights is instead_of:
            self._weights = weights
        return weights

    def predict(self, X: Any) -> Array:
        """Return the score of every item for every user, X P.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of any users, whether `fit` saw them or not.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Of the weights' type. Dense: `recommend` needs no such array.
        """
        check_is_fitted(self)
        X = check_interactions(self, X, reset=False)
        weights = self._ready_weights(X)
        scores = np.empty(X.shape, weights.dtype)
        for block in blocks(X.shape[0], block_rows(*X.shape)):
            scores[block] = weights.scores(X[block])
        return scores

    def recommend(
        self, X: Any, k: int = 100, *, exclude_seen: bool = True, return_scores: bool = False
    ) -> NDArray[np.int64] | tuple[NDArray[np.int64], Array]:
        """Return the `k` best items of each user, best first.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of any users, whether `fit` saw them or not.
        k : int, default=100
            Items a user; may exceed what there is.
        exclude_seen : bool, default=True
            Leave out the items that the user has in `X`: its nonzero entries.
        return_scores : bool, default=False
            Return the scores as well.

        Returns
        -------
        items : ndarray of int of shape (n_users, k)
            Column indices by falling score, equal scores by rising index. Where fewer than `k`
            items are left to offer, the rest is -1.
        scores : ndarray of shape (n_users, k)
            Only if `return_scores`; NaN where the item is -1.

        Notes
        -----
        Users are scored in blocks: memory beside the result does not grow with `n_users`. After an
        inverse of users x users, many rows are scored by `item_weights_`, formed for them.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]])
        >>> model = ShallowAutoEncoder(random_state=0).fit(X)
        >>> model.recommend(X, k=2)
        array([[ 2, -1],
               [ 2, -1],
               [ 0, -1]])
        """
        check_is_fitted(self)
        k = check_integer("k", k, low=1)
        X = check_interactions(self, X, reset=False)
        items, scores = self._best(X, k, exclude_seen=exclude_seen)
        return (items, scores) if return_scores else items

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean NDCG@100 of recommendations, for model selection.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions to recommend from.
        y : sparse matrix or ndarray of shape (n_users, n_items), default=None
            Held-out items of the same users: its nonzero entries are relevant. Where None (or
            one-dimensional, the target of other estimators, which means nothing here), a fifth
            of each user's items in `X` is hidden, the same ones each time, and to be found again
            from the rest.

        Returns
        -------
        ndcg : float
            With the ideal cut at 100, as :func:`shallow_ae.ndcg_score` has it by default.

        Raises
        ------
        ValueError
            If no user has held-out items.
        """
        check_is_fitted(self)
        X = check_interactions(self, X, reset=False)
        if y is None or np.ndim(y) == 1:
            visible, hidden = hold_out_items(X, _SCORE_HOLDOUT, random_state=0)
        else:
            visible, hidden = X, sp.csr_array(y)
            if hidden.shape != X.shape:
                raise ValueError(f"y has shape {hidden.shape}, expected that of X, {X.shape}.")
        return self._ndcg(visible, hidden)

    def _ndcg(self, visible: Interactions, hidden: sp.csr_array[Any]) -> float:
        """Return how well items of the checked rows are found again from the others."""
        items, _ = self._best(visible, _SCORE_CUTOFF, exclude_seen=True)
        return ndcg_score(hidden, items, k=_SCORE_CUTOFF)

    def _best(
        self, X: Interactions, k: int, *, exclude_seen: bool
    ) -> tuple[NDArray[np.int64], Array]:
        """Return items and scores of the best `k` of each of the checked rows."""
        n_users, n_items = X.shape
        weights = self._ready_weights(X)
        items = np.empty((n_users, k), dtype=np.int64)
        scores = np.empty((n_users, k), dtype=weights.dtype)
        n_rows = block_rows(n_users, n_items)
        for block in blocks(n_users, n_rows):
            block_scores = weights.scores(X[block])
            if exclude_seen:
                block_scores[X[block].nonzero()] = -np.inf
            items[block], scores[block] = top_k(block_scores, k, n_rows=n_rows)
        return items, scores
