"""RecommenderPipeline: raw ids in, raw ids out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from shallow_ae._runtime.dask_graphs import is_dask_frame
from shallow_ae._runtime.folders import check_folder
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_boolean, check_choice, check_integer
from shallow_ae.data.id_index import index_of
from shallow_ae.data.id_lists import check_ids, known_items, known_users, lists_of_items
from shallow_ae.data.interaction_log import of_users
from shallow_ae.data.log_counts import log_counts
from shallow_ae.data.mapped_rows import read_columns
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.data.tables import IndexedInteractions, frame_like, is_frame, pairs_in
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.pipeline.answers import (
    Rows,
    read,
    reasons_of_pairs,
    recommended,
    score_interactions,
    table_of_weights,
)
from shallow_ae.pipeline.batches import (
    check_can_write,
    recommended_frames,
    request_of,
    write_folder,
)
from shallow_ae.pipeline.kept_interactions import of_known_items
from shallow_ae.pipeline.partitions import recommend_partitions
from shallow_ae.pipeline.updatable_pipeline import UpdatablePipeline
from shallow_ae.serving.servable import Servable, working_steps


class RecommenderPipeline(UpdatablePipeline):
    """A scikit-learn pipeline from interactions with raw ids to recommendations with raw ids.

    The first step is an :class:`~shallow_ae.IdMapper`, the last step is a recommender, and the
    steps between them weight the interactions. The class is a subclass of
    :class:`~sklearn.pipeline.Pipeline`. :func:`~shallow_ae.make_recommender` builds an instance.

    Interactions have any form that IdMapper reads. Results are DataFrames of the same kind (polars
    for polars, pandas for lists, arrays and kept interactions); their user and item columns are
    named as in IdMapper.
    Users need not have been in `fit`: their recommendations are computed from the interactions that
    are passed. Items that `fit` did not see are left out, and a warning counts them.

    With a Dask DataFrame, Dask's workers fit the model and compute the recommendations. There is
    then no warning for unknown items.

    Parameters
    ----------
    steps : list of (name, estimator)
        The steps in order.
    transform_input, memory, verbose
        As in scikit-learn's pipeline.
    keep_interactions : bool, default=False
        Keep the interactions of `fit`, so that `partial_fit` and `forget` can change them, and
        `recommend` can be asked for users by their ids. An interaction takes 16 bytes, 24 bytes
        with a time; `plan` counts them.

    See Also
    --------
    make_recommender : Builds a pipeline from a model and optional transformers.
    shallow_ae.serving.ServingRecommender : Recommendations for single requests.

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

    def recommend(
        self,
        interactions: Any = None,
        k: int = 100,
        *,
        users: Iterable[Any] | None = None,
        exclude_seen: bool = True,
        candidates: Any = None,
        exclude: Any = None,
        no_history: str = "popularity",
        verbose: int = 0,
    ) -> Any:
        """Return the `k` best items of each user in the interactions.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray or Dask DataFrame, default=None
            Interactions of each user so far. An array has shape (n_interactions, 2 or 3). None
            means the interactions that the pipeline keeps, if `keep_interactions` is set.
        k : int, default=100
            Number of items for each user.
        users : sequence of raw ids, default=None
            The users to recommend for. A user without interactions has no history; see
            `no_history`. None means all users in the interactions.
        exclude_seen : bool, default=True
            Leave out the items that the user has seen: items with a count above 0 in
            `interactions`.
        candidates : list of ids, dict of user to list of ids, or frame, default=None
            The only items to recommend: one list for all users, or items for each user. A frame has
            a row for each user and item. Users who are missing from the dict or frame have no
            candidates.
        exclude : list of ids, dict of user to list of ids, or frame, default=None
            Items not to recommend, in the same forms. For example, the result of an earlier call.
        no_history : {"popularity", "omit"}, default="popularity"
            Recommendations for users without any known item, and for users whose row is empty
            after the intermediate steps: "popularity" recommends the items with the most users in
            `fit`, "omit" returns no rows.
        verbose : int, default=0
            1 shows a progress bar. Not for Dask DataFrames, whose progress Dask shows.

        Returns
        -------
        recommendations : DataFrame
            Users in order of first appearance, or in the order of `users`, and for each user the
            best items first. The columns are user and item, named as in IdMapper; score; rank, from
            1; and by_popularity, which is True for users without any known item. Their score is the
            item's number of users in `fit`, or the sum of the users' sample weights. Users with
            fewer than `k` candidates have fewer rows. For a Dask DataFrame, a Dask DataFrame with
            the users in the order of Dask's shuffle, computed when it is written.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, or an interaction has a missing id or a bad count.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> recommender.recommend([("dan", "Kashmir")], k=1)[["user", "item", "rank"]]
          user      item  rank
        0  dan  Hey Jude     1
        """
        check_is_fitted(self)
        k = check_integer("k", k, low=1)
        check_choice("no_history", no_history, ("popularity", "omit"))
        at = copy(self)  # keeps the steps of one fit if another fit ends during this call
        if is_dask_frame(interactions):
            if users is not None:
                raise TypeError("`users` are chosen among interactions in memory, got a Dask one.")
            return recommend_partitions(
                working_steps(at.steps),
                interactions,
                k,
                exclude_seen=exclude_seen,
                lists={"candidates": candidates, "exclude": exclude},
                no_history=no_history,
            )
        like = interactions
        asked = at._or_kept(interactions)
        if users is not None:
            like = users if interactions is None else interactions
            asked = at._asked(asked, index_of(check_ids("users", users, "users' ids")).unique())
        rows = at._read(asked)
        ids, columns = recommended(
            working_steps(at.steps),
            rows,
            k,
            at._lists(rows.users, candidates=candidates, exclude=exclude),
            exclude_seen=exclude_seen,
            popular=no_history == "popularity",
            verbose=verbose,
        )
        return frame_like(like, ids, columns)

    def recommend_batches(
        self,
        interactions: Any = None,
        k: int = 100,
        *,
        batch_size: int = 10_000,
        exclude_seen: bool = True,
        candidates: Any = None,
        exclude: Any = None,
        no_history: str = "popularity",
        verbose: int = 0,
    ) -> Iterator[Any]:
        """Return an iterator of the recommendations for `batch_size` users at a time.

        The frames, concatenated, equal the result of `recommend` for all users.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray, path or DuckDB relation
            Interactions of each user so far. An array has shape (n_interactions, 2 or 3). A path
            names a Parquet file, or a folder whose Parquet files are read, including files in
            subfolders; names that start with "." or "_" are skipped. A relation is the result of
            `duckdb.sql`. A user's rows may lie anywhere in the files. Text files, as in IdMapper,
            are read into memory as frames are. The columns of files and relations are named as in
            IdMapper. None means the interactions that the pipeline keeps.
        k : int, default=100
            Number of items for each user.
        batch_size : int, default=10_000
            Number of users in a frame. The last frame may have fewer.
        exclude_seen, candidates, exclude, no_history
            As for `recommend`.
        verbose : int, default=0
            1 shows a progress bar. For a path or relation, the users are first counted for the bar.

        Returns
        -------
        frames : iterator of DataFrame
            Each frame has all rows of its users, with the columns of the result of `recommend`.
            Users are in order of first appearance; the users of a path or relation are in ascending
            order. The frames are made with the library of `interactions` if that is a DataFrame,
            else with pandas. A frame is empty if no user of its batch has recommendations.

        Raises
        ------
        FileNotFoundError
            If there is nothing at the path, or a folder without Parquet files.
        ImportError
            If a path or relation is passed, and the packages of the extra `parquet` are not
            installed.
        ValueError, TypeError
            If an argument is out of range, a column or an id is missing, or a count is not a
            finite number >= 0. This call checks the arguments and the columns. The iterator checks
            all interactions of a path or relation before it returns the first frame.

        Notes
        -----
        For a path or relation, this process holds the interactions of `batch_size` users at a time.
        DuckDB sorts the interactions by user with at most half a GiB of memory, and with temporary
        files that take about as much space as the interactions. The environment variable `TMPDIR`
        names the folder of these files. A relation is computed once, for the first frame. Each
        frame has at most `k * batch_size` rows.

        A warning counts the interactions with items that `fit` did not see. For a path or relation,
        it is issued after the last frame, else by this call.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude"), ("ann", "Kashmir"), ("bob", "Kashmir"),
        ...            ("bob", "Clocks"), ("cleo", "Clocks")]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> for frame in recommender.recommend_batches(listens, k=1, batch_size=2):
        ...     print(frame[["user", "item", "rank"]])
          user      item  rank
        0  ann    Clocks     1
        1  bob  Hey Jude     1
           user     item  rank
        0  cleo  Kashmir     1
        """
        check_is_fitted(self)
        at = copy(self)
        steps, lists = working_steps(at.steps), {"candidates": candidates, "exclude": exclude}
        request = request_of(steps, k, batch_size, exclude_seen, lists, no_history, verbose)
        return recommended_frames(steps, at._or_kept(interactions), request)

    def write_recommendations(
        self,
        interactions: Any,
        path: str | PathLike[str],
        k: int = 100,
        *,
        overwrite: bool = False,
        batch_size: int = 10_000,
        exclude_seen: bool = True,
        candidates: Any = None,
        exclude: Any = None,
        no_history: str = "popularity",
        verbose: int = 0,
    ) -> Path:
        """Write the recommendations for all users to a folder of Parquet files.

        Parameters
        ----------
        interactions : DataFrame, list of tuples, ndarray, path or DuckDB relation
            Interactions of each user so far, as for `recommend_batches`.
        path : path
            The folder to write. The files are written to a temporary folder beside it, which is
            renamed at the end. After an error or an interrupt, `path` is as it was before the call.
        k : int, default=100
            Number of items for each user.
        overwrite : bool, default=False
            Replace an existing folder and delete all files in it. If False, only an empty folder is
            replaced.
        batch_size : int, default=10_000
            Number of users in a file.
        exclude_seen, candidates, exclude, no_history, verbose
            As for `recommend_batches`.

        Returns
        -------
        path : Path
            The folder, as an absolute path. Its files are `part-00000.parquet` and so on, each with
            the rows of one frame of `recommend_batches`, and with the same column types. User and
            item have the types of `interactions` and of the items in `fit`.

        Raises
        ------
        FileExistsError
            If there is a file at `path`, or a folder that is not empty and `overwrite` is False.
        FileNotFoundError
            If `path` is to lie in a folder that does not exist, and as in `recommend_batches`.
        ImportError
            If the packages of the extra `parquet` are not installed. A DataFrame needs only
            pyarrow.
        TypeError
            If ids are of several types, such as strings and integers.
        ValueError
            If `path` lies in the folder of the interactions, or holds them, and as in
            `recommend_batches`.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import pandas as pd
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> listens = pd.DataFrame({"user": [7, 7, 8, 8, 9], "item": ["a", "b", "b", "c", "c"]})
        >>> listens.to_parquet(folder / "listens.parquet")
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> written = recommender.write_recommendations(
        ...     folder / "listens.parquet", folder / "recommendations", k=1
        ... )
        >>> pd.read_parquet(written)[["user", "item", "rank"]]
           user item  rank
        0     7    c     1
        1     8    a     1
        2     9    b     1
        """
        check_boolean("overwrite", overwrite)
        check_can_write()
        check_folder(Path(path).resolve(), overwrite=overwrite)
        check_is_fitted(self)
        at = copy(self)
        steps, lists = working_steps(at.steps), {"candidates": candidates, "exclude": exclude}
        request = request_of(steps, k, batch_size, exclude_seen, lists, no_history, verbose)
        asked = at._or_kept(interactions)
        return write_folder(steps, asked, request, path, overwrite=overwrite)

    def similar_items(
        self, items: Iterable[Any], k: int = 10, *, candidates: Any = None, exclude: Any = None
    ) -> Any:
        """Return, for each given item, the `k` items with the largest weights.

        Parameters
        ----------
        items : sequence of raw ids
            Items that `fit` saw.
        k : int, default=10
            Number of similar items for each given item.
        candidates, exclude : list of ids, default=None
            The only items to return, and items not to return.

        Returns
        -------
        similar : DataFrame
            DataFrame of the library of `items` if `items` is a Series, else a pandas DataFrame. The
            columns are the given item, named as in IdMapper; similar, the similar item; score, the
            weight between the two items; and rank, from 1.

        Raises
        ------
        ValueError
            If `fit` did not see one of the items.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> recommender.similar_items(["Kashmir"], k=1)[["item", "similar", "rank"]]
              item   similar  rank
        0  Kashmir  Hey Jude     1
        """
        check_is_fitted(self)
        at = copy(self)
        mapper = at[0]
        asked = known_items(mapper, items)
        lists = at._lists(mapper.items_[asked], candidates=candidates, exclude=exclude)
        found, scores = at[-1].similar_items(asked, k, **lists, return_scores=True)
        row, place = np.nonzero(found >= 0)
        columns = {
            "similar": mapper.items_[found[row, place]],
            "score": scores[row, place],
            "rank": place + 1,
        }
        return frame_like(items, {mapper.item: mapper.items_[asked[row]]}, columns)

    def explain(self, interactions: Any, items: Any, k: int = 5) -> Any:
        """Return the items of a user that contribute most to the scores of recommended items.

        Parameters
        ----------
        interactions : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Interactions of each user so far, as for `recommend`. None means the interactions that
            the pipeline keeps.
        items : frame or sequence of raw ids
            Items whose scores are explained: a frame with a row for each user and item, as
            `recommend` returns it, or a list of items that is explained for every user in
            `interactions`.
        k : int, default=5
            Number of contributions for each user and explained item.

        Returns
        -------
        reasons : DataFrame
            Rows for each user and explained item, in the order of `items`. The columns are user and
            item, named as in IdMapper; reason, an item of the user; contribution, the amount that
            the reason adds to the score; and rank, from 1 by descending contribution. If `k` is at
            least the number of a user's items, the contributions sum to the score. Users without
            any known item have no rows.

        Raises
        ------
        ValueError
            If a user is not in `interactions`, or `fit` did not see an item.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> reasons = recommender.explain([("dan", "Kashmir"), ("dan", "Clocks")], ["Hey Jude"])
        >>> reasons[["user", "item", "reason", "rank"]]
          user      item   reason  rank
        0  dan  Hey Jude  Kashmir     1
        1  dan  Hey Jude   Clocks     2
        """
        check_is_fitted(self)
        at = copy(self)
        mapper = at[0]
        asked = at._or_kept(interactions)
        if interactions is None and is_frame(items):
            named = index_of(pairs_in(items, mapper.user, mapper.item)[0]).unique()
            known = mapper.user_index(named, unknown="ignore") >= 0
            asked = at._asked(asked, named[known])
        _, X, users = at._read(asked)
        if is_frame(items):
            wanted_users, wanted_items = pairs_in(items, mapper.user, mapper.item)
            rows, targets = known_users(users, wanted_users), known_items(mapper, wanted_items)
        else:
            targets = known_items(mapper, items)
            rows = np.repeat(np.arange(len(users)), len(targets))
            targets = np.tile(targets, len(users))
        k = min(check_integer("k", k, low=1), int(np.diff(X.indptr).max(initial=1)))
        pairs, reasons, contributions, ranks = reasons_of_pairs(at[-1], X, rows, targets, k)
        columns = {"reason": mapper.items_[reasons], "contribution": contributions, "rank": ranks}
        return at._frame(interactions, users[rows[pairs]], targets[pairs], columns)

    def largest_weights(self, n_neighbors: int | None = 100) -> pd.DataFrame:
        """Return the largest weights of each scored item as a table, for serving from a database.

        The score of an item for a user is the sum, over the user's items, of the value of the item
        in the input of the model times the weight from that item to the scored item. The table
        leads to the same scores as :meth:`ShallowAutoEncoder.sparsify`.

        Parameters
        ----------
        n_neighbors : int or None, default=100
            Number of weights to keep for each scored item: the largest by absolute value, ties by
            the order of IdMapper's `items_`. None keeps all nonzero weights.

        Returns
        -------
        weights : pandas.DataFrame
            A row for each weight. The columns are the item that a user has seen, named as in
            IdMapper; similar, the item that is scored; and weight, in float32. Pairs of items
            without a row have the weight 0. Rows are in the order of IdMapper's `items_`, by seen
            item and then by scored item.

        Raises
        ------
        MemoryError
            If the weights do not fit in the free memory. The message names a number that fits.
        AttributeError
            If the scores, or a part of a sum of scores, come from popularity.
        ValueError
            If the item column is named "similar" or "weight" in IdMapper.

        Notes
        -----
        The weights are multiplied by the output of the steps before the model, not by the counts.
        With :class:`~shallow_ae.LogCountTransformer`, a program that reads the table must first add
        up a user's counts of an item, and replace the sum by 1 + log(1 + sum).

        The method needs the memory of the model's `largest_weights`, or the memory of the table
        plus 20 bytes for each row, whichever is larger.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Help!"), ("ann", "Kashmir"), ("bob", "Help!"), ("bob", "Kashmir"),
        ...            ("bob", "Clocks"), ("cleo", "Help!"), ("cleo", "Yellow")]
        >>> recommender = make_recommender(ShallowAutoEncoder(0.1, solver="exact")).fit(listens)
        >>> recommender.largest_weights(1).round(2)
              item  similar  weight
        0    Help!  Kashmir    0.70
        1    Help!   Yellow    0.65
        2  Kashmir    Help!    0.80
        3  Kashmir   Clocks    0.29
        """
        check_is_fitted(self)
        at = copy(self)
        return table_of_weights(at[0], at[-1].largest_weights(n_neighbors))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean NDCG@100 of the recommendations, for model selection.

        Parameters
        ----------
        X : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Interactions from which to recommend.
        y : interactions, dict of user to list of ids, array of bool or None, default=None
            Held-out interactions. An array of bool is True for the rows of `X` that are held out.
            The result of `TimeWindowSplit.windows_of` holds out the new items of the last window.
            If None, a fifth of each user's items is held out before the first step; the split is
            the same in every call.

        Returns
        -------
        ndcg : float
            NDCG with the ideal list cut at 100, the default of :func:`shallow_ae.ndcg_score`.
            Held-out items that `fit` did not see, or that `X` also contains, count as misses. For
            other metrics, cutoffs and hold-out fractions, use
            :func:`shallow_ae.make_ranking_scorer`.

        Raises
        ------
        ValueError
            If no user has held-out items.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5),
        ...            ("bob", "Hey Jude", 2), ("bob", "Clocks", 1), ("cleo", "Clocks", 2)]
        >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
        >>> recommender.score([("dan", "Kashmir")], [("dan", "Hey Jude")])
        1.0
        """
        check_is_fitted(self)
        return score_interactions(working_steps(self.steps), X, y, HoldoutProtocol())

    def set_output(self, *, transform: str | None = None) -> Self:
        """Return the pipeline unchanged: results are frames, and the steps exchange sparse rows.

        Parameters
        ----------
        transform : str or None
            Ignored, as is scikit-learn's global setting `transform_output`.

        Returns
        -------
        self : object
            This pipeline.

        Examples
        --------
        >>> from shallow_ae import make_recommender
        >>> recommender = make_recommender()
        >>> recommender.set_output(transform="pandas") is recommender
        True
        """
        return self

    def _servable(self) -> Servable:
        """Return the parts of the fitted pipeline that ServingRecommender needs."""
        check_is_fitted(self)
        mapper, *between, model = working_steps(self.steps)
        steps = [log_counts if type(step) is LogCountTransformer else step for step in between]
        form = model._fitted.weights.form
        refuses_unknown = mapper.unknown == "error"
        return Servable(mapper.items_, model.item_counts_, form, steps, refuses_unknown)

    def _or_kept(self, interactions: Any) -> Any:
        """Return the interactions that are passed, or the kept ones."""
        if interactions is not None:
            return interactions
        return of_known_items(self._interactions(), self[0])

    def _asked(self, interactions: Any, users: Any) -> IndexedInteractions:
        """Return the interactions of the given users, which are distinct."""
        columns, mapper = read_columns(self[0], interactions), self[0]
        if columns is interactions:  # the kept interactions, in which the mapper finds users
            codes = mapper.user_index(users, unknown="ignore")
        else:
            codes = index_of(columns.user_ids).get_indexer(users)
        return of_users(columns, codes, users.to_numpy())

    def _read(self, interactions: Any) -> Rows:
        return read(working_steps(self.steps), interactions)

    def _lists(self, users: Array, **given: Any) -> dict[str, Any]:
        return {name: lists_of_items(name, ids, users, self[0]) for name, ids in given.items()}

    def _frame(self, like: Any, users: Array, items: Array, columns: dict[str, Array]) -> Any:
        ids = {self[0].user: users, self[0].item: self[0].items_[items]}
        return frame_like(like, ids, columns)
