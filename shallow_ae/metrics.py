"""Measures of a ranking against held-out truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._validation import canonical, check_choice, check_integer

ItemLists: TypeAlias = Mapping[Any, Iterable[Any]] | Sequence[Iterable[Any]]


def ndcg_score(
    y_true: ItemLists | NDArray[Any] | sp.sparray | sp.spmatrix,
    y_rec: ItemLists | NDArray[Any],
    *,
    k: int | None = None,
    ideal: str = "cutoff",
    no_recommendations: str = "zero",
) -> float:
    """Return the mean normalized discounted cumulative gain of ranked lists.

    For one user with the set `truth` and the list `rec`, cut at `k`::

        DCG  = sum over ranks r = 1, 2, ... of  [rec[r] in truth] / log2(r + 1)
        IDCG = sum over ranks r = 1 ... n    of  1 / log2(r + 1)
        NDCG = DCG / IDCG

    where n is `min(k, len(truth))` or `len(truth)`, as `ideal` says. Relevance is binary, and an
    item that a list repeats counts at its first place only. Users without truth are left out of
    the mean.

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

    Returns
    -------
    ndcg : float
        Between 0 and 1.

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
    check_choice("no_recommendations", no_recommendations, ("zero", "omit"))
    if k is not None:
        check_integer("k", k, low=1)
    y_true, y_rec = _by_position(y_true, y_rec)
    truth, places = _pairs(y_true), _pairs(y_rec)
    if k is not None:
        places = _Pairs(*(column[places.ranks < k] for column in places))
    relevant, hit = _match(truth, places)
    if isinstance(y_true, np.ndarray) and not relevant.all():
        raise ValueError(
            "y_true repeats items within a row: an array is read as item indices. Pass a "
            "users x items matrix of relevance as a sparse matrix."
        )
    n_users = len(y_rec)
    n_relevant = np.bincount(truth.users[relevant], minlength=n_users)

    n_ranks = max(n_relevant.max(initial=0), places.ranks.max(initial=0) + 1)
    gain = 1 / np.log2(np.arange(2, n_ranks + 2))
    dcg = np.bincount(places.users[hit], weights=gain[places.ranks[hit]], minlength=n_users)
    n_ideal = n_relevant if ideal == "full" or k is None else np.minimum(k, n_relevant)
    idcg = np.concatenate([[0.0], np.cumsum(gain)])[n_ideal]

    counted = n_relevant > 0
    if no_recommendations == "omit":
        counted &= np.bincount(places.users, minlength=n_users) > 0
    if not counted.any():
        raise ValueError(
            f"NDCG is not defined: none of {n_users:,} users has held-out items"
            + (" and recommendations." if no_recommendations == "omit" else ".")
            + " Users need two or more items for one to be held out."
        )
    return float(np.mean(dcg[counted] / idcg[counted]))


class _Pairs(NamedTuple):
    """One entry for each place of each user's list that holds an item."""

    users: NDArray[np.intp]  # by position
    items: NDArray[Any]  # ids or indices
    ranks: NDArray[np.intp]  # places in the list, from 0


def _by_position(y_true: Any, y_rec: Any) -> tuple[Any, Any]:
    """Return truth and recommendations with the same user at the same position."""
    if isinstance(y_true, Mapping) != isinstance(y_rec, Mapping):
        raise TypeError(
            f"y_true is a {type(y_true).__name__} and y_rec a {type(y_rec).__name__}: pass dicts "
            "by user for both, or lists, arrays or matrices by position for both."
        )
    if isinstance(y_true, Mapping):
        return list(y_true.values()), [y_rec.get(user, ()) for user in y_true]
    n_true = y_true.shape[0] if hasattr(y_true, "shape") else len(y_true)
    if n_true != len(y_rec):
        raise ValueError(f"y_true has {n_true:,} users and y_rec {len(y_rec):,}; expected as many.")
    return y_true, y_rec


def _pairs(lists: Any) -> _Pairs:
    if sp.issparse(lists):
        matrix = canonical(lists).tocoo()
        users, items = matrix.coords
        return _Pairs(users.astype(np.intp), items, np.zeros(len(users), dtype=np.intp))
    if isinstance(lists, np.ndarray):
        return _pairs_of_array(lists)
    if any(isinstance(items, str) for items in lists):
        raise TypeError("Each user needs a list of items, found a single string.")
    rows = [list(items) for items in lists]
    lengths = np.array([len(items) for items in rows], dtype=np.intp)
    users = np.repeat(np.arange(len(rows)), lengths)
    ranks = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    items = np.empty(len(users), dtype=object)
    items[:] = list(chain.from_iterable(rows))
    held = np.array([item is not None for item in items], dtype=bool)
    return _Pairs(users[held], items[held], ranks[held])


def _pairs_of_array(lists: NDArray[Any]) -> _Pairs:
    if lists.ndim != 2:
        raise ValueError(f"An array needs shape (n_users, n_places), got {lists.shape}.")
    held = lists >= 0 if lists.dtype.kind in "iu" else lists != np.array(None)
    users, ranks = np.nonzero(held)
    return _Pairs(users, lists[held], ranks)


def _match(truth: _Pairs, places: _Pairs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which truths are no repetition, and which places hold one for the first time."""
    # One number for each (user, item): hashing those is what the whole measure costs.
    codes, distinct = pd.factorize(np.concatenate([truth.items, places.items]))
    n_truths = len(truth.items)
    true_keys = pd.Index(truth.users * len(distinct) + codes[:n_truths])
    keys = pd.Index(places.users * len(distinct) + codes[n_truths:])
    hit = np.asarray(keys.isin(true_keys))
    hit[hit] = ~keys[hit].duplicated()
    return ~true_keys.duplicated(), hit
