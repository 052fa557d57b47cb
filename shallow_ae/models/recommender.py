"""RecommenderMixin: predict, recommend, similar_items, explain, score."""

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
from shallow_ae._weights.ranking import best_items, check_rows, explain_scores
from shallow_ae.data.arguments import check_integer
from shallow_ae.data.matrices import aligned_by_name, check_interactions
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models.fitted import FittedAttribute, FittedState


class RecommenderMixin:
    """Methods of a scikit-learn estimator whose scores are X P, once `fit` has set its state."""

    _fitted: FittedState
    n_features_in_: int

    item_counts_ = FittedAttribute[Array]()
    n_samples_seen_ = FittedAttribute[int]()

    @property
    def item_weights_(self) -> Array | sp.csr_array[Any]:
        """P, of shape (n_items, n_items); multiplied out when first asked for after a dual fit."""
        return self._fitted.weights.materialized().P

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags

    def __dir__(self) -> Iterable[str]:
        """Return the names of the attributes that are there without being computed first.

        scikit-learn asks for the value of each name, in `dir` as well as to display the model.
        """
        names = set(object.__dir__(self))
        if not hasattr(self, "_fitted") or not self._fitted.weights.is_materialized:
            names.discard("item_weights_")
        return {name for name in names if not name.endswith("_") or hasattr(self, name)}

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
        state = self._fitted
        X = sp.csr_array(check_interactions(self, X, reset=False))
        weights = state.weights.cheapest_for(X)
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
        X = checked_rows(self, X)
        allowed = candidate_filter(X, exclude_seen, candidates, exclude)
        items, scores = rank(self, X, k, allowed, verbose=verbose)
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
        """Return, for each given item, the `k` items with the largest weights.

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
        weights = self._fitted.weights  # of one fit, even if another ends while `items` are read
        n_items, dtype = weights.form.n_inputs, weights.form.dtype
        listed = as_indices("items", items)
        asked = check_items("items", listed, n_items)
        if asked.shape != listed.shape:
            raise ValueError("`items` must be a list of item indices >= 0: a row for each of them.")
        ones, ends = np.ones(len(asked), dtype), np.arange(len(asked) + 1)
        X = sp.csr_array((ones, asked, ends), shape=(len(asked), n_items))
        allowed = candidate_filter(X, True, candidates, exclude)
        similar, scores = best_items(weights.cheapest_for(X), X, k, allowed)
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
        X, weights = checked_rows(self, X), self._fitted.weights.form
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
        state = self._fitted
        X = check_interactions(self, X, reset=False)
        protocol = HoldoutProtocol()
        visible, hidden = protocol.split(X, aligned_by_name(self, y))
        return protocol.score_weights(state.weights.cheapest_for(visible), visible, hidden)


def checked_rows(model: RecommenderMixin, X: Any) -> sp.csr_array[Any]:
    """Return the checked rows of X, a frame's columns aligned by name."""
    check_is_fitted(model)
    return sp.csr_array(check_interactions(model, aligned_by_name(model, X), reset=False))


def rank(
    model: RecommenderMixin,
    X: sp.csr_array[Any],
    k: int,
    allowed: CandidateFilter,
    *,
    verbose: int = 0,
) -> tuple[NDArray[np.int64], Array]:
    """Return items and scores of the best `k` of each of the checked rows."""
    return best_items(model._fitted.weights.cheapest_for(X), X, k, allowed, verbose=verbose)
