"""make_ranking_scorer: a scorer for scikit-learn's searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import scipy.sparse as sp
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from shallow_ae.data.ids import IdMapper
from shallow_ae.data.matrices import aligned_by_name, canonical
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.pipeline.answers import score_interactions
from shallow_ae.serving.servable import working_steps


class RankingScorer(HoldoutProtocol):
    """A scikit-learn scorer of recommendations, as `make_ranking_scorer` returns it.

    Parameters
    ----------
    metric, k, holdout, random_state
        As for :func:`~shallow_ae.make_ranking_scorer`.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoder, make_ranking_scorer
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
    >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
    >>> scorer = make_ranking_scorer("recall", k=1)
    >>> held_out = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]])
    >>> scorer(model, X, held_out)
    1.0
    """

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Return the score of an estimator's recommendations against held-out items.

        Parameters
        ----------
        estimator : fitted estimator
            A recommender of this library, or a pipeline or search that ends in one.
        X : matrix of shape (n_users, n_items), or interactions if the first step is an IdMapper
            Interactions from which to recommend.
        y : held-out items, default=None
            See `make_ranking_scorer`.

        Returns
        -------
        score : float
            Greater is better.
        """
        self.check()
        steps = _steps_of(estimator)
        if not isinstance(steps[-1], RecommenderMixin):
            raise TypeError(
                f"Expected a recommender of this library, or a pipeline or search that ends in "
                f"one, got {steps[-1]!r}."
            )
        if isinstance(steps[0], IdMapper):
            return score_interactions(steps, X, y, self)
        X, y = (aligned_by_name(steps[0], given) for given in (X, y))
        names = list(X.columns) if isinstance(X, pd.DataFrame) else None
        if sp.issparse(X):
            X = canonical(X)  # validates the indices, which scikit-learn does not
        checked = check_array(X, accept_sparse="csr", input_name="X")
        visible, hidden = self.split(checked, y)
        # If X has column names, the steps receive them, as in `fit`.
        rows: Any = visible if names is None else pd.DataFrame(visible.toarray(), columns=names)
        for step in steps[:-1]:
            rows = step.transform(rows)
        items: Any = steps[-1].recommend(rows, self.k, exclude=visible)
        return self.measure(hidden, items)


def _steps_of(estimator: Any) -> list[Any]:
    """Return the steps of an estimator. Nested pipelines and fitted searches are expanded."""
    if isinstance(estimator, Pipeline):
        return [own for step in working_steps(estimator.steps) for own in _steps_of(step)]
    if not isinstance(estimator, RecommenderMixin) and hasattr(estimator, "best_estimator_"):
        return _steps_of(estimator.best_estimator_)
    return [estimator]


def make_ranking_scorer(
    metric: str | Callable[..., float] = "ndcg",
    *,
    k: int = 100,
    holdout: float = 0.2,
    random_state: Any = 0,
) -> RankingScorer:
    """Return a scorer that holds out items and compares recommendations with them.

    The scorer is valid for every `scoring` argument of scikit-learn: `GridSearchCV`,
    `HalvingGridSearchCV`, `cross_validate`, alone or in a dict of several scorers. The users of a
    test fold are not in the training data of the model. The scorer holds out some of their items
    before the first step of the estimator receives the other items.

    - If `X` is a matrix, a row is a user. Use any splitter.
    - If `X` is a frame, a row is an interaction. Use `GroupKFold` with `groups=frame["user"]`, so
      that all interactions of a user are in the same fold. To predict later interactions from
      earlier ones, use :class:`~shallow_ae.TimeWindowSplit`.

    Parameters
    ----------
    metric : str or callable, default="ndcg"
        A metric name of :func:`shallow_ae.evaluate`, or a function `metric(y_true, y_rec, k=k)`,
        where `y_true` is a sparse matrix of held-out items and `y_rec` an array of recommended
        items.
    k : int, default=100
        Cutoff: the number of items recommended to each user.
    holdout : float or int, default=0.2
        How many of each user's items to hold out, as for :func:`shallow_ae.hold_out_items`.
    random_state : int, RandomState instance or None, default=0
        Determines the held-out items. With an int, all candidates of a search are scored on the
        same held-out items.

    Returns
    -------
    scorer : callable `scorer(estimator, X, y=None)`
        Greater is better. If `y` is given, it replaces the random hold-out. For a matrix `X`, `y`
        is a matrix of held-out items with the same shape; a one-dimensional `y`, which is the
        target of other estimators, is ignored. For interactions, `y` is further interactions, a
        dict of user to ids, an array of bool that is True for the held-out rows of `X`, or the
        result of :meth:`TimeWindowSplit.windows_of <shallow_ae.TimeWindowSplit.windows_of>`, which
        holds out the new items of the last window; only the last two can be split into folds by a
        search. `cross_val_score` and `cross_validate` refuse a sparse `y`; searches accept it.
        Items that a user has in both `X` and `y` count as misses, because seen items are not
        recommended.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from shallow_ae import ShallowAutoEncoder, make_ranking_scorer
    >>> X = np.random.default_rng(0).poisson(0.5, (60, 12))
    >>> scorer = make_ranking_scorer("recall", k=5)
    >>> cross_val_score(ShallowAutoEncoder(solver="exact"), X, scoring=scorer, cv=3).shape
    (3,)
    """
    scorer = RankingScorer(metric, k, holdout, random_state)
    scorer.check()
    return scorer
