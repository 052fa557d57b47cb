"""BlendedRecommender: a weighted sum of models."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, Self

from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from shallow_ae._runtime.dask_graphs import is_dask
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae._weights.weighted_sum import factors_of, weighted_sum
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.fitting import copy_names, forget_names, take_over
from shallow_ae.data.matrices import check_interactions
from shallow_ae.models.fitted import FittedState
from shallow_ae.models.recommender import RecommenderMixin


class NamedParts(_BaseComposition):
    """An estimator whose `estimators` are a list of (name, estimator), as in scikit-learn."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, including the parameters of the parts.

        Parameters
        ----------
        deep : bool, default=True
            Include each part under its name, and its parameters as `name__parameter`.

        Returns
        -------
        parameters : dict
            The parameters by name.

        Examples
        --------
        >>> from shallow_ae import BlendedRecommender, ShallowAutoEncoder
        >>> model = BlendedRecommender([("near", ShallowAutoEncoder(0.1))])
        >>> sorted(model.get_params(deep=False)), model.get_params()["near__regularization"]
        (['estimators', 'weights'], 0.1)
        """
        parameters: dict[str, Any] = self._get_params("estimators", deep=deep)
        return parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters: `weights`, `name__parameter` of a part, or a part by its name.

        Parameters
        ----------
        **params : dict
            Parameters. `near="drop"` leaves the part "near" out of the next fit.

        Returns
        -------
        self : object
            This estimator, with the new parameters.

        Examples
        --------
        >>> from shallow_ae import BlendedRecommender, ShallowAutoEncoder
        >>> model = BlendedRecommender([("near", ShallowAutoEncoder(0.1))])
        >>> model.set_params(near__regularization=1.0).get_params()["near__regularization"]
        1.0
        """
        self._set_params("estimators", **params)
        return self


class BlendedRecommender(RecommenderMixin, NamedParts):
    """Recommend by a weighted sum of the scores of several models.

    A weighted sum can be more accurate than each of its models if the models are inaccurate for
    different users. Two such models are weights between near items
    (:class:`~shallow_ae.SparseShallowAutoEncoder`) and weights of low rank
    (:class:`~shallow_ae.LowRankAutoEncoder`). The interface follows scikit-learn's
    :class:`~sklearn.ensemble.VotingRegressor`.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Name and model of each part. A part is any recommender of this library, including another
        BlendedRecommender. `fit` fits clones of the parts. `set_params` can replace a part by
        "drop", which leaves it out.
    weights : sequence of float, default=None
        Factor of each part's scores; None means 1 for all. The factors apply when scores are
        computed: after a change by `set_params`, the parts need not be fitted again.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted parts, without the dropped parts.
    named_estimators_ : Bunch
        The fitted parts by name.
    item_weights_ : ndarray or csr_array of shape (n_items, n_items)
        Weighted sum of the parts' item weights: a csr_array if the weights of all parts are
        csr_arrays. The sum is computed each time the attribute is read; the model does not need
        it. Not defined if a part has no item weights, such as PopularityRecommender.
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
    BlendedRecommenderCV : Chooses the weights by cross-validation, without fitting the parts again.

    Notes
    -----
    `predict` returns the weighted sum of the scores that the parts' `predict` returns, and
    `explain` the weighted sum of the contributions that the parts' `explain` returns. The parts'
    scores are not normalized before they are added.

    Ranking takes as much time as ranking with each part in turn. Beside the result, each thread
    needs memory for one block of scores for each part and one block for the sum. If the weights of
    all parts are sparse, the sum of the weights is computed once and ranked as one sparse model.

    Examples
    --------
    >>> from shallow_ae import BlendedRecommender, LowRankAutoEncoder, SparseShallowAutoEncoder
    >>> import numpy as np
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> near, tastes = SparseShallowAutoEncoder(0.1), LowRankAutoEncoder(2, random_state=0)
    >>> model = BlendedRecommender([("near", near), ("tastes", tastes)], weights=[1.0, 0.5]).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    >>> len(model.estimators_)
    2
    >>> parts = model.named_estimators_
    >>> expected = parts.near.predict(X) + 0.5 * parts.tastes.predict(X)
    >>> bool(np.allclose(model.predict(X), expected))
    True
    """

    def __init__(self, estimators: Any, *, weights: Any = None) -> None:
        self.estimators = estimators
        self.weights = weights

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_parts")

    def __dir__(self) -> Iterable[str]:
        """Return the names of the attributes, but for item_weights_, which is computed."""
        names = set(object.__dir__(self)) - {"item_weights_"}
        if self.__sklearn_is_fitted__():
            return names
        return {name for name in names if not name.endswith("_") or name.endswith("__")}

    @property
    def item_weights_(self) -> Any:
        """P, of shape (n_items, n_items), computed on each access and not kept.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import BlendedRecommender, ShallowAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> weak, strong = (ShallowAutoEncoder(r, solver="exact") for r in (0.1, 1))
        >>> parts = [("weak", weak), ("strong", strong)]
        >>> model = BlendedRecommender(parts, weights=[1, 2]).fit(X)
        >>> bool(np.allclose(model.predict(X), X @ model.item_weights_))
        True
        """
        return self._fitted.weights.form.materialized().P

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit a clone of each part.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Passed to all parts.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If `estimators` is not a list of named recommenders, if `weights` does not have one
            number for each of them, or if the fit of a part raises this error; a note on the error
            then names the part. The estimator is unchanged.
        """
        self._checked_weights(self.weights)
        trial = copy(self)
        if is_dask(X):  # the parts check the rows
            rows = X.persist()
            forget_names(trial, X.shape[1])
        else:
            rows = check_interactions(trial, X, reset=True)
            check_sample_weight(sample_weight, rows.shape[0])
        trial._parts = parts = self._fit(rows, sample_weight)
        for part in parts.models.values():
            copy_names(trial, part)
        return take_over(self, trial)

    @property
    def estimators_(self) -> list[Any]:
        """The fitted parts."""
        return list(self._parts.models.values())

    @property
    def named_estimators_(self) -> Bunch:
        """The fitted parts by name."""
        return Bunch(**self._parts.models)

    def plan(self, X: Any) -> dict[str, Any]:
        """Estimate the memory and time of each part's fit to `X`, without fitting.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        costs : dict of str to cost
            For each part, under its name, the result of the part's `plan`. Parts without the
            method, such as PopularityRecommender, are left out. The parts are fitted one after
            another, so the memory during the fit of a part is its `bytes` plus the `kept_bytes` of
            the parts before it.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import BlendedRecommender, LowRankAutoEncoder, PopularityRecommender
        >>> parts = [("tastes", LowRankAutoEncoder(2)), ("popular", PopularityRecommender())]
        >>> list(BlendedRecommender(parts).plan(np.eye(3)))
        ['tastes']
        """
        return {name: part.plan(X) for name, part in self._checked_parts() if hasattr(part, "plan")}

    @property
    def _fitted(self) -> FittedState:  # type: ignore[override]
        """The state of the sum with the current weights."""
        parts: FittedParts = self._parts  # raises an AttributeError before `fit`
        return parts.summed(factors_of(self.weights, parts.names, parts.models))

    def _fit(self, rows: Any, sample_weight: Any) -> FittedParts:
        """Return clones of the parts, fitted to checked rows, with their names."""
        models = {}
        for name, part in self._checked_parts():
            try:
                models[name] = clone(part).fit(rows, sample_weight=sample_weight)
            except Exception as error:
                error.add_note(f"In the fit of the part {name!r}.")
                raise
        return FittedParts([name for name, _ in self.estimators], models)

    def _checked_weights(self, weights: Any) -> list[float]:
        """Check `estimators` and `weights`, and return the factors of the kept parts."""
        kept = [name for name, _ in self._checked_parts()]
        return factors_of(weights, [name for name, _ in self.estimators], kept)

    def _checked_parts(self) -> list[tuple[str, Any]]:
        """Check `estimators`, and return the named parts that are not dropped."""
        given = self.estimators
        is_list = isinstance(given, list) and len(given) > 0
        if not is_list or not all(_is_named(part) for part in given):
            raise ValueError(
                f"`estimators`={given!r} must be a list of (name, estimator) with one part or more."
            )
        self._validate_names([name for name, _ in given])
        parts = [(name, part) for name, part in given if not _is_dropped(part)]
        if not parts:
            raise ValueError("All `estimators` are dropped: keep one part or more.")
        for name, part in parts:
            if not isinstance(part, RecommenderMixin):
                raise TypeError(
                    f"The part {name!r} must be a recommender such as LowRankAutoEncoder, got "
                    f"{part!r}. Put transformers before the sum, in a pipeline."
                )
        return parts


class FittedParts:
    """The fitted parts of a sum, and the state of the sum for the most recent factors."""

    def __init__(self, names: list[str], models: dict[str, Any]) -> None:
        self.names = names  # of all parts, including the dropped parts
        self.models = models
        self._last: tuple[list[float], list[ItemWeights], FittedState] | None = None

    @property
    def item_weights(self) -> list[ItemWeights]:
        """Return the item weights of the parts that are not dropped."""
        return [model._fitted.weights for model in self.models.values()]

    def summed(self, factors: list[float]) -> FittedState:
        """Return the state of the sum. It is kept until the factors or a part's fit change."""
        weights, last = self.item_weights, self._last
        if last is None or last[:2] != (factors, weights):
            some = next(iter(self.models.values()))._fitted
            total = weighted_sum(weights, factors)
            state = FittedState(total, some.item_counts, some.n_samples_seen)
            self._last = last = (factors, weights, state)
        return last[2]


def _is_named(part: Any) -> bool:
    return isinstance(part, tuple | list) and len(part) == 2 and isinstance(part[0], str)


def _is_dropped(part: Any) -> bool:
    return isinstance(part, str) and part == "drop"
