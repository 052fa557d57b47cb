"""warm_up: compiles functions ahead of time that would otherwise be compiled at their first use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._weights.candidate_lists import CandidateFilter, ItemLists

__all__ = ["warm_up"]


def warm_up(
    *, fitting: bool = False, dtypes: Sequence[Any] = (np.float32,), verbose: int = 0
) -> None:
    """Compile the functions that recommendations need, and save them to Numba's cache.

    Without this call, each function is compiled when it is first used, which takes seconds. A later
    process reads the machine code from the cache and compiles nothing, even if it cannot write to
    the folder of the cache.

    Parameters
    ----------
    fitting : bool, default=False
        Also compile the functions that fits of SparseShallowAutoEncoder and the ranking metrics
        need.
    dtypes : sequence of dtype, default=(numpy.float32,)
        The data types of the weights: float32, float64 or both. `item_weights_.dtype` is the data
        type of a fitted model; it depends on the data passed to `fit`.
    verbose : int, default=0
        1 shows a progress bar.

    Raises
    ------
    ValueError
        If `dtypes` holds another type.

    Notes
    -----
    With an empty cache, this takes about ten seconds for each data type. The environment variable
    NUMBA_CACHE_DIR names the folder of the cache. If it is not set, the cache is in `__pycache__`
    beside the modules or, if that cannot be written to, in the user's cache folder. Machine code is
    valid only for one kind of processor, for one version of Numba and of Python, and for the path
    of the package.

    Without `fitting`, neither pandas nor JAX is needed.

    `solver="sgd"` is not included: JAX compiles it at the first fit to data of each shape. Fits of
    SparseShallowAutoEncoder to Dask arrays are not included, either.

    Examples
    --------
    >>> import shallow_ae
    >>> shallow_ae.warm_up()
    """
    types = [_checked(dtype) for dtype in dtypes]
    tasks = [(_rank, dtype) for dtype in types]
    if fitting:
        tasks += [(_fit, dtype) for dtype in types] + [(_measure, np.dtype(np.int64))]
    from shallow_ae._runtime.progress import progress_bar

    with progress_bar(len(tasks), "compile", "part", verbose=verbose) as bar:
        for task, dtype in tasks:
            task(dtype)
            bar.advance(1)


def _checked(dtype: Any) -> np.dtype[Any]:
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked not in (np.float32, np.float64):
        raise ValueError(f"`dtypes` holds {checked}, expected float32 or float64.")
    return checked


def _rank(dtype: np.dtype[Any]) -> None:
    """Compile what scores, rankings, filters and reasons need, for all forms of weights."""
    from shallow_ae._weights.item_weights import DenseWeights, ItemWeights, SparseWeights
    from shallow_ae._weights.low_rank import LowRankWeights
    from shallow_ae._weights.ranking import all_scores, best_items, explain_scores
    from shallow_ae._weights.weighted_sum import weighted_sum

    P, X = sp.csr_array(np.eye(2, k=1, dtype=dtype)), sp.csr_array(np.eye(1, 2, dtype=dtype))
    dense, sparse = DenseWeights(P.toarray()), SparseWeights(P)
    vector = np.ones(2, dtype)
    low_rank = LowRankWeights(vector[:, None], vector, vector)  # ranked as dual weights are
    parts = [ItemWeights(form) for form in (dense, sparse)]
    for form in (dense, sparse, low_rank, weighted_sum(parts, [0.5, 0.5]).form):
        best_items(form, X, 1, _no_filter())
        all_scores(form, X)
    explain_scores(dense, X, np.zeros((1, 1), np.int64), 1)


def _no_filter() -> CandidateFilter:
    """Return a filter of one user that leaves out nothing. All filters have the same types."""
    nothing = ItemLists(np.zeros(1, np.int64), np.zeros(1, np.int64), np.empty(0, np.int32))
    return CandidateFilter(nothing, nothing, nothing, False)


def _fit(dtype: np.dtype[Any]) -> None:
    """Compile what a fit of SparseShallowAutoEncoder needs."""
    from shallow_ae.models.sparse import SparseShallowAutoEncoder

    SparseShallowAutoEncoder(n_neighbors=1).fit(np.tri(3, dtype=dtype))


def _measure(dtype: np.dtype[Any]) -> None:
    """Compile what metrics of ranked lists of item indices need."""
    from shallow_ae.metrics import ndcg_score

    ndcg_score(np.zeros((1, 1), dtype), np.zeros((1, 1), dtype), k=1)
