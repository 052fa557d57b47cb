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
from shallow_ae.pipeline import score_interactions, working_steps


class RankingScorer(HoldoutProtocol):
    """A scorer of scikit-learn's kind; `make_ranking_scorer` builds one."""

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Return how well the estimator finds hidden items again.

        Parameters
        ----------
        estimator : fitted estimator
            One with `recommend`, or a pipeline that ends in one.
        X : matrix of shape (n_users, n_items), or interactions where the first step maps ids
        y : held-out items, default=None
            See `make_ranking_scorer`.

        Returns
        -------
        score : float
        """
        self.check()
        steps = _steps_of(estimator)
        if not isinstance(steps[-1], RecommenderMixin):
            raise TypeError(f"Expected an estimator that recommends, got {steps[-1]!r}.")
        if isinstance(steps[0], IdMapper):
            return score_interactions(steps, X, y, self)
        X, y = (aligned_by_name(steps[0], given) for given in (X, y))
        names = list(X.columns) if isinstance(X, pd.DataFrame) else None
        if sp.issparse(X):
            X = canonical(X)  # before scikit-learn follows its indices
        visible, hidden = self.split(check_array(X, accept_sparse="csr"), y)
        # Of users x items whose names the steps have seen, they are told them.
        rows: Any = visible if names is None else pd.DataFrame(visible.toarray(), columns=names)
        for step in steps[:-1]:
            rows = step.transform(rows)
        items: Any = steps[-1].recommend(rows, self.k, exclude=visible)
        return self.measure(hidden, items)


def _steps_of(estimator: Any) -> list[Any]:
    """Return the steps of an estimator, those of pipelines and of what a search has found."""
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
    """Return a scorer that hides items and says how well recommendations find them again.

    It goes wherever scikit-learn takes `scoring`: `GridSearchCV`, `HalvingGridSearchCV`,
    `cross_validate`, alone or in a dict of several. The rows of each test fold are users whom the
    model has not seen; some of their items are hidden before the first step of the estimator sees
    the others.

    - On matrices a row is a user, and any splitter will do.
    - On frames a row is an interaction: pass `GroupKFold` and `groups=frame["user"]`, so that a
      user's interactions stay together.

    Parameters
    ----------
    metric : str or callable, default="ndcg"
        A name of :func:`shallow_ae.evaluate`, or a function `metric(y_true, y_rec, k=k)` of a
        sparse matrix of hidden items and an array of recommended ones.
    k : int, default=100
        Items to recommend to each user.
    holdout : float or int, default=0.2
        How many of each user's items to hide, as for :func:`shallow_ae.hold_out_items`.
    random_state : int, RandomState instance or None, default=0
        Which items. With an int they are the same for all candidates of a search: settings are
        compared, not splits.

    Returns
    -------
    scorer : callable `scorer(estimator, X, y=None)`
        Greater is better. A `y` of held-out items is used instead of hiding some: a matrix like
        `X`; for interactions further ones, a dict of user to ids, or an array of bool that says
        of which rows of `X` it consists, which is the form that searches can cut into folds. With
        matrices, a `y` of one dimension is ignored: it is the target of other estimators.
        (`cross_val_score` and `cross_validate` refuse a sparse `y`; searches take it.) Items that
        a user has in both are missed, as they are not recommended.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

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
