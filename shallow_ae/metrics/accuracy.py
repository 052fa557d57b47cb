"""Ranking metrics against held-out items: NDCG, recall, precision, hit rate, MAP, MRR.

All measures against truth share one way to find the hits, their arguments and their rules:
relevance is binary, an item that a list repeats counts at its first place only, and users without
truth are left out.
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

    where n is `min(k, len(truth))` or `len(truth)`, as `ideal` says.

    Parameters
    ----------
    y_true : dict of lists, list of lists, array of indices or sparse matrix
        The relevant items of each user: raw ids by user, item indices or ids by position, or a
        sparse (n_users, n_items) matrix whose nonzero entries are relevant.
    y_rec : dict of lists, list of lists or array of shape (n_users, n_recommended)
        The ranked items of each user, best first. Places that hold None, or -1 in an array of
        integers, are empty.
    k : int, default=None
        Cutoff: only the first `k` places count. None counts every place there is.
    ideal : {"cutoff", "full"}, default="cutoff"
        What the best possible list may hold: "cutoff" min(k, len(truth)) relevant items, so that
        1 can be reached; "full" all of them, however many places there are.
    no_recommendations : {"zero", "omit"}, default="zero"
        Users with truth and an empty or absent list score 0, or are left out of the mean. To
        leave them out rewards a model that answers only where it is sure.
    per_user : bool, default=False
        Return a number for each user of `y_true`, in order, instead of their mean.

    Returns
    -------
    ndcg : float or ndarray of shape (n_users,)
        Between 0 and 1; NaN for users who are left out.

    Raises
    ------
    ValueError
        If no user has both truth and a place in the mean, or the two arguments do not match.

    Notes
    -----
    Which NDCG is it? `ideal="cutoff", no_recommendations="zero"` is the usual one of top-k
    recommendation (and trec_eval's `ndcg_cut`, with binary relevance). `ideal="full",
    no_recommendations="omit"` is that of the notebook this library grew from; it is never higher
    where every user is answered. :func:`sklearn.metrics.ndcg_score` takes one dense score for
    every user and item, so the items that training has seen must be masked by the caller, ranks
    them itself, averages over ties, and gives users without relevant items 0; on lists without
    ties its `k` means `ideal="cutoff"`.

    Time and memory are linear in the number of truths and places.

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
    """Return the mean share of the relevant items that are in the first `k` places.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`.
    ideal : {"full", "cutoff"}, default="full"
        Share of what: "full" of all that is relevant, the usual recall; "cutoff" of
        min(k, len(truth)), of which 1 can be reached (the papers on variational autoencoders
        and EASE).

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
    """Return the mean share of the first `k` places that hold relevant items.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`. A list of fewer than `k` items has places without a relevant item;
        where `k` is None, the share is of the list's own length.

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
    """Return the share of users who find a relevant item in the first `k` places.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`.

    Returns
    -------
    hit_rate : float or ndarray of shape (n_users,)
        Of each user, 0 or 1; NaN for users who are left out.

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

    A user's average precision is the sum, over the ranks of the relevant items in the first `k`
    places, of the precision up to there, divided by the number of relevant items.

    Parameters
    ----------
    y_true, y_rec, k, no_recommendations, per_user
        As for `ndcg_score`.
    ideal : {"full", "cutoff"}, default="full"
        Divide by all that is relevant, as trec_eval's `map_cut` does, or by min(k, len(truth)), so
        that 1 can be reached.

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
    """Return a measure by its name, of each user or their mean."""
    check_choice("no_recommendations", no_recommendations, ("zero", "omit"))
    check_boolean("per_user", per_user)
    if k is not None:
        check_integer("k", k, low=1)
    hits = find_hits(y_true, y_rec, k)
    values = values_of_users(name, hits, omit_unanswered=no_recommendations == "omit")
    return values if per_user else float(np.nanmean(values))
