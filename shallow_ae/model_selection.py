"""What scikit-learn's searches and cross-validation need to know of recommendations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd
from sklearn.pipeline import Pipeline

from shallow_ae._ruler import Ruler
from shallow_ae._steps import working_steps
from shallow_ae.ids import IdMapper
from shallow_ae.pipeline import RecommenderPipeline


class RankingScorer(Ruler):
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
        steps = working_steps(estimator.steps) if isinstance(estimator, Pipeline) else [estimator]
        if isinstance(steps[0], IdMapper):
            return RecommenderPipeline(estimator.steps)._judge(X, y, self)
        table = nw.from_native(X, eager_only=True, pass_through=True)
        is_frame = isinstance(table, nw.DataFrame)
        visible, hidden = self.split(table.to_numpy() if is_frame else X, y)
        rows: Any = visible
        if is_frame:  # of users x items, whose names the steps have seen
            rows = pd.DataFrame(visible.toarray(), columns=list(table.columns))
        for step in steps[:-1]:
            rows = step.transform(rows)
        return self.measure(hidden, steps[-1].recommend(rows, self.k, exclude=visible))


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
        `X`; for interactions a frame, a dict of user to ids, or an array that says of which rows
        of `X` it consists, which is the form that searches can cut into folds. Any other `y` of
        one dimension is ignored.

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
