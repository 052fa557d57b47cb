"""What every fitted item-item model can do: score, recommend, explain, be judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from shallow_ae._typing import Array
from shallow_ae._weights.candidates import (
    CandidateFilter,
    as_indices,
    candidate_filter,
    check_items,
)
from shallow_ae._weights.item_weights import Formed, Weights
from shallow_ae._weights.ranking import best_items, check_rows, explain_scores
from shallow_ae.data.arguments import check_integer
from shallow_ae.data.matrices import aligned_by_name, check_interactions
from shallow_ae.evaluation import HoldoutProtocol


class RecommenderMixin:
    """Methods of a scikit-learn estimator whose scores are X P; `fit` sets these attributes."""

    _weights: Weights
    item_counts_: Array
    n_features_in_: int

    @property
    def item_weights_(self) -> Array | sp.csr_array[Any]:
        """P, of shape (n_items, n_items); after a dual fit, formed when first asked for."""
        weights = self._weights
        formed = weights.formed()
        self._store(formed, instead_of=weights)
        return formed.P

    def __dir__(self) -> Iterable[str]:
        """Return the names of all attributes, but not of one that asking for would form.

        scikit-learn asks for all of them, in `dir` as well as to display the model.
        """
        weights = getattr(self, "_weights", None)
        unformed = set() if isinstance(weights, Formed) else {"item_weights_"}
        return set(object.__dir__(self)) - unformed

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
        X = sp.csr_array(check_interactions(self, X, reset=False))
        weights = self._ready_weights(X)
        check_rows(weights, X)
        return weights.scores(X)

    def recommend(
        self,
        X: Any,
        k: int = 100,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        exclude: Any = None,
        return_scores: bool = False,
        verbose: int = 0,
    ) -> NDArray[np.int64] | tuple[NDArray[np.int64], Array]:
        """Return the `k` best items of each user, best first.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of any users, whether `fit` saw them or not. A frame's columns are aligned
            by name if `fit` saw names: a warning counts items that it did not see.
        k : int, default=100
            Items a user; may exceed what there is.
        exclude_seen : bool, default=True
            Leave out the items that the user has in `X`: its nonzero entries.
        candidates : array-like of int, list of n_users such, or sparse matrix, default=None
            The only items to recommend, as column indices: one list for everyone, a list for each
            user (-1 is an empty place), or a matrix like `X` whose nonzero entries are the
            candidates. None means every item.
        exclude : array-like of int, list of n_users such, or sparse matrix, default=None
            Items not to recommend, in the same forms: what `recommend` returned before, for one.
        return_scores : bool, default=False
            Return the scores as well.
        verbose : int, default=0
            1 shows a progress bar.

        Returns
        -------
        items : ndarray of int of shape (n_users, k)
            Column indices by falling score, equal scores by rising index. Where fewer than `k`
            items are left to offer, the rest is -1.
        scores : ndarray of shape (n_users, k)
            Only if `return_scores`; NaN where the item is -1.

        Raises
        ------
        ValueError, TypeError
            If `X` has other than the fitted number of items, or a list holds what is not an item.

        Notes
        -----
        Each user costs a multiplication for each nonzero weight of each of their items. Memory
        beside the result is a row of scores a thread, or a block where the weights are an inverse
        of users x users; then many users are scored by `item_weights_`, formed for them. The
        answer for a user is the same whoever else is asked for, whatever the number of threads and
        JAX's backend, which has no part in it; only by an inverse is it so to rounding.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(random_state=0).fit(X)
        >>> model.recommend(X, k=3)
        array([[ 3,  2, -1],
               [ 2, -1, -1],
               [ 0,  3, -1]])
        >>> model.recommend(X, k=1, candidates=[[2], [3], [0, 3]])
        array([[ 2],
               [-1],
               [ 0]])
        """
        k = check_integer("k", k, low=1)
        X = self._rows(X)
        allowed = candidate_filter(X, exclude_seen, candidates, exclude)
        items, scores = self._best(X, k, allowed, verbose=verbose)
        return (items, scores) if return_scores else items

    def similar_items(
        self,
        items: Any,
        k: int = 10,
        *,
        candidates: Any = None,
        exclude: Any = None,
        return_scores: bool = False,
    ) -> NDArray[np.int64] | tuple[NDArray[np.int64], Array]:
        """Return the `k` items that each of the items speaks for most.

        It is what `recommend` answers to a user who has met that item only: the largest weights in
        its row of P.

        Parameters
        ----------
        items : array-like of int of shape (n,)
            Column indices.
        k : int, default=10
            Items each.
        candidates, exclude : array-like of int, list of n such, or sparse matrix, default=None
            As for `recommend`.
        return_scores : bool, default=False
            Return the weights as well.

        Returns
        -------
        similar : ndarray of int of shape (n, k)
            Without the item itself; -1 where there are no more.
        scores : ndarray of shape (n, k)
            Only if `return_scores`; NaN where the item is -1.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(random_state=0).fit(X)
        >>> model.similar_items([0, 2], k=2)
        array([[1, 3],
               [1, 3]])
        """
        check_is_fitted(self)
        k = check_integer("k", k, low=1)
        weights = self._weights  # of one fit, even if another one ends while `items` are read
        listed = as_indices("items", items)
        asked = check_items("items", listed, weights.n_inputs)
        if asked.shape != listed.shape:
            raise ValueError("`items` must be a list of item indices >= 0: a row for each of them.")
        ones = np.ones(len(asked), weights.dtype)
        shape = (len(asked), weights.n_inputs)
        X = sp.csr_array((ones, asked, np.arange(len(asked) + 1)), shape=shape)
        allowed = candidate_filter(X, True, candidates, exclude)
        similar, scores = best_items(self._ready(weights, X), X, k, allowed)
        return (similar, scores) if return_scores else similar

    def explain(self, X: Any, items: Any, k: int = 10) -> tuple[NDArray[np.int64], Array]:
        """Return which of the user's own items a score comes from, and how much of it.

        A score is a sum over the user's items, so its parts are exact: with `k` no less than a
        user has items, the contributions add up to the score that `predict` returns.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `recommend`.
        items : array-like of int of shape (n_users,) or (n_users, n_places)
            The items to explain to each user, as `recommend` returns them; -1 is an empty place.
        k : int, default=10
            Contributions each.

        Returns
        -------
        reasons : ndarray of int of shape (n_users, k) or (n_users, n_places, k)
            Items of the user, by falling contribution; -1 where there are no more.
        contributions : ndarray of the same shape
            Each item's value in `X` times its weight for the item explained; NaN where the reason
            is -1.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(random_state=0).fit(X)
        >>> reasons, contributions = model.explain(X[:1], [3], k=3)
        >>> reasons
        array([[ 0,  1, -1]])
        >>> bool(np.isclose(np.nansum(contributions), model.predict(X)[0, 3]))
        True
        """
        k = check_integer("k", k, low=1)
        X, weights = self._rows(X), self._weights
        asked, n_users = as_indices("items", items), X.shape[0]
        if asked.ndim not in (1, 2) or len(asked) != n_users:
            raise ValueError(
                f"`items` has shape {asked.shape}, expected ({n_users},) or ({n_users}, n_places): "
                "the items to explain to each user."
            )
        check_items("items", asked.ravel(), weights.n_inputs)
        by_user = asked if asked.ndim == 2 else asked[:, None]
        reasons, parts = explain_scores(weights, X, by_user, k)
        shape = (*asked.shape, k)
        return reasons.reshape(shape), parts.reshape(shape)

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
            With the ideal cut at 100, as :func:`shallow_ae.ndcg_score` has it by default. Other
            measures, cutoffs and shares: :func:`shallow_ae.make_ranking_scorer`.

        Raises
        ------
        ValueError
            If no user has held-out items.
        """
        check_is_fitted(self)
        X = check_interactions(self, X, reset=False)
        ruler = HoldoutProtocol()
        return self._score_heldout(*ruler.split(X, aligned_by_name(self, y)), ruler)

    def _score_heldout(
        self, visible: sp.csr_array[Any], hidden: sp.csr_array[Any], ruler: HoldoutProtocol
    ) -> float:
        """Return how well hidden items of checked rows are found from the others."""
        items, _ = self._best(visible, ruler.k, candidate_filter(visible))
        return ruler.measure(hidden, items)

    def _rows(self, X: Any) -> sp.csr_array[Any]:
        """Return the checked rows of X, a frame's columns aligned by name."""
        check_is_fitted(self)
        return sp.csr_array(check_interactions(self, aligned_by_name(self, X), reset=False))

    def _best(
        self, X: sp.csr_array[Any], k: int, allowed: CandidateFilter, *, verbose: int = 0
    ) -> tuple[NDArray[np.int64], Array]:
        """Return items and scores of the best `k` of each of the checked rows."""
        return best_items(self._ready_weights(X), X, k, allowed, verbose=verbose)

    def _ready_weights(self, X: sp.csr_array[Any]) -> Weights:
        """Return the weights for scoring all rows of X, in the form that is cheapest for them."""
        return self._ready(self._weights, X)

    def _ready(self, weights: Weights, X: sp.csr_array[Any]) -> Weights:
        """Return these weights in the form that is cheapest for all rows of X."""
        return self._store(weights.ready_for(X), weights)

    def _store(self, weights: Weights, instead_of: Weights) -> Weights:
        """Keep weights in another form, unless the model was fitted again in the meantime."""
        if self._weights is instead_of:
            self._weights = weights
        return weights
