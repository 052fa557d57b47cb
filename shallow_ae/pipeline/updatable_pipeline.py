"""UpdatablePipeline: fit, partial_fit, forget and plan of a pipeline with raw ids."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy, deepcopy
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.pipeline import Pipeline

from shallow_ae._runtime.dask_graphs import is_dask_frame
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_boolean
from shallow_ae.data.id_lists import check_ids
from shallow_ae.data.interaction_log import Update, added_to, are_like, are_of_users, taken_from
from shallow_ae.data.mapped_rows import read_columns, read_to_fit
from shallow_ae.data.tables import IndexedInteractions
from shallow_ae.data.user_weights import check_by_user, is_by_user, weights_after, weights_of_users
from shallow_ae.pipeline.column_order import check_column_order
from shallow_ae.pipeline.kept_interactions import (
    KeptInteractions,
    Training,
    fit_transformers,
    kept,
    kept_bytes,
    row_change,
    with_bytes,
)
from shallow_ae.pipeline.steps import check_steps, name_items
from shallow_ae.serving.servable import sparse_results, working_steps


class UpdatablePipeline(Pipeline):
    """A scikit-learn pipeline that can keep the interactions of its fit, to change them later."""

    steps: list[tuple[str, Any]]
    _kept: KeptInteractions

    def __init__(
        self,
        steps: list[tuple[str, Any]],
        *,
        transform_input: Any = None,
        memory: Any = None,
        verbose: bool = False,
        keep_interactions: bool = False,
    ) -> None:
        super().__init__(steps, transform_input=transform_input, memory=memory, verbose=verbose)
        self.keep_interactions = keep_interactions

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all steps to interactions, and give the model the names of the items.

        Copies of the steps are fitted and replace the steps of the pipeline all at once. Calls from
        other threads during the fit use the previous steps.

        Parameters
        ----------
        X : DataFrame, list of tuples, array of shape (n_interactions, 2 or 3) or Dask DataFrame
            Interactions, as for `IdMapper.fit`.
        y : None
            Passed to the steps, which ignore it. May be the windows of a TimeWindowSplit, which
            only scorers read.
        **params : dict
            Parameters of the `fit` methods of the steps, as in scikit-learn's pipeline:
            `name__parameter`. `sample_weight` is passed to the model. It is a pandas Series whose
            index holds user ids, a dict of user to weight, or an array with a weight for each user
            in order of first appearance.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If the first step is not an IdMapper or the last step is not a recommender. Also if a
            Dask DataFrame is passed and `keep_interactions` is set.
        ValueError
            If an intermediate step changes the number or the order of the items, or if a step
            raises it. The pipeline is then unchanged.
        KeyboardInterrupt
            If interrupted from the keyboard. If the model is fitted by gradient descent, the
            pipeline then keeps the weights trained so far; otherwise it is unchanged.
        """
        check_steps(self.steps[0][1], self.steps[-1][1])
        check_boolean("keep_interactions", self.keep_interactions)
        columns, params = self._read_weights(X, params)
        trial = self._copied()
        before = vars(trial[-1]).get("_fitted")
        try:
            with sparse_results():
                Pipeline.fit(trial, X if columns is None else columns, y, **params)
        except KeyboardInterrupt:
            if vars(trial[-1]).get("_fitted") is not before:  # keep the weights trained so far
                self._take_over(trial, columns, params)
            raise
        self._take_over(trial, columns, params)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from further interactions of new users, known users and new items.

        The interactions are added to the kept interactions: the counts of known users grow, and new
        items become columns. The result equals a `fit` to all interactions so far, to the bounds
        that the `partial_fit` of the model states. By gradient descent, it is one pass over the
        rows of the users in `X`, with all their interactions so far.

        The steps between IdMapper and the model are fitted to all interactions. An exact model that
        keeps the Gram matrix then exchanges the rows that have changed. All other models, except by
        gradient descent, are fitted again.

        Parameters
        ----------
        X : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Further interactions, as for `fit`.
        y : None
            Ignored.
        sample_weight : Series, dict of user to weight or array, default=None
            A weight for each user in `X`; an array is in order of first appearance. None means 1
            for new users, and no change for known users. Users who are not in `X` keep their
            weight.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If the pipeline keeps no interactions, and as in `fit`. Also if `early_stopping` is set
            with gradient descent. The pipeline is then unchanged.

        Notes
        -----
        The time grows with the number of kept interactions, even if an update has few.

        Other threads may call all methods but `fit`, `partial_fit` and `forget` during an update.
        Of two updates at the same time, one is lost.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> model = ShallowAutoEncoder(solver="exact")
        >>> recommender = make_recommender(model, keep_interactions=True)
        >>> recommender = recommender.fit([("ann", "Hey Jude"), ("ann", "Kashmir")])
        >>> recommender = recommender.partial_fit([("bob", "Kashmir"), ("bob", "Clocks")])
        >>> recommender.recommend(users=["ann"])["item"].tolist()
        ['Clocks']
        """
        self._check_keeps()
        if not hasattr(self, "_kept") and not self.__sklearn_is_fitted__():
            params = {} if sample_weight is None else {"sample_weight": sample_weight}
            return self.fit(X, y, **params)
        at = copy(self)  # keeps the steps of one fit if another fit ends during this call
        added = read_to_fit(at[0], _in_memory(X))
        if is_by_user(sample_weight):
            check_by_user(sample_weight, len(added.users), len(added.user_ids))
        update = added_to(at._interactions(), added)
        weights = weights_after(update, at._kept.sample_weight, sample_weight, added.user_ids)
        return self._updated(at, update, weights)

    def forget(self, X: Any = None, *, users: Iterable[Any] | None = None) -> Self:
        """Take back users with everything that is kept of them, or single interactions.

        The result equals a `fit` to the remaining interactions, to the bounds that the `forget` of
        the model states. The ids of users without interactions are erased, and so are items that
        nobody has any more. A model by gradient descent is fitted again.

        Parameters
        ----------
        X : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3), default=None
            Interactions, with the same values as in `fit` or `partial_fit`. Each takes back one
            interaction that equals it.
        users : sequence of raw ids, default=None
            Users whose interactions are all taken back. Pass either `X` or `users`.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If the pipeline keeps no interactions, a user or an interaction is not among them, or
            none would remain. The pipeline is then unchanged.
        TypeError
            If `users` is not a list of ids.

        Examples
        --------
        >>> from shallow_ae import ShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude", 3), ("ann", "Kashmir", 1), ("bob", "Kashmir", 5)]
        >>> model = ShallowAutoEncoder(solver="exact")
        >>> recommender = make_recommender(model, keep_interactions=True).fit(listens)
        >>> recommender.forget(users=["bob"])[0].users_
        array(['ann'], dtype=object)
        >>> recommender.forget([("ann", "Hey Jude", 3)])[0].items_
        array(['Kashmir'], dtype=object)
        """
        if (X is None) == (users is None):
            raise ValueError("Pass either interactions or `users` to forget, not both or neither.")
        self._check_keeps()
        at = copy(self)
        before = at._interactions()
        if users is not None:
            asked = check_ids("users", users, "users' ids")
            gone = are_of_users(before, asked, at[0].user_index(asked, unknown="ignore"))
        else:
            gone = are_like(before, read_columns(at[0], _in_memory(X)))
        update = taken_from(before, gone)
        return self._updated(at, update, weights_after(update, at._kept.sample_weight))

    def _updated(self, at: Self, update: Update, weights: Array | None) -> Self:
        """Take over the state `at` the beginning of an update, after this update."""
        trial = at._copied()
        change = row_change(
            Training(working_steps(at.steps), at._interactions(), at._kept.sample_weight),
            Training(working_steps(trial.steps), update.columns, weights),
            update,
            at._kept.n_log_steps,
        )
        try:
            trial[-1]._relearn(change)
        except KeyboardInterrupt as interrupt:  # of a fit, whose message is about the model
            raise KeyboardInterrupt("The pipeline is unchanged.") from interrupt
        self._take_over(trial, update.columns, {"sample_weight": weights})
        return self

    def _copied(self) -> Self:
        """Return a copy whose steps can be fitted without a change of the steps of this one."""
        trial = copy(self)
        first, *between, last = self.steps
        # A step in between may hold other estimators, which its fit would change.
        middle = [(name, deepcopy(step)) for name, step in between]
        trial.steps = [(first[0], copy(first[1])), *middle, (last[0], copy(last[1]))]
        return trial

    def _take_over(
        self, trial: Self, columns: IndexedInteractions | None, params: dict[str, Any]
    ) -> None:
        """Take the fitted steps and the kept interactions of a copy, in one assignment."""
        name_items(trial[0], trial[-1])
        check_column_order(working_steps(trial.steps))
        trial.__dict__.pop("_kept", None)
        if self.keep_interactions and columns is not None:
            weights = params.get("sample_weight", params.get(self._weight_name))
            own = None if weights is None else np.array(weights, np.float64)
            trial._kept = kept(columns, own, working_steps(trial.steps))
        self.__dict__ = trial.__dict__

    @property
    def _weight_name(self) -> str:
        return f"{self.steps[-1][0]}__sample_weight"

    def _read_weights(
        self, X: Any, params: dict[str, Any]
    ) -> tuple[IndexedInteractions | None, dict[str, Any]]:
        """Return the interactions if they are read before the fit, and weights as arrays."""
        if "sample_weight" in params and not get_config()["enable_metadata_routing"]:
            params = dict(params)
            params[self._weight_name] = params.pop("sample_weight")
        by_user = [name for name, own in params.items() if is_by_user(own)]
        by_user = [name for name in by_user if name.endswith("sample_weight")]
        if not self.keep_interactions and not by_user:
            return None, params
        columns = read_to_fit(self.steps[0][1], _in_memory(X))
        for name in by_user:
            check_by_user(params[name], len(columns.users), len(columns.user_ids))
        weights = {name: weights_of_users(params[name], columns.user_ids) for name in by_user}
        return columns, params | weights

    def _check_keeps(self) -> None:
        if not self.keep_interactions:
            raise ValueError(
                "This pipeline keeps no interactions, which `partial_fit`, `forget` and "
                "`recommend(users=...)` need: set `keep_interactions`=True before `fit`."
            )

    def _interactions(self) -> IndexedInteractions:
        """Return the kept interactions."""
        if not hasattr(self, "_kept"):
            self._check_keeps()
            raise ValueError(
                "This pipeline holds no interactions: it was fitted before `keep_interactions` was "
                "set, or loaded from a file without them (save it with `keep='all'`). Call `fit`."
            )
        return self._kept.columns(self[0])

    def plan(self, X: Any) -> Any:
        """Estimate the memory and time of a fit to `X`, without fitting the model.

        Parameters
        ----------
        X : DataFrame, list of tuples or array of shape (n_interactions, 2 or 3)
            Interactions, as for `fit`.

        Returns
        -------
        costs : named tuple or dict of named tuples
            The result of the model's `plan`, for the output of the steps before it. `bytes` and
            `kept_bytes` include the interactions that `keep_interactions` keeps.

        Raises
        ------
        AttributeError
            If the model has no `plan`, such as PopularityRecommender.

        Examples
        --------
        >>> from shallow_ae import SparseShallowAutoEncoder, make_recommender
        >>> listens = [("ann", "Hey Jude"), ("ann", "Kashmir"), ("bob", "Kashmir")]
        >>> forgetful = make_recommender(SparseShallowAutoEncoder())
        >>> recommender = make_recommender(SparseShallowAutoEncoder(), keep_interactions=True)
        >>> recommender.plan(listens).kept_bytes - forgetful.plan(listens).kept_bytes
        48
        """
        check_steps(self.steps[0][1], self.steps[-1][1])
        check_boolean("keep_interactions", self.keep_interactions)
        columns = read_columns(self.steps[0][1], _in_memory(X))
        steps = working_steps(self._copied().steps)
        rows = fit_transformers(steps, columns)
        beside = kept_bytes(columns) if self.keep_interactions else 0
        return with_bytes(steps[-1].plan(rows), beside)


def _in_memory(interactions: Any) -> Any:
    """Return the interactions; raise a TypeError for a Dask DataFrame."""
    if is_dask_frame(interactions):
        raise TypeError(
            "Kept interactions, `partial_fit`, `forget`, `plan` and weights by user need "
            "interactions in memory, got a Dask DataFrame. Call its `compute()`. For `fit` alone, "
            "`keep_interactions`=False and weights without user ids are enough."
        )
    return interactions
