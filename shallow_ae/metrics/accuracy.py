"""Ranking metrics against held-out items: NDCG, recall, precision, hit rate, MAP, MRR.

All metrics in this module share their arguments and the search for hits. Relevance is binary, an
item that a list repeats counts only at its first place, and users without relevant items are left
out.
"""

from __future__ import annotations

import numpy as np

from shallow_ae.data.arguments import check_boolean, check_choice, check_integer
from shallow_ae.metrics.formulas import Values, values_of_users
from shallow_ae.metrics.hits import Ranking, Truth, find_hits


def ndcg_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    ideal: str = "cutoff",
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the mean normalized discounted cumulative gain of ranked lists.

    For one user with the set `truth` and the list `rec`, cut at `k`::

        DCG  = sum over ranks r = 1, 2, ... of  [rec[r] in truth] / log2(r + 1)
        IDCG = sum over ranks r = 1 ... n    of  1 / log2(r + 1)
        NDCG = DCG / IDCG

    where n is `min(k, len(truth))` if `ideal` is "cutoff", and `len(truth)` if `ideal` is "full".

    Parameters
    ----------
    y_true : dict of lists, list of lists, array of indices or sparse matrix
        The relevant items of each user: a dict of user id to item ids; a list or array with one row
        of item ids or indices for each user; or a sparse (n_users, n_items) matrix whose nonzero
        entries are relevant.
    y_rec : dict of lists, list of lists or array of shape (n_users, n_recommended)
        The ranked items of each user, best first. Places that hold None, or -1 in an array of
        integers, are empty.
    k : int, default=None
        Cutoff: only the first `k` places count. None counts all places.
    ideal : {"cutoff", "full"}, default="cutoff"
        Number of relevant items in the best possible list. "cutoff" means min(k, len(truth)), so
        that a score of 1 is possible. "full" means len(truth), even if this exceeds `k`.
    no_recommendations : {"zero", "omit"}, default="zero"
        How to treat users with truth and an empty or missing list: "zero" scores them 0, "omit"
        leaves them out of the mean. "omit" rewards a model that recommends only when it is certain.
    per_user : bool, default=False
        Return one score for each user of `y_true`, in order, instead of the mean.

    Returns
    -------
    ndcg : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Raises
    ------
    ValueError
        If all users are left out, or if `y_true` and `y_rec` do not have matching users.
    TypeError
        If `y_true` and `y_rec` have incompatible forms, such as a dict and a list.

    Notes
    -----
    Definitions of NDCG differ. `ideal="cutoff", no_recommendations="zero"` is the usual definition
    in top-k recommendation, and equals trec_eval's `ndcg_cut` with binary relevance.
    `ideal="full", no_recommendations="omit"` is the definition in the notebook that this library
    is based on. If every user has recommendations, "full" never exceeds "cutoff".

    :func:`sklearn.metrics.ndcg_score` takes one dense score for every user and item and ranks the
    items itself, so the caller must mask the items seen in training. It averages over ties and
    scores users without relevant items 0. On lists without ties, its `k` corresponds to
    `ideal="cutoff"`.

    Time and memory are linear in the total number of relevant items and places.

    References
    ----------
    .. [1] K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques",
       ACM Transactions on Information Systems 20(4), 2002.

    Examples
    --------
    >>> from shallow_ae import ndcg_score
    >>> truth = {"ann": ["Kashmir", "Hey Jude", "Clocks"], "bob": ["Yellow"]}
    >>> recommended = {"ann": ["Hey Jude", "Yellow"]}
    >>> round(ndcg_score(truth, recommended, k=2), 4)
    0.3066
    >>> round(ndcg_score(truth, recommended, k=2, ideal="full", no_recommendations="omit"), 4)
    0.4693
    """
    check_choice("ideal", ideal, ("cutoff", "full"))
    name = "ndcg" if ideal == "cutoff" else "ndcg_full"
    return _score(name, y_true, y_rec, k, no_recommendations, per_user)


def recall_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    ideal: str = "full",
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the mean recall: the share of the relevant items that are in the first `k` places.

    Parameters
    ----------
    y_true, y_rec, k
        As for `ndcg_score`.
    ideal : {"full", "cutoff"}, default="full"
        Denominator of the share. "full" is the number of relevant items, the usual recall.
        "cutoff" is min(k, len(truth)), so that a score of 1 is possible; the papers on variational
        autoencoders and EASE use it.
    no_recommendations, per_user
        As for `ndcg_score`.

    Returns
    -------
    recall : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Examples
    --------
    >>> from shallow_ae.metrics import recall_score
    >>> truth, recommended = [["Kashmir", "Clocks", "Yellow"]], [["Clocks", "Help!"]]
    >>> recall_score(truth, recommended, k=2), recall_score(truth, recommended, k=2, ideal="cutoff")
    (0.3333333333333333, 0.5)
    """
    check_choice("ideal", ideal, ("cutoff", "full"))
    name = "recall" if ideal == "full" else "recall_cutoff"
    return _score(name, y_true, y_rec, k, no_recommendations, per_user)


def precision_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the mean precision: the share of the first `k` places that hold relevant items.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`. If a list has fewer than `k` items, the missing places count as not
        relevant. If `k` is None, the share is relative to the length of the list.

    Returns
    -------
    precision : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Examples
    --------
    >>> from shallow_ae.metrics import precision_score
    >>> precision_score([["Kashmir", "Clocks"]], [["Clocks", "Help!"]], k=4)
    0.25
    """
    return _score("precision", y_true, y_rec, k, no_recommendations, per_user)


def hit_rate_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the share of users with at least one relevant item in the first `k` places.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`.

    Returns
    -------
    hit_rate : float or ndarray of shape (n_users,)
        Between 0 and 1; for a single user 0 or 1. NaN for users who are left out.

    Examples
    --------
    >>> from shallow_ae.metrics import hit_rate_score
    >>> hit_rate_score([["Kashmir"], ["Clocks"]], [["Clocks"], ["Help!", "Clocks"]], k=2)
    0.5
    """
    return _score("hit_rate", y_true, y_rec, k, no_recommendations, per_user)


def map_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    ideal: str = "full",
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the mean average precision.

    The average precision of a user is the sum of the precision at each rank that holds a relevant
    item, over the first `k` places, divided by the number of relevant items.

    Parameters
    ----------
    y_true, y_rec, k
        As for `ndcg_score`.
    ideal : {"full", "cutoff"}, default="full"
        Divisor of the sum. "full" is the number of relevant items, as in trec_eval's `map_cut`.
        "cutoff" is min(k, len(truth)), so that a score of 1 is possible.
    no_recommendations, per_user
        As for `ndcg_score`.

    Returns
    -------
    map : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Examples
    --------
    >>> from shallow_ae.metrics import map_score
    >>> map_score([["Kashmir", "Clocks"]], [["Clocks", "Help!", "Kashmir"]])  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    check_choice("ideal", ideal, ("cutoff", "full"))
    name = "map" if ideal == "full" else "map_cutoff"
    return _score(name, y_true, y_rec, k, no_recommendations, per_user)


def mrr_score(
    y_true: Truth,
    y_rec: Ranking,
    *,
    k: int | None = None,
    no_recommendations: str = "zero",
    per_user: bool = False,
) -> float | Values:
    """Return the mean reciprocal rank: 1 / (rank of the first relevant item), 0 if there is none.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`.

    Returns
    -------
    mrr : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Examples
    --------
    >>> from shallow_ae.metrics import mrr_score
    >>> mrr_score([["Kashmir"], ["Clocks"]], [["Clocks"], ["Help!", "Clocks"]])
    0.25
    """
    return _score("mrr", y_true, y_rec, k, no_recommendations, per_user)


def _score(
    name: str, y_true: Truth, y_rec: Ranking, k: int | None, no_recommendations: str, per_user: bool
) -> float | Values:
    """Return the named metric, for each user or as the mean over users."""
    check_choice("no_recommendations", no_recommendations, ("zero", "omit"))
    check_boolean("per_user", per_user)
    if k is not None:
        check_integer("k", k, low=1)
    hits = find_hits(y_true, y_rec, k)
    values = values_of_users(name, hits, omit_unanswered=no_recommendations == "omit")
    return values if per_user else float(np.nanmean(values))
