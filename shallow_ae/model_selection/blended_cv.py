"""BlendedRecommenderCV: a weighted sum of models, its weights chosen by cross-validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, Self

from sklearn.base import clone

from shallow_ae._runtime.progress import progress_bar
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.weighted_sum import best_of_sums
from shallow_ae.data.fitting import copy_names, take_over
from shallow_ae.model_selection.search import (
    Data,
    Outcome,
    Scoring,
    SelectedModelMixin,
    checked_data,
    select,
    split_in_errors,
    splits_of,
)
from shallow_ae.models.blended import BlendedRecommender, NamedParts

_STEPS = 10  # of the default candidates


class BlendedRecommenderCV(SelectedModelMixin, NamedParts):
    """A :class:`~shallow_ae.BlendedRecommender` that chooses its weights by cross-validation.

    The parts are fitted once for each split, and once to all rows. Each test user is scored once by
    each part, whatever the number of candidate weights. The result equals the result of
    :class:`~sklearn.model_selection.GridSearchCV` over `weights`, which would fit and score the
    parts again for each candidate.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Name and model of each part, as in BlendedRecommender.
    weights : sequence of sequences of float, default=None
        Candidates: each has one factor for each part. None means all factors that are multiples of
        0.1 and sum to 1: 11 candidates for two parts, 66 for three. Only ratios between factors
        change a ranking.
    cv : int, splitter or iterable of (train, test), default=5
        How to split the users. An int is a number of consecutive folds (`KFold`).
    scoring : str, callable or None, default=None
        A scikit-learn scorer, preferably made by :func:`~shallow_ae.make_ranking_scorer`. It
        receives rows as a csr_array. None means NDCG@100 with a fifth of each user's items held
        out. Scorers of other origin score each candidate separately, which takes longer.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    best_params_ : dict
        The selected `weights`.
    best_score_ : float
        Mean score of `best_params_` over the splits.
    best_index_ : int
        Index of `best_params_` in `cv_results_`.
    best_estimator_ : BlendedRecommender
        Sum with the selected weights, its parts fitted to all rows.
    cv_results_ : dict of ndarray
        Scores, ranks and times of all candidates, with the keys of GridSearchCV. All candidates
        share one fit of the parts, and `mean_fit_time` is the time of that fit.
    n_splits_ : int
        Number of splits.
    item_weights_, item_counts_, n_samples_seen_
        The attributes of `best_estimator_`.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    BlendedRecommender : The model whose weights are chosen.
    make_ranking_scorer : A scorer with another metric, cutoff or hold-out fraction.

    Notes
    -----
    Beside the parts, the search keeps the recommendations of each candidate for the users of a test
    part: 12 bytes for each candidate, test user and recommended item, or 16 in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import BlendedRecommenderCV, LowRankAutoEncoder, SparseShallowAutoEncoder
    >>> X = np.random.default_rng(0).poisson(0.4, (80, 15))
    >>> parts = [("near", SparseShallowAutoEncoder(1.0)), ("tastes", LowRankAutoEncoder(4))]
    >>> model = BlendedRecommenderCV(parts).fit(X)
    >>> len(model.cv_results_["params"]), model.recommend(X, k=5).shape
    (11, (80, 5))
    """

    best_estimator_: BlendedRecommender

    def __init__(
        self,
        estimators: Any,
        *,
        weights: Any = None,
        cv: Any = 5,
        scoring: str | Callable[..., float] | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.cv = cv
        self.scoring = scoring
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the weights, and fit the parts to all rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified.
        y : sparse matrix or ndarray of shape (n_users, n_items), default=None
            Held-out items of the same users, against which the scorer compares the
            recommendations. If None, the scorer holds out items of `X`.
            The windows of a :class:`~shallow_ae.TimeWindowSplit`, which a pipeline passes on, are
            ignored: they are for the scorer of the pipeline.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user in the fits, >= 0. Scores weight all users equally.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If BlendedRecommender's `fit` raises it, if a candidate does not have a number for each
            part, or if no user in a test part has two items. A note on the error names the split.
            The estimator is then unchanged.
        """
        blend = BlendedRecommender(self.estimators)
        candidates = self._candidates([name for name, _ in blend._checked_parts()])
        for candidate in candidates:
            blend._checked_weights(candidate)
        trial = copy(self)
        data = checked_data(trial, X, y, sample_weight)
        splits, scoring = splits_of(self.cv, data), self._scoring()
        outcome = Outcome.empty(len(candidates), len(splits))
        with progress_bar(len(splits), "cross-validation", verbose=self.verbose) as bar:
            for fold, (train, test) in enumerate(splits):
                with split_in_errors(fold, splits):
                    part, began = data.of(train), time.perf_counter()
                    blend.fit(part.X, sample_weight=part.sample_weight)
                    fitted = time.perf_counter()
                    outcome.scores[:, fold] = _scores(blend, candidates, scoring, data.of(test))
                outcome.fit_times[:, fold] = fitted - began
                outcome.score_times[:, fold] = (time.perf_counter() - fitted) / len(candidates)
                bar.advance(1)
        select(trial, [{"weights": candidate} for candidate in candidates], outcome)
        best = clone(BlendedRecommender(self.estimators, **trial.best_params_))
        trial.best_estimator_ = best.fit(data.X, sample_weight=data.sample_weight)
        copy_names(trial, best)
        return take_over(self, trial)

    def _candidates(self, kept: list[str]) -> list[Any]:
        """Return the candidate weights. By default, parts that are dropped have the weight 0."""
        given = self.weights
        if given is None:
            of_kept = [dict(zip(kept, own, strict=True)) for own in _shares(len(kept), _STEPS)]
            names = [name for name, _ in self.estimators]
            return [[own.get(name, 0) / _STEPS for name in names] for own in of_kept]
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(
                f"`weights`={given!r} must be a list of candidates, each with a number for each "
                "part, or None."
            )
        candidates = [list(own) if isinstance(own, Iterable) else own for own in given]
        if not candidates:
            raise ValueError("`weights` is empty, expected one candidate or more.")
        return candidates


def _shares(n_parts: int, total: int) -> list[list[int]]:
    """Return all lists of `n_parts` integers >= 0 that sum to `total`."""
    if n_parts == 1:
        return [[total]]
    return [
        [first, *rest]
        for first in range(total, -1, -1)
        for rest in _shares(n_parts - 1, total - first)
    ]


def _scores(
    blend: BlendedRecommender, candidates: list[Any], scoring: Scoring, test: Data
) -> list[float]:
    """Return the score of a fitted sum with each candidate's factors, on a test part."""
    protocol = scoring.protocol
    if protocol is None:
        score = scoring.of(test)
        return [score(blend.set_params(weights=candidate)) for candidate in candidates]
    visible, hidden = protocol.split(test.X, test.y)
    factors = [blend._checked_weights(candidate) for candidate in candidates]
    allowed = candidate_filter(visible)
    ranked = best_of_sums(blend._parts.item_weights, factors, visible, protocol.k, allowed)
    return [protocol.measure(hidden, items) for items in ranked]
