"""Splits of interactions into a part to learn from and a part to be judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from shallow_ae._validation import canonical, check_real


def hold_out_items(
    X: Any, holdout: float = 0.2, *, random_state: Any = None
) -> tuple[sp.csr_array[Any], sp.csr_array[Any]]:
    """Hide a fraction of each user's items.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_users, n_items)
        Nonzero entries are interactions. It is not changed.
    holdout : float, default=0.2
        Fraction of each user's items to hide, between 0 and 1. Rounded to the nearest whole
        number, but at least one item where the user has two or more, and never all of them.
    random_state : int, RandomState instance or None, default=None
        Which items: pass an int for the same ones each time.

    Returns
    -------
    visible, hidden : csr_array of shape (n_users, n_items)
        `visible + hidden` is `X`, and no entry is in both.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import hold_out_items
    >>> X = np.array([[1, 1, 1, 1, 1], [0, 0, 2, 0, 2], [3, 0, 0, 0, 0]])
    >>> visible, hidden = hold_out_items(X, random_state=0)
    >>> hidden.count_nonzero(axis=1).tolist()
    [1, 1, 0]
    """
    check_real("holdout", holdout, low=0, high=1, open_low=True)
    X = canonical(X)
    per_user = np.diff(X.indptr)
    users = np.repeat(np.arange(X.shape[0]), per_user)
    order = np.lexsort((check_random_state(random_state).random_sample(X.nnz), users))
    place = np.empty(X.nnz, dtype=np.int64)  # of each interaction in a random order of its row
    place[order] = np.arange(X.nnz) - np.repeat(X.indptr[:-1], per_user)

    n_hidden = np.rint(holdout * per_user).astype(np.int64)
    n_hidden = np.minimum(np.maximum(n_hidden, 1), per_user - 1)  # -1 for empty rows hides none
    is_hidden = place < np.repeat(n_hidden, per_user)
    return _keep(X, ~is_hidden), _keep(X, is_hidden)


def _keep(X: sp.csr_array[Any], entries: Any) -> sp.csr_array[Any]:
    """Return a matrix of the given stored entries of `X` only."""
    indptr = np.concatenate([[0], np.cumsum(entries)])[X.indptr].astype(X.indptr.dtype)
    return sp.csr_array((X.data[entries], X.indices[entries], indptr), shape=X.shape)
