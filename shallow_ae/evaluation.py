"""evaluate: several metrics with confidence intervals. HoldoutProtocol: how models are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae._weights.ranking import best_items
from shallow_ae.data.arguments import check_choice, check_integer, check_real
from shallow_ae.data.holdout import check_holdout, hold_out_pairs, hold_out_window
from shallow_ae.data.matrices import canonical
from shallow_ae.data.sources import as_table
from shallow_ae.data.splits import hold_out_items
from shallow_ae.data.tables import are_interactions, is_frame, numbered, pairs_in, take_rows
from shallow_ae.metrics.formulas import MEASURES, Values, values_of_users
from shallow_ae.metrics.hits import Ranking, Truth, find_hits, readable

__all__ = ["evaluate", "item_lists"]

_METRICS = ("ndcg", "recall", "precision", "hit_rate", "map", "mrr")
_NUMBERS_AT_ONCE = 2**22


def evaluate(
    y_true: Truth,
    y_rec: Ranking,
    metrics: str | Iterable[str] = _METRICS,
    *,
    k: int | Iterable[int] = 100,
    confidence: float | None = None,
    n_resamples: int = 1000,
    no_recommendations: str = "zero",
    random_state: Any = 0,
) -> pd.DataFrame:
    """Return several metrics of ranked lists, optionally with confidence intervals.

    Parameters
    ----------
    y_true, y_rec
        As for :func:`shallow_ae.ndcg_score`.
    metrics : str or sequence of str
        Metric names. "ndcg", "recall", "precision", "hit_rate", "map" and "mrr" are the functions
        in :mod:`shallow_ae.metrics` with their default `ideal`. "ndcg_full", "recall_cutoff" and
        "map_cutoff" are the same functions with the other `ideal`.
    k : int or sequence of int, default=100
        Cutoffs.
    confidence : float, default=None
        Confidence level in (0, 1), such as 0.95, of a bootstrap percentile interval for the mean.
        Users are resampled with replacement; the interval leaves out the lowest and the highest
        (1 - confidence) / 2 of the resampled means. All metrics of a cutoff use the same resamples.
        None means no interval.
    n_resamples : int, default=1000
        Number of bootstrap resamples, each with as many users as the data.
    no_recommendations : {"zero", "omit"}, default="zero"
        As for :func:`shallow_ae.ndcg_score`.
    random_state : int, Generator or None, default=0
        Determines the bootstrap resamples.

    Returns
    -------
    measures : pandas.DataFrame
        One row for each cutoff and metric. The columns are metric; k; mean; low and high, if
        `confidence` is set; n_users, the number of users in the mean; and n_left_out, the number of
        users without truth or, with "omit", without recommendations.

    Raises
    ------
    ValueError
        If a metric name is unknown, or if a metric raises it.

    Examples
    --------
    >>> from shallow_ae.evaluation import evaluate
    >>> truth = {"ann": ["Kashmir", "Clocks"], "bob": ["Yellow"], "eve": []}
    >>> recommended = {"ann": ["Clocks", "Help!"], "bob": ["Help!"], "eve": ["Help!"]}
    >>> evaluate(truth, recommended, ["ndcg", "recall"], k=2)
       metric  k      mean  n_users  n_left_out
    0    ndcg  2  0.306574        2           1
    1  recall  2  0.250000        2           1
    """
    metrics = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    cutoffs = list(k) if isinstance(k, Iterable) else [k]
    for argument, given in (("metrics", metrics), ("k", cutoffs)):
        if not given:
            raise ValueError(f"`{argument}` is empty, expected at least one value.")
    for name in metrics:
        check_choice("metrics", name, tuple(MEASURES))
    check_choice("no_recommendations", no_recommendations, ("zero", "omit"))
    if confidence is not None:
        check_real("confidence", confidence, low=0, high=1, open_low=True, open_high=True)
        check_integer("n_resamples", n_resamples, low=1)
    (y_true, y_rec), rows = readable(y_true, y_rec), []
    for cutoff in cutoffs:
        check_integer("k", cutoff, low=1)
        hits = find_hits(y_true, y_rec, cutoff)
        omit = no_recommendations == "omit"
        by_name = {m: values_of_users(m, hits, omit_unanswered=omit) for m in metrics}
        values = pd.DataFrame(by_name)  # a row for each user
        counted = values.dropna()
        measures = pd.DataFrame({"metric": metrics, "k": cutoff, "mean": list(counted.mean())})
        if confidence is not None:
            interval = _interval(counted.to_numpy(), confidence, n_resamples, random_state)
            measures["low"], measures["high"] = interval
        measures["n_users"], measures["n_left_out"] = len(counted), len(values) - len(counted)
        rows.append(measures)
    return pd.concat(rows, ignore_index=True)


def item_lists(frame: Any, *, user: str = "user", item: str = "item") -> dict[Any, list[Any]]:
    """Return the items of each user in a frame, in the order of the rows.

    Use it to convert frames of held-out interactions or recommendations to arguments of the
    metrics.

    Parameters
    ----------
    frame : DataFrame
        One row for each user and item, in a pandas or polars frame or any other kind that narwhals
        reads.
    user, item : str, default="user", "item"
        Column names.

    Returns
    -------
    lists : dict of user to list of items
        Users in order of first appearance.

    Examples
    --------
    >>> import pandas as pd
    >>> from shallow_ae.evaluation import item_lists
    >>> frame = pd.DataFrame({"user": ["ann", "bob", "ann"], "item": ["Help!", "Yellow", "Clocks"]})
    >>> item_lists(frame)
    {'ann': ['Help!', 'Clocks'], 'bob': ['Yellow']}
    """
    users, items = pairs_in(frame, user, item)
    if not len(users):
        return {}
    codes, ids = numbered(users, user)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(ids)))
    lists = np.split(np.asarray(items)[order], ends[:-1])
    return dict(zip(ids.tolist(), (own.tolist() for own in lists), strict=True))


def _interval(values: Values, confidence: float, n_resamples: int, seed: Any) -> Any:
    """Return the lower and upper bounds of the percentile interval of each column's mean."""
    from scipy.stats import bootstrap

    if len(values) < 2:
        raise ValueError(
            f"`confidence` needs at least two users with values, found {len(values)}. Pass "
            "`confidence`=None, or the lists of more users."
        )
    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=n_resamples,
        method="percentile",
        batch=max(1, _NUMBERS_AT_ONCE // values.size),
        rng=np.random.default_rng(seed),
    )
    return found.confidence_interval


@dataclass(frozen=True)
class HoldoutProtocol:
    """How many items are hidden and recommended, and which metric scores them."""

    metric: str | Callable[..., float] = "ndcg"
    k: int = 100
    holdout: float = 0.2
    random_state: Any = 0

    def check(self) -> None:
        """Raise an error that names the first parameter out of its range."""
        if not callable(self.metric):
            check_choice("metric", self.metric, tuple(MEASURES))
        check_integer("k", self.k, low=1)
        check_holdout(self.holdout)
        check_random_state(self.random_state)

    def split(self, X: Any, y: Any) -> tuple[sp.csr_array[Any], sp.csr_array[Any]]:
        """Return the visible and the hidden interactions of a users x items matrix."""
        if are_windows(y):
            raise TypeError(
                "`y` is the window of each interaction, and X is a users x items matrix, which has "
                "no times. Score a pipeline of `make_recommender`, or pass "
                "`scoring`=make_ranking_scorer()."
            )
        if y is None or np.ndim(y) == 1:
            return hold_out_items(X, self.holdout, random_state=self.random_state)
        visible, hidden = canonical(X), canonical(y)
        if hidden.shape != visible.shape:
            raise ValueError(
                f"`y` has shape {hidden.shape}, expected {visible.shape}, the shape of `X`."
            )
        return visible, hidden

    def split_pairs(self, interactions: Any, y: Any, names: dict[str, str]) -> tuple[Any, Any]:
        """Return the visible and the hidden part of interactions with raw ids."""
        interactions = as_table(interactions, **names)
        y = y if isinstance(y, Mapping) else as_table(y, **names)
        if y is None:
            parts = hold_out_pairs(
                interactions, self.holdout, **names, random_state=self.random_state
            )
        elif are_windows(y):
            parts = _window_pairs(interactions, y, names)
        else:
            parts = _given_pairs(interactions, y)
        if not len(parts[1]):
            raise ValueError(
                f"Nothing to measure: no items are held out of {len(interactions):,} interactions. "
                "A user needs at least two items for one to be held out, and new items for items "
                "of a window of time to be held out. Pass more interactions; in a search that "
                "begins with few of them, such as HalvingRandomSearchCV, raise `min_resources`."
            )
        return parts

    def score_weights(
        self, weights: WeightMatrix, visible: sp.csr_array[Any], hidden: sp.csr_array[Any]
    ) -> float:
        """Return the score of item weights: recommend from visible items, compare with hidden."""
        items, _ = best_items(weights, visible, self.k, candidate_filter(visible))
        return self.measure(hidden, items)

    def measure(self, hidden: sp.csr_array[Any], items: NDArray[np.int64]) -> float:
        """Return the metric of recommended items, averaged over users."""
        if callable(self.metric):
            return float(self.metric(hidden, items, k=self.k))
        hits = find_hits(hidden, items, self.k)
        values = values_of_users(self.metric, hits, omit_unanswered=False)
        return float(np.nanmean(values))


def are_windows(y: Any) -> bool:
    """Return whether `y` has the form of the windows of interactions: a Series of categories."""
    return isinstance(y, pd.Series) and isinstance(y.dtype, pd.CategoricalDtype)


def _window_pairs(interactions: Any, y: Any, names: dict[str, str]) -> tuple[Any, Any]:
    """Return the interactions before the last window in `y`, and the new items in it."""
    if not y.cat.ordered or not is_frame(interactions):
        raise TypeError(
            f"`y` is a Series of {'' if y.cat.ordered else 'un'}ordered categories and X is a "
            f"{type(interactions).__name__}. Expected ordered categories, the window of each row "
            "as `TimeWindowSplit.windows_of` returns it, and a DataFrame."
        )
    n_rows = y.attrs.get("n_test_rows")  # of each window, from TimeWindowSplit
    last = y.cat.codes.max()
    if n_rows and last >= 0 and (n_found := int((y.cat.codes == last).sum())) != n_rows[last]:
        raise ValueError(
            f"`y` has {n_found:,} rows of the window {y.cat.categories[last]}, and its test part "
            f"has {n_rows[last]:,}. Pass as `cv` the TimeWindowSplit whose `windows_of` returned "
            "`y`: with other splits, the training part has rows of the window."
        )
    return hold_out_window(interactions, y, **names)


def _given_pairs(interactions: Any, y: Any) -> tuple[Any, Any]:
    """Return the visible interactions and the held-out interactions, as `y` specifies them."""
    if are_interactions(y):
        return interactions, y
    if isinstance(y, Mapping):
        if any(isinstance(own, str) for own in y.values()):
            raise TypeError("Each user in `y` needs a list of items, found a single string.")
        return interactions, [(whose, what) for whose, own in y.items() for what in own]
    given = np.asarray(y)
    if given.ndim == 2:
        return interactions, given
    if given.dtype != np.bool_ or len(given) != len(interactions):
        raise ValueError(
            f"`y` is an array of {given.dtype} of shape {given.shape}. Expected held-out "
            "interactions (a frame, list of tuples, dict of user to items), or an array of bool "
            f"of shape ({len(interactions)},) that is True for the held-out rows of X."
        )
    return take_rows(interactions, ~given), take_rows(interactions, given)
