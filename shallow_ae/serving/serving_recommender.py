"""ServingRecommender: recommendations with raw ids for single requests, from many threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._model_files.document import damage_as_error
from shallow_ae._typing import Array
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.popularity import PopularityOrder
from shallow_ae._weights.ranking import explain_scores
from shallow_ae.data.arguments import check_boolean, check_integer
from shallow_ae.data.log_counts import log_counts
from shallow_ae.serving.histories import Catalogue, Histories, filter_of, read_histories
from shallow_ae.serving.prepared import PreparedWeights
from shallow_ae.serving.saved import read_servable
from shallow_ae.serving.servable import Servable, transformed


class Recommendations(NamedTuple):
    """The recommendations for one user.

    Parameters
    ----------
    items : list
        Raw item ids, best first.
    scores : list of float
        Scores of `items`. If `by_popularity`, the number of users of each item in `fit`.
    by_popularity : bool
        True if the history holds no known item. The items with the most users are then recommended.
    unknown : list
        Items of the history that `fit` did not see. They are left out.

    Examples
    --------
    >>> from shallow_ae import ShallowAutoEncoder, make_recommender
    >>> from shallow_ae.serving import ServingRecommender
    >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
    ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
    >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    >>> serving = ServingRecommender.from_pipeline(recommender)
    >>> answer = serving.recommend({"Kashmir": 2, "Yesterday": 1}, k=1)
    >>> answer.items, answer.by_popularity, answer.unknown
    (['Hey Jude'], False, ['Yesterday'])
    """

    items: list[Any]
    scores: list[float]
    by_popularity: bool
    unknown: list[Any]


class ScoredItems(NamedTuple):
    """Raw item ids by descending score.

    Parameters
    ----------
    items : list
        Raw item ids.
    scores : list of float
        Scores of `items`.

    Examples
    --------
    >>> from shallow_ae import ShallowAutoEncoder, make_recommender
    >>> from shallow_ae.serving import ServingRecommender
    >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
    ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
    >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    >>> serving = ServingRecommender.from_pipeline(recommender)
    >>> similar = serving.similar_items("Kashmir", k=1)
    >>> similar.items, len(similar.scores)
    (['Hey Jude'], 1)
    """

    items: list[Any]
    scores: list[float]


class ServingRecommender:
    """Recommend to one user in a request, or to many at once, from histories with raw ids.

    A history is a mapping of item ids to counts, ``{"Kashmir": 3, "Clocks": 1}``, or a list of item
    ids, in which an id that occurs twice counts twice. The results equal the results of
    :class:`~shallow_ae.RecommenderPipeline`. Unlike the pipeline, this class reads and returns no
    data frames, and computes a request in the thread that calls the method. All methods may be
    called by many threads at the same time; the ranking runs without the global interpreter lock.
    The class does not import JAX. It imports scikit-learn and pandas only if a step of another
    library needs them.

    `load` makes an instance from a model file, and `from_pipeline` from a fitted pipeline.

    Parameters
    ----------
    servable : Servable
        Internal. Call `load` or `from_pipeline` instead of the constructor.

    Attributes
    ----------
    items : ndarray of shape (n_items,)
        Raw item ids.
    item_counts : ndarray of shape (n_items,)
        Number of users of each item in `fit`, or the sum of their sample weights.

    Notes
    -----
    The weights of an exact fit with fewer users than items are computed for all pairs of items,
    which takes n_items^2 numbers. To avoid this, serve the model that
    `ShallowAutoEncoder.sparsify` returns, which keeps the largest weights only. All other weights
    are shared with the pipeline, or mapped from the file.

    The first request loads the compiled code, or compiles it. Call `warm_up` to do so in advance.

    Examples
    --------
    >>> from shallow_ae import ShallowAutoEncoder, make_recommender
    >>> from shallow_ae.serving import ServingRecommender
    >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
    ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
    >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    >>> serving = ServingRecommender.from_pipeline(recommender)
    >>> serving.recommend({"Kashmir": 2}, k=1).items
    ['Hey Jude']
    >>> serving.recommend(["Clocks", "Yesterday"], k=1)._asdict()["unknown"]
    ['Yesterday']
    """

    def __init__(self, servable: Servable) -> None:
        if not isinstance(servable, Servable):
            raise TypeError(
                f"Got a {type(servable).__name__}. Call ServingRecommender.load for a file, or "
                "ServingRecommender.from_pipeline for a fitted pipeline."
            )
        self.items, self.item_counts = (own.view() for own in servable[:2])
        self.items.flags.writeable = self.item_counts.flags.writeable = False
        self._catalogue = Catalogue(servable.items)
        if servable.weights.n_inputs != len(self.items):
            raise ValueError(
                f"There are {len(self.items):,} ids for {servable.weights.n_inputs:,} items. If "
                "the model was later fitted without the pipeline, call `fit` of the pipeline."
            )
        self._weights = PreparedWeights(servable.weights)
        self._popularity = PopularityOrder.of(self.item_counts)
        self._steps, self._refuses_unknown = servable.steps, servable.refuses_unknown

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        memory_map: bool = True,
        trusted: Sequence[str] | None = None,
    ) -> Self:
        """Read a RecommenderPipeline or a model from a file that `save_model` has written.

        Parameters
        ----------
        path : str or path
            Name of the file.
        memory_map, trusted
            As in :func:`shallow_ae.load_model`.

        Returns
        -------
        serving : ServingRecommender
            The items of a model without an IdMapper are its column indices.

        Raises
        ------
        ModelFileError, ImportError, FileNotFoundError
            As from :func:`shallow_ae.load_model`.
        MemoryError
            If the file was saved with ``keep="all"`` from an exact fit with fewer users than items,
            and the weights of all pairs of items, which must be computed, do not fit in memory.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from shallow_ae import save_model
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "model.safetensors"
        ...     save_model(recommender, path)
        ...     serving = ServingRecommender.load(path, memory_map=False)
        >>> serving.recommend(["Kashmir"], k=1).items
        ['Hey Jude']
        """
        with damage_as_error(path):
            return cls(read_servable(path, memory_map=memory_map, trusted=trusted))

    @classmethod
    def from_pipeline(cls, recommender: Any) -> Self:
        """Serve from a fitted RecommenderPipeline.

        Parameters
        ----------
        recommender : RecommenderPipeline
            Fitted pipeline. A later fit of the pipeline does not change the result.

        Returns
        -------
        serving : ServingRecommender
            A recommender with the items and weights of the pipeline.

        Raises
        ------
        TypeError
            If `recommender` is not a RecommenderPipeline.
        NotFittedError
            If the pipeline is not fitted.
        MemoryError
            If the weights of all pairs of items must be computed and do not fit in memory.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Kashmir"), ("bob", "Kashmir"), ("bob", "Clocks")]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> ServingRecommender.from_pipeline(recommender).recommend(["Kashmir"], k=1).items
        ['Clocks']
        """
        make = getattr(recommender, "_servable", None)
        if make is None:
            raise TypeError(f"Expected a RecommenderPipeline, got {type(recommender).__name__}.")
        return cls(make())

    def __len__(self) -> int:
        return len(self._catalogue)

    def __contains__(self, item: Any) -> bool:
        return item in self._catalogue.column_of

    def recommend(
        self,
        history: Any,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Iterable[Any] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Recommendations:
        """Return the `k` best items for a user.

        Parameters
        ----------
        history : mapping of raw id to count, or iterable of raw ids
            Items of the user so far. Counts are finite and >= 0.
        k : int, default=10
            Number of items.
        exclude_seen : bool, default=True
            Leave out the items of the history with a count above 0.
        candidates : iterable of raw ids, default=None
            The only items to recommend. Items that `fit` did not see are ignored.
        exclude : iterable of raw ids, default=None
            Items not to recommend.

        Returns
        -------
        recommendations : Recommendations
            Named tuple (items, scores, by_popularity, unknown). There are fewer than `k` items if
            fewer are allowed.

        Raises
        ------
        TypeError, ValueError
            If an argument has another type, or a count is not finite and >= 0. Also if the history
            holds an unknown item and the IdMapper has ``unknown="error"``.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> serving = ServingRecommender.from_pipeline(recommender)
        >>> serving.recommend({"Kashmir": 2}, k=1).items
        ['Hey Jude']
        >>> serving.recommend({"Kashmir": 2}, candidates=["Clocks"]).items
        ['Clocks']
        """
        filters = ([own] if own is not None else None for own in (candidates, exclude))
        return self._recommend([history], k, exclude_seen, *filters)[0]

    def recommend_batch(
        self,
        histories: Iterable[Any],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Sequence[Iterable[Any] | None] | None = None,
        exclude: Sequence[Iterable[Any] | None] | None = None,
    ) -> list[Recommendations]:
        """Return the `k` best items for each of several users, ranked on all cores.

        Parameters
        ----------
        histories : iterable of histories
            One history for each user, as for `recommend`. If a count is a float, the counts of all
            users are read in float64, else in float32.
        k, exclude_seen
            As for `recommend`.
        candidates, exclude : list of n_users iterables or None, default=None
            For each user, the only items to recommend and the items not to recommend; None in a
            place means no limit for this user.

        Returns
        -------
        recommendations : list of n_users Recommendations
            The recommendations for each history, in order.

        Raises
        ------
        TypeError, ValueError
            As from `recommend`.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> serving = ServingRecommender.from_pipeline(recommender)
        >>> answers = serving.recommend_batch([{"Kashmir": 2}, ["Hey Jude"]], k=1)
        >>> [answer.items for answer in answers]
        [['Hey Jude'], ['Kashmir']]
        """
        if isinstance(histories, Mapping | str):
            raise TypeError("`histories` must be a list of histories. Call `recommend` for one.")
        listed = list(histories)
        filters = []
        for name, given in (("candidates", candidates), ("exclude", exclude)):
            lists = None if given is None else list(given)
            if lists is not None and len(lists) != len(listed):
                raise ValueError(
                    f"`{name}` has {len(lists)} lists, expected {len(listed)}: one for each "
                    "history."
                )
            filters.append(lists)
        return self._recommend(listed, k, exclude_seen, *filters) if listed else []

    def similar_items(self, item: Any, k: int = 10) -> ScoredItems:
        """Return the `k` items with the largest weights for an item.

        Parameters
        ----------
        item : raw id
            Item that `fit` saw.
        k : int, default=10
            Number of similar items.

        Returns
        -------
        similar : ScoredItems
            Named tuple (items, scores) with the weights as scores.

        Raises
        ------
        ValueError
            If `fit` did not see the item.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> serving = ServingRecommender.from_pipeline(recommender)
        >>> serving.similar_items("Kashmir", k=1).items
        ['Hey Jude']
        """
        k = min(check_integer("k", k, low=1), len(self))
        column = np.array([self._catalogue.known_column(item)], np.int32)
        one = np.ones(1, self._weights.form.dtype)
        X = Histories(np.array([0, 1], np.int64), column, one)
        items, scores = self._weights.best(X, k, filter_of(X, self._catalogue, True, None, None))
        return self._scored(items[0], scores[0])

    def explain(self, history: Any, item: Any, k: int = 5) -> ScoredItems:
        """Return the items of a history that contribute most to the score of an item.

        Parameters
        ----------
        history : mapping of raw id to count, or iterable of raw ids
            Items of the user so far.
        item : raw id
            The recommended item.
        k : int, default=5
            Number of reasons.

        Returns
        -------
        reasons : ScoredItems
            Named tuple (items, scores): known items of the history by descending contribution, and
            the contributions. All contributions sum to the score of `item`.

        Raises
        ------
        ValueError
            If `fit` did not see the item.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> serving = ServingRecommender.from_pipeline(recommender)
        >>> serving.explain({"Kashmir": 5, "Clocks": 1}, "Hey Jude").items
        ['Kashmir', 'Clocks']
        """
        k = check_integer("k", k, low=1)
        column = self._catalogue.known_column(item)
        _, weighted, _ = self._read([history])
        X = self._matrix(weighted)
        if not X.nnz:
            return ScoredItems([], [])
        asked = np.array([[column]], np.int64)
        reasons, parts = explain_scores(self._weights.form, X, asked, min(k, X.nnz))
        return self._scored(reasons[0, 0], parts[0, 0])

    def warm_up(self) -> Self:
        """Load the compiled code that requests need, or compile it.

        Each kind of request is answered once, for an item of the model. The first request then
        takes no longer than the others.

        Returns
        -------
        self : object
            This recommender.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> from shallow_ae.serving import ServingRecommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> serving = ServingRecommender.from_pipeline(recommender).warm_up()
        >>> serving.recommend(["Kashmir"], k=1).items
        ['Hey Jude']
        """
        item = self._catalogue.ids[0]
        for history in ([item], []):
            self.recommend(history, candidates=[item], exclude=[])
            self.recommend_batch([history, history])
            self.explain(history, item)
        self.similar_items(item)
        return self

    def _recommend(
        self, histories: list[Any], k: int, exclude_seen: bool, candidates: Any, exclude: Any
    ) -> list[Recommendations]:
        k = min(check_integer("k", k, low=1), len(self))
        seen, X, unknown = self._read(histories)
        is_seen_excluded = check_boolean("exclude_seen", exclude_seen)
        allowed = filter_of(seen, self._catalogue, is_seen_excluded, candidates, exclude)
        by_popularity = X.indptr[1:] == X.indptr[:-1]
        items, scores = self._best(X, k, allowed, by_popularity)
        return [
            Recommendations(*self._scored(*best), popular, left_out)
            for *best, popular, left_out in zip(
                items, scores, by_popularity.tolist(), unknown, strict=True
            )
        ]

    def _best(
        self,
        X: Histories | sp.csr_array[Any],
        k: int,
        allowed: CandidateFilter,
        by_popularity: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], Array]:
        if not by_popularity.any():
            return self._weights.best(X, k, allowed)
        shape, matrix, known = (len(by_popularity), k), self._matrix(X), ~by_popularity
        items, scores = np.empty(shape, np.int64), np.empty(shape)
        if known.any():
            items[known], scores[known] = self._weights.best(matrix[known], k, allowed.of(known))
        popular = self._popularity.best(k, allowed.of(by_popularity))
        items[by_popularity], scores[by_popularity] = popular
        return items, scores

    def _read(
        self, histories: list[Any]
    ) -> tuple[Histories, Histories | sp.csr_array[Any], list[list[Any]]]:
        """Return the counts, the input of the model, and the unknown items of histories."""
        seen, unknown = read_histories(histories, self._catalogue)
        if self._refuses_unknown and any(unknown):
            item = next(own[0] for own in unknown if own)
            raise ValueError(f"The item {item!r} was not seen in fit. Leave it out of the history.")
        X: Histories | sp.csr_array[Any] = seen
        for step in self._steps:
            if step is log_counts and isinstance(X, Histories):
                X = X._replace(values=log_counts(X.values))
                continue
            X = _transformed(step, self._matrix(X))
        return seen, X, unknown

    def _matrix(self, X: Histories | sp.csr_array[Any]) -> sp.csr_array[Any]:
        return X.matrix(len(self)) if isinstance(X, Histories) else X

    def _scored(self, columns: NDArray[np.int64], scores: Array) -> ScoredItems:
        n = int((columns >= 0).sum())  # empty places are the last
        ids = self._catalogue.ids
        return ScoredItems([ids[column] for column in columns[:n].tolist()], scores[:n].tolist())


def _transformed(step: Any, X: sp.csr_array[Any]) -> sp.csr_array[Any]:
    """Return the checked output of a step for the rows."""
    if step is log_counts:
        return sp.csr_array((log_counts(X.data), X.indices, X.indptr), shape=X.shape)
    from shallow_ae.data.matrices import checked_block  # imports scikit-learn, as the step did

    return checked_block(step, transformed([step], X), X.shape[1])
