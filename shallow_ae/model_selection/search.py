"""What the searches share: data, splits, scorers, results, and the selected model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_sample_weight
from shallow_ae.data.matrices import aligned_by_name, canonical, check_interactions
from shallow_ae.evaluation import HoldoutProtocol, are_windows
from shallow_ae.model_selection.scorer import RankingScorer
from shallow_ae.models.fitted import FittedState
from shallow_ae.models.recommender import RecommenderMixin

Splits = Sequence[tuple[Any, Any]]  # training rows and test rows of each split


class Data(NamedTuple):
    """Checked rows, their sample weights, and their held-out items, if given."""

    X: sp.csr_array[Any]
    sample_weight: Array
    y: Any

    def of(self, rows: Any) -> Data:
        """Return the data of the given rows."""
        return Data(
            self.X[rows], self.sample_weight[rows], None if self.y is None else self.y[rows]
        )


def checked_data(trial: Any, X: Any, y: Any, sample_weight: Any) -> Data:
    """Return the checked arguments of a search. `trial` gets the number and names of the items.

    The windows of a TimeWindowSplit have a row for each interaction, and not for each user: a
    pipeline passes them to the fits of its steps, and they are for the scorer.
    """
    y = None if are_windows(y) else y
    rows = sp.csr_array(check_interactions(trial, X, reset=True))
    if rows.shape[1] < 2:
        raise ValueError(
            "X has n_features=1, expected two items or more, so that one can be held out."
        )
    weights = check_sample_weight(sample_weight, rows.shape[0])
    held_out = canonical(y) if sp.issparse(y) else aligned_by_name(trial, y)
    if held_out is not None:
        held_out = held_out if sp.issparse(held_out) else np.asarray(held_out)
        check_consistent_length(rows, held_out)
    return Data(rows, weights, held_out)


def splits_of(cv: Any, data: Data) -> Splits:
    """Return the training rows and the test rows of each split, as indices."""
    # Imported here because the import takes a fifth of a second and only a search needs it.
    from sklearn.model_selection import check_cv

    users = np.arange(data.X.shape[0])  # turns splits given as lists or masks into indices
    return [(users[a], users[b]) for a, b in check_cv(cv).split(data.X, data.y)]


class Outcome(NamedTuple):
    """Scores and times of all settings in all splits, as arrays of shape (n_settings, n_splits)."""

    scores: NDArray[np.float64]
    fit_times: NDArray[np.float64]  # in seconds
    score_times: NDArray[np.float64]

    @classmethod
    def empty(cls, n_settings: int, n_splits: int) -> Outcome:
        """Return arrays to be filled."""
        return cls(*(np.empty((n_settings, n_splits)) for _ in cls._fields))


class Scoring(NamedTuple):
    """A scikit-learn scorer and, if it is a RankingScorer, its hold-out protocol."""

    scorer: Callable[..., float]
    protocol: HoldoutProtocol | None

    @property
    def may_run_on_threads(self) -> bool:
        """Return whether scoring calls no user code, which must run on the caller's thread."""
        return self.protocol is not None and isinstance(self.protocol.metric, str)

    def of(self, test: Data) -> Callable[[Any], float]:
        """Return the function that scores a model on the rows of a test part."""
        protocol = self.protocol
        if protocol is None:
            held_out = () if test.y is None else (test.y,)
            return lambda model: float(self.scorer(model, test.X, *held_out))
        visible, hidden = protocol.split(test.X, test.y)  # all settings share the split

        def score(model: RecommenderMixin) -> float:
            weights = model._fitted.weights.cheapest_for(visible)
            return protocol.score_weights(weights, visible, hidden)

        return score


class SelectedModelMixin(RecommenderMixin):
    """The methods of a search whose selected model, fitted to all rows, is `best_estimator_`."""

    best_estimator_: Any
    scoring: str | Callable[..., float] | None

    def score(self, X: Any, y: Any = None) -> float:
        """Return the score of the selected model, computed by `scoring`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions from which to recommend.
        y : sparse matrix or ndarray of shape (n_users, n_items), default=None
            Held-out items of the same users. If None, the scorer holds out items of `X`.

        Returns
        -------
        score : float
            Greater is better.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoderCV
        >>> X = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
        >>> search = ShallowAutoEncoderCV([0.1, 1], cv=2).fit(X)
        >>> search.score([[1, 1, 1, 0]], [[0, 0, 0, 1]])
        1.0
        """
        check_is_fitted(self)
        held_out = () if y is None else (y,)
        return float(self._scorer()(self.best_estimator_, X, *held_out))

    @property
    def _fitted(self) -> FittedState:  # type: ignore[override]
        """The fitted state of the selected model."""
        state: FittedState = self.best_estimator_._fitted
        return state

    @property
    def item_weights_(self) -> Any:
        """P of the selected model, of shape (n_items, n_items).

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import ShallowAutoEncoderCV
        >>> X = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
        >>> search = ShallowAutoEncoderCV([0.1, 1], cv=2).fit(X)
        >>> search.item_weights_ is search.best_estimator_.item_weights_
        True
        """
        return self.best_estimator_.item_weights_

    def _scorer(self) -> Callable[..., float]:
        from sklearn.metrics import get_scorer  # imported here to save time, as in `fit`

        scorer: Callable[..., float]
        scorer = RankingScorer() if self.scoring is None else get_scorer(self.scoring)
        return scorer

    def _scoring(self) -> Scoring:
        scorer = self._scorer()
        # A subclass may score differently, so only the exact class takes the fast path.
        return Scoring(scorer, scorer if type(scorer) is RankingScorer else None)


@contextmanager
def split_in_errors(fold: int, splits: Splits) -> Iterator[None]:
    """Add a note to each ValueError that names its split."""
    try:
        yield
    except ValueError as error:
        train, test = splits[fold]
        error.add_note(
            f"In split {fold} of {len(splits)}, of {len(train):,} users to learn from "
            f"and {len(test):,} test users. (If users with few items, or with weights "
            "of 0, are in consecutive rows, cv=KFold(shuffle=True) distributes them.)"
        )
        raise


def results_of(candidates: list[dict[str, Any]], outcome: Outcome) -> dict[str, Any]:
    """Return `cv_results_` in the format of GridSearchCV."""
    from scipy.stats import rankdata

    results: dict[str, Any] = {}
    for name, times in (("fit_time", outcome.fit_times), ("score_time", outcome.score_times)):
        results[f"mean_{name}"], results[f"std_{name}"] = times.mean(axis=1), times.std(axis=1)
    for name in candidates[0]:
        results[f"param_{name}"] = _column([candidate[name] for candidate in candidates])
    results["params"] = candidates
    scores = outcome.scores
    results |= {f"split{i}_test_score": scores[:, i] for i in range(scores.shape[1])}
    results["mean_test_score"], results["std_test_score"] = scores.mean(axis=1), scores.std(axis=1)
    means = results["mean_test_score"]
    worst = np.nan_to_num(means, nan=-np.inf)  # a missing score ranks last
    results["rank_test_score"] = rankdata(-worst, method="min").astype(np.int32)
    return results


def select(trial: Any, candidates: list[dict[str, Any]], outcome: Outcome) -> None:
    """Give a search its results and the candidate with the best mean score."""
    trial.cv_results_ = results = results_of(candidates, outcome)
    trial.best_index_ = best = int(results["rank_test_score"].argmin())
    trial.best_params_, trial.n_splits_ = candidates[best], outcome.scores.shape[1]
    trial.best_score_ = float(results["mean_test_score"][best])


def _column(values: list[Any]) -> Any:
    """Return values, which may be lists, as a one-dimensional masked array."""
    are_mixed = len({isinstance(value, str) for value in values}) > 1  # numbers and "auto"
    if all(np.ndim(value) == 0 for value in values):
        return np.ma.array(values, dtype=object if are_mixed else None)
    column = np.ma.empty(len(values), object)
    column[:] = values
    return column
