"""RecommenderMixin: predict, recommend, similar_items, explain, largest_weights, score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.candidates import (
    as_indices,
    candidate_filter,
    check_items,
)
from shallow_ae._weights.ranking import all_scores, best_items, explain_scores
from shallow_ae.data.arguments import check_integer
from shallow_ae.data.fitting import snapshot, take_over
from shallow_ae.data.matrices import aligned_by_name, check_interactions
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models import recommend_partitions
from shallow_ae.models.fitted import FittedAttribute, FittedState
from shallow_ae.models.pruning import pruned_weights
from shallow_ae.models.updates import RowChange


class RecommenderMixin:
    """Methods of fitted scikit-learn estimators whose scores are the product X P."""

    _fitted: FittedState
    n_features_in_: int
    get_params: Callable[..., dict[str, Any]]

    item_counts_ = FittedAttribute[Array]()
    n_samples_seen_ = FittedAttribute[int]()

    @property
    def item_weights_(self) -> Array | sp.csr_array[Any]:
        """P, of shape (n_items, n_items). After a dual fit, P is computed on first access.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> ShallowAutoEncoder(0.1, solver="exact").fit(X).item_weights_.round(1) + 0.0
        array([[ 0. ,  0.8, -0.5,  0.3],
               [ 0.7,  0. ,  0.6,  0.2],
               [-0.5,  0.8,  0. , -0.1],
               [ 0.2,  0.2, -0.1,  0. ]], dtype=float32)
        """
        return self._fitted.weights.materialized().P

    def _relearn(self, change: RowChange) -> Self:
        """Update the model with changed training rows. The result equals a fit to all rows."""
        fresh: Any = copy(self)
        vars(fresh).pop("_fitted", None)  # a warm start would keep what is forgotten
        X, weights = change.after()
        fresh.fit(X, sample_weight=None if (weights == 1).all() else weights)
        taken: Self = take_over(self, fresh)
        return taken

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = True
        return tags

    def __dir__(self) -> Iterable[str]:
        """Return the names of the attributes whose values need no computation.

        scikit-learn reads the value of every name in `dir`, for instance to display the model.
        """
        names = set(object.__dir__(self))
        if not hasattr(self, "_fitted") or not self._fitted.weights.is_materialized:
            names.discard("item_weights_")
        return {name for name in names if not name.endswith("_") or hasattr(self, name)}

    def predict(self, X: Any) -> Array:
        """Return the score of every item for every user, X P.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions of any users. The users need not have been in `fit`.

        Returns
        -------
        scores : ndarray or Dask array of shape (n_users, n_items)
            Dense array with the data type of the weights; a Dask array if X is one. `recommend`
            ranks items without allocating this array.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
        >>> model.predict(X[:1]).round(1) + 0.0
        array([[0.7, 0.8, 0.1, 0.5]], dtype=float32)
        """
        at = snapshot(self)
        check_is_fitted(at)
        if is_dask(X):
            return recommend_partitions.predict(at, at._fitted.weights.form, X)  # type: ignore[no-any-return]
        X = sp.csr_array(check_interactions(at, X, reset=False))
        return all_scores(at._fitted.weights.cheapest_for(X), X)

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
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions of any users. The users need not have been in `fit`. If `fit` saw column
            names, the columns of a DataFrame are aligned by name; items that `fit` did not see are
            left out, and a warning counts them.
        k : int, default=100
            Number of items for each user. May exceed the number of items.
        exclude_seen : bool, default=True
            Leave out the items that the user has seen: the nonzero entries of the row of `X`.
        candidates : array-like of int, list of n_users lists, or sparse matrix, default=None
            The only items to recommend, as column indices: one list for all users; one list for
            each user, in which -1 is ignored; or a matrix of the shape of `X` whose nonzero entries
            are the candidates. None means every item. For a Dask array, one list for all users.
        exclude : array-like of int, list of n_users lists, or sparse matrix, default=None
            Items not to recommend, in the same forms. For example, the items that an earlier call
            returned.
        return_scores : bool, default=False
            Return the scores as well.
        verbose : int, default=0
            1 shows a progress bar.

        Returns
        -------
        items : ndarray or Dask array of int of shape (n_users, k)
            Column indices by descending score, ties by ascending index. If a user has fewer than
            `k` candidates, the remaining places are -1. A Dask array if X is one.
        scores : ndarray or Dask array of shape (n_users, k)
            Scores of `items`; NaN where the item is -1. Returned only if `return_scores`.

        Raises
        ------
        ValueError, TypeError
            If the number of items in `X` differs from `fit`, or if `candidates` or `exclude` holds
            a value that is not an item index.

        Notes
        -----
        A user costs one multiplication for each nonzero weight of each of their items; with
        LowRankAutoEncoder, one for each component and item. Beside the result, each thread needs
        memory for one row of scores. With a low-rank model, with a sum of models and after a fit
        that inverted a users x users matrix, each thread needs a few blocks of scores. After such a
        fit, a call for many users first computes `item_weights_` and then uses it.

        A user's result does not depend on the other users in the call, on the number of threads or
        on JAX's backend, because this method does not use JAX. Scores that are products with an
        inverse or with item vectors have this property only up to rounding.

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
        k, at = check_integer("k", k, low=1), snapshot(self)
        if is_dask(X):
            check_is_fitted(at)
            lists = {"candidates": candidates, "exclude": exclude}
            form = at._fitted.weights.form
            items, scores = recommend_partitions.recommend(
                at, form, X, k, exclude_seen=exclude_seen, **lists
            )
            return (items, scores) if return_scores else items
        X = checked_rows(at, X)
        allowed = candidate_filter(X, exclude_seen, candidates, exclude)
        items, scores = rank(at, X, k, allowed, verbose=verbose)
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

        The result for an item equals the result of `recommend` for a user who has seen only that
        item: the largest weights in the item's row of P.

        Parameters
        ----------
        items : array-like of int of shape (n,)
            Column indices.
        k : int, default=10
            Number of similar items for each given item.
        candidates, exclude : array-like of int, list of n lists, or sparse matrix, default=None
            As for `recommend`, with one list or row for each given item.
        return_scores : bool, default=False
            Return the weights as well.

        Returns
        -------
        similar : ndarray of int of shape (n, k)
            Column indices by descending weight, without the item itself. Places beyond the last
            candidate are -1.
        scores : ndarray of shape (n, k)
            Weights of `similar`; NaN where the item is -1. Returned only if `return_scores`.

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
        at = snapshot(self)
        check_is_fitted(at)
        k, weights = check_integer("k", k, low=1), at._fitted.weights
        n_items, dtype = weights.form.n_inputs, weights.form.dtype
        listed = as_indices("items", items)
        asked = check_items("items", listed, n_items)
        if asked.shape != listed.shape:
            raise ValueError("`items` must be a list of item indices >= 0: one-dimensional, no -1.")
        ones, ends = np.ones(len(asked), dtype), np.arange(len(asked) + 1)
        X = sp.csr_array((ones, asked, ends), shape=(len(asked), n_items))
        allowed = candidate_filter(X, True, candidates, exclude)
        similar, scores = best_items(weights.cheapest_for(X), X, k, allowed)
        return (similar, scores) if return_scores else similar

    def explain(self, X: Any, items: Any, k: int = 10) -> tuple[NDArray[np.int64], Array]:
        """Return the items of a user that contribute most to given scores.

        A score is a sum over the user's items, so the contributions are exact. If `k` is at least
        the number of a user's items, they sum to the score that `predict` returns. Scores by
        popularity are the exception: they do not depend on the user's items, and have
        contributions of 0.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `recommend`.
        items : array-like of int of shape (n_users,) or (n_users, n_places)
            The items whose scores are explained, for each user, as `recommend` returns them. -1 is
            ignored.
        k : int, default=10
            Number of contributions for each explained item.

        Returns
        -------
        reasons : ndarray of int of shape (n_users, k) or (n_users, n_places, k)
            Items of the user by descending contribution. Places beyond the user's last item are -1.
        contributions : ndarray of the same shape
            Value of the reason in `X` times its weight for the explained item; NaN where the reason
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
        k, at = check_integer("k", k, low=1), snapshot(self)
        X, weights = checked_rows(at, X), at._fitted.weights.form
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

    def largest_weights(self, n_neighbors: int | None = 100) -> sp.csr_array[Any]:
        """Return the largest weights of each scored item, for serving or storing them elsewhere.

        The score of item j for a user with the row x is the sum of x_i P_ij over the user's items
        i. Of each column j of P, the result holds the entries that change the score of j most.

        Parameters
        ----------
        n_neighbors : int or None, default=100
            Number of weights to keep in each column: the largest by absolute value, ties by
            ascending index. None keeps all nonzero weights. Their number is close to n_items**2,
            except for models with sparse weights.

        Returns
        -------
        weights : csr_array of shape (n_items, n_items)
            P with its other entries set to 0: row i is the item that a user has seen, column j the
            item that is scored. No zeros are stored. The data type is the data type of the model.

        Raises
        ------
        MemoryError
            If the weights do not fit in the free memory. The message names a number that fits.
        AttributeError
            If the scores, or a part of a sum of scores, come from popularity.

        Notes
        -----
        The method needs three times the memory of the result, plus a few blocks of 128 columns for
        each thread. A model with sparse weights needs twice the memory of the result and of its
        weights. Weights that the model does not store are computed block by block, without
        computing `item_weights_`. Each entry of P is computed once; of sparse weights, only the
        stored entries are read.

        See Also
        --------
        ShallowAutoEncoder.sparsify : The same weights of an exact model, as a model.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
        >>> model.largest_weights(1).toarray().round(2)
        array([[0.  , 0.8 , 0.  , 0.29],
               [0.7 , 0.  , 0.65, 0.  ],
               [0.  , 0.  , 0.  , 0.  ],
               [0.  , 0.  , 0.  , 0.  ]], dtype=float32)
        """
        at = snapshot(self)
        check_is_fitted(at)
        return pruned_weights(at._fitted.weights.form, n_neighbors)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean NDCG@100 of the recommendations, for model selection.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions from which to recommend.
        y : sparse matrix or ndarray of shape (n_users, n_items), default=None
            Held-out items of the same users; the nonzero entries are relevant. If None, a fifth of
            each user's items in `X` is held out, and the model recommends from the others. The
            split is the same in every call. A one-dimensional `y`, which is the target of other
            estimators, is treated as None.

        Returns
        -------
        ndcg : float
            NDCG with the ideal list cut at 100, the default of :func:`shallow_ae.ndcg_score`. For
            other metrics, cutoffs and hold-out fractions, use
            :func:`shallow_ae.make_ranking_scorer`.

        Raises
        ------
        ValueError
            If no user has held-out items.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
        >>> held_out = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]])
        >>> model.score(X, held_out)
        1.0
        """
        at = snapshot(self)
        check_is_fitted(at)
        X = check_interactions(at, X, reset=False)
        protocol = HoldoutProtocol()
        visible, hidden = protocol.split(X, aligned_by_name(at, y))
        return protocol.score_weights(at._fitted.weights.cheapest_for(visible), visible, hidden)


def checked_rows(model: RecommenderMixin, X: Any) -> sp.csr_array[Any]:
    """Return the checked rows of X. The columns of a DataFrame are aligned by name."""
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
    """Return the `k` best items of each checked row, and their scores."""
    return best_items(model._fitted.weights.cheapest_for(X), X, k, allowed, verbose=verbose)
