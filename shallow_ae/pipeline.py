"""Frame in, frame out: a pipeline that recommends by raw ids."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from shallow_ae._interactions import frame_like, is_frame, pairs_in
from shallow_ae._offer import make_offer
from shallow_ae._raw_lists import known_items, known_users, lists_of_items
from shallow_ae._steps import check_steps, name_items, working_steps
from shallow_ae._validation import Array, check_choice, check_integer, unchanged_on_error
from shallow_ae._weights import popular_items
from shallow_ae.autoencoder import ShallowAutoEncoder
from shallow_ae.ids import IdMapper
from shallow_ae.preprocessing import LogCountTransformer


class RecommenderPipeline(Pipeline):
    """A scikit-learn pipeline from interactions with raw ids to recommendations with raw ids.

    The first step is an :class:`~shallow_ae.IdMapper`, the last one recommends, and those between
    weight interactions. Everything that a :class:`~sklearn.pipeline.Pipeline` does it does too;
    `make_recommender` builds one.

    Interactions are any that IdMapper reads. Answers are frames of the same kind (polars for
    polars, pandas for lists and arrays) with the columns of users and items named as in IdMapper.
    Users need not have been there in `fit`: what they are recommended follows from the interactions
    handed over. Items that `fit` did not see are left out, with a warning that counts them.

    Parameters
    ----------
    steps : list of (name, estimator)
    memory, transform_input, verbose
        As in scikit-learn's pipeline.

    Examples
    --------
    >>> import pandas as pd
    >>> from shallow_ae import ShallowAutoEncoder, make_recommender
    >>> listens = pd.DataFrame(
    ...     [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
    ...      ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)],
    ...     columns=["user", "item", "count"],
    ... )
    >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    >>> new = pd.DataFrame({"user": ["dan", "eve"], "item": ["Kashmir", "Clocks"]})
    >>> recommender.recommend(new, k=1)[["user", "item", "rank", "by_popularity"]]
      user      item  rank  by_popularity
    0  dan  Hey Jude     1          False
    1  eve   Kashmir     1          False
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all steps; the last one learns the names of the items as well.

        Parameters
        ----------
        X : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Interactions, as for `IdMapper.fit`.
        y : None
            Ignored.
        **params : dict
            Of the steps' `fit`, as in scikit-learn's pipeline: `name__parameter`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the first step is not an IdMapper or the last one does not recommend.
        ValueError
            If a step in between does not keep the items, and as the steps do. All steps are then
            as before.
        """
        steps = working_steps(self.steps)
        check_steps(steps)
        with ExitStack() as all_unchanged:
            for step in steps:
                all_unchanged.enter_context(unchanged_on_error(step))
            super().fit(X, y, **params)
            name_items(self[0], self[-1])
        return self

    def recommend(
        self,
        interactions: Any,
        k: int = 100,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        exclude: Any = None,
        no_history: str = "popularity",
        verbose: int = 0,
    ) -> Any:
        """Return the `k` best items of each user in the interactions.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            What each user has met so far.
        k : int, default=100
            Items a user.
        exclude_seen : bool, default=True
            Leave out the items that the user has in `interactions`.
        candidates : list of ids, dict of user to list of ids, or frame, default=None
            The only items to recommend, to everyone or to each user; a frame has a row for each
            user and item. Users who are not in the dict or frame have none.
        exclude : list of ids, dict of user to list of ids, or frame, default=None
            Items not to recommend, in the same forms: an earlier answer, for one.
        no_history : {"popularity", "omit"}, default="popularity"
            What users get who have no item that the model knows: the items with most users in
            `fit`, or no rows.
        verbose : int, default=0
            1 shows a progress bar.

        Returns
        -------
        recommendations : DataFrame
            Users in order of first appearance, best items first, in the columns

            - user and item, named as in IdMapper;
            - score, and rank from 1 on;
            - by_popularity: whether the user has no known item. The score is then the item's number
              of users in `fit`.

            Users with fewer than `k` items left to offer have fewer rows.
        """
        check_is_fitted(self)
        k = check_integer("k", k, low=1)
        check_choice("no_history", no_history, ("popularity", "omit"))
        X, users = self._read(interactions)
        lists = self._lists(users, candidates=candidates, exclude=exclude)
        known = np.diff(X.indptr) > 0
        shape = (len(users), k)
        items, scores = np.full(shape, -1, np.int64), np.full(shape, np.nan)
        if known.any():
            items[known], scores[known] = self[-1].recommend(
                X[known],
                k,
                exclude_seen=exclude_seen,
                **{name: _rows(given, known) for name, given in lists.items()},
                return_scores=True,
                verbose=verbose,
            )
        if no_history == "popularity" and not known.all():
            nobody = X[~known]
            offer = make_offer(nobody, True, *(_rows(given, ~known) for given in lists.values()))
            popular = popular_items(self[-1].item_counts_, nobody.shape[0], k, offer)
            items[~known], scores[~known] = popular
        row, place = np.nonzero(items >= 0)
        columns = {"score": scores[row, place], "rank": place + 1, "by_popularity": ~known[row]}
        return self._frame(interactions, users[row], items[row, place], columns)

    def similar_items(
        self, items: Iterable[Any], k: int = 10, *, candidates: Any = None, exclude: Any = None
    ) -> Any:
        """Return the `k` items that each of the items speaks for most.

        Parameters
        ----------
        items : sequence of raw ids
            Items that `fit` saw.
        k : int, default=10
            Items each.
        candidates, exclude : list of ids, default=None
            The only ones to return, and ones not to return.

        Returns
        -------
        similar : DataFrame
            Of the kind of `items`, if that is a Series, else of pandas. Its columns are the item,
            named as in IdMapper; similar, the other item; score, its weight; and rank from 1 on.

        Raises
        ------
        ValueError
            If `fit` did not see one of the items.
        """
        check_is_fitted(self)
        asked = known_items(self[0], items)
        lists = self._lists(self[0].items_[asked], candidates=candidates, exclude=exclude)
        found, scores = self[-1].similar_items(asked, k, **lists, return_scores=True)
        row, place = np.nonzero(found >= 0)
        columns = {
            "similar": self[0].items_[found[row, place]],
            "score": scores[row, place],
            "rank": place + 1,
        }
        return frame_like(items, {self[0].item: self[0].items_[asked[row]]}, columns)

    def explain(self, interactions: Any, items: Any, k: int = 5) -> Any:
        """Return which of their own items speak most for items recommended to users.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            What each user has met so far, as for `recommend`.
        items : frame or sequence of raw ids
            What to explain: a frame with a row for each user and item, as `recommend` returns it,
            or items to explain to each user in `interactions`.
        k : int, default=5
            Reasons each.

        Returns
        -------
        reasons : DataFrame
            For each user and item to explain, in their order, the columns user and item, named as
            in IdMapper; reason, an item of the user; contribution, what it adds to the score; and
            rank from 1 on, by falling contribution. With `k` no less than a user has items, the
            contributions add up to the score. A user who has no known item has no rows.

        Raises
        ------
        ValueError
            If a user is not in `interactions`, or `fit` did not see an item.
        """
        check_is_fitted(self)
        X, users = self._read(interactions)
        if is_frame(items):
            wanted_users, wanted_items = pairs_in(items, self[0].user, self[0].item)
            rows, targets = known_users(users, wanted_users), known_items(self[0], wanted_items)
        else:
            targets = known_items(self[0], items)
            rows = np.repeat(np.arange(len(users)), len(targets))
            targets = np.tile(targets, len(users))
        reasons, contributions = self[-1].explain(X[rows], targets, k)
        pair, place = np.nonzero(reasons >= 0)
        columns = {
            "reason": self[0].items_[reasons[pair, place]],
            "contribution": contributions[pair, place],
            "rank": place + 1,
        }
        return self._frame(interactions, users[rows[pair]], targets[pair], columns)

    def _read(self, interactions: Any) -> tuple[sp.csr_array[Any], Array]:
        """Return the rows that the last step takes, and whose they are."""
        X, users = self[0]._rows_and_users(interactions)
        for step in working_steps(self.steps)[1:-1]:
            X = step.transform(X)
        return sp.csr_array(X), users

    def _lists(self, users: Array, **given: Any) -> dict[str, Any]:
        return {name: lists_of_items(name, ids, users, self[0]) for name, ids in given.items()}

    def _frame(self, like: Any, users: Array, items: Array, columns: dict[str, Array]) -> Any:
        ids = {self[0].user: users, self[0].item: self[0].items_[items]}
        return frame_like(like, ids, columns)


def make_recommender(
    *steps: Any,
    user: str = "user",
    item: str = "item",
    count: str = "count",
    memory: Any = None,
    verbose: bool = False,
) -> RecommenderPipeline:
    """Build a pipeline that recommends, its steps named as by scikit-learn's `make_pipeline`.

    Parameters
    ----------
    *steps : estimators
        What weights interactions, and last the model. None given means
        `LogCountTransformer(), ShallowAutoEncoder()`. An :class:`~shallow_ae.IdMapper` is put in
        front if the first step is none.
    user, item, count : str, default="user", "item", "count"
        Names of columns, for that IdMapper.
    memory, verbose
        As in scikit-learn's `make_pipeline`.

    Returns
    -------
    recommender : RecommenderPipeline

    Examples
    --------
    >>> from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
    >>> recommender = make_recommender(user="listener", item="song")
    >>> [name for name, _ in recommender.steps]
    ['idmapper', 'logcounttransformer', 'shallowautoencoder']
    """
    chain = steps or (LogCountTransformer(), ShallowAutoEncoder())
    if not isinstance(chain[0], IdMapper):
        chain = (IdMapper(user=user, item=item, count=count), *chain)
    return RecommenderPipeline(make_pipeline(*chain).steps, memory=memory, verbose=verbose)


def _rows(lists: Any, chosen: NDArray[np.bool_]) -> Any:
    """Return lists for the chosen users: those of a matrix, or what everyone shares."""
    return lists[chosen] if isinstance(lists, sp.csr_array) else lists
