"""Selection of the best scores of a row, compiled.

A heap with the worst item on top selects the best. Each insertion costs about a dozen mispredicted
branches, and hundreds of items would be inserted. Bisection therefore first finds a threshold that
slightly more than k scores reach, and only these scores are pushed. Of a long row, the maxima of
groups of scores are bisected instead of the scores: if k maxima reach a threshold, k scores do. The
threshold affects the time and never the result.

Numba compiles `min`, `max` and most of NumPy's functions anew for each type. Comparisons and loops,
which these functions consist of as well, take a fraction of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._runtime.compiled import callee, inlined
from shallow_ae._typing import Array

_PASSES = 30  # bisection steps, at most
_GROUPS = 512  # at least, of scores whose maxima are bisected instead of the scores
_GROUPS_PER_PLACE = 8  # the more groups, the fewer of the best scores share one
_STRIDE = 16  # scores that are compared with the threshold together; usually none reaches it


@callee
def n_groups(k: int) -> int:
    """Return how many maxima of groups :func:`keep_best` needs to find the `k` best values."""
    return _GROUPS_PER_PLACE * k if _GROUPS_PER_PLACE * k > _GROUPS else _GROUPS


@callee
def keep_best(values: Array, ids: Array, n: int, items: Array, scores: Array, maxima: Array) -> int:
    """Build a heap of the best finite values with the worst value on top, and return its size.

    `maxima` is a scratch array of `n_groups(len(items))` values.
    """
    k = len(items)
    held = 0
    bar = _score_threshold(values, n, k, maxima)
    for start in range(0, n, _STRIDE):
        stop = start + _STRIDE if start + _STRIDE < n else n
        if _count_reaching(values[start:stop], stop - start, bar) == 0:
            continue
        for place in range(start, stop):
            if values[place] >= bar and values[place] > -np.inf:
                held = _push(values[place], np.int64(ids[place]), items, scores, held)
                if held == k and scores[0] > bar:
                    bar = scores[0]
    return held


@callee
def sort_heap(items: Array, scores: Array, held: int) -> None:
    """Sort a heap, best first, and fill the remaining places with -1 and NaN."""
    for last in range(held - 1, 0, -1):
        score, item = scores[last], items[last]
        scores[last], items[last] = scores[0], items[0]
        _sift_down(score, item, items, scores, last)
    for place in range(held, len(items)):
        scores[place] = np.nan
        items[place] = -1


@inlined
def _score_threshold(values: Array, n: int, k: int, maxima: Array) -> Any:
    """Return a threshold that at least `k` of the first `n` values reach, or -inf."""
    found = values.dtype.type(-np.inf)
    if n <= 2 * k:
        return found
    if n >= 4 * len(maxima):
        _write_group_maxima(values, n, maxima)
        values, n = maxima, len(maxima)
    low, high = _finite_range(values, n)
    for _ in range(_PASSES):
        middle = values.dtype.type(low + (high - low) * 0.5)
        if not low < middle < high:
            break
        n_reach = _count_reaching(values, n, middle)
        if n_reach < k:
            high = middle
            continue
        low = found = middle
        if n_reach <= k + k // 4 + 8:
            break
    return found


@inlined
def _write_group_maxima(values: Array, n: int, maxima: Array) -> None:
    """Write the largest value of each group; every `len(maxima)`-th value is in the same group.

    A number that `k` of the maxima reach is reached by `k` of the values, and by few more.
    """
    n_groups = len(maxima)
    for group in range(n_groups):
        maxima[group] = -np.inf
    for start in range(0, n, n_groups):
        some = values[start : start + n_groups if start + n_groups < n else n]
        for group in range(len(some)):
            best = maxima[group]
            maxima[group] = some[group] if some[group] > best else best


@inlined
def _finite_range(values: Array, n: int) -> tuple[Any, Any]:
    low, high = np.inf, -np.inf
    for place in range(n):
        value = values[place]
        if -np.inf < value < np.inf:
            low = value if value < low else low
            high = value if value > high else high
    return low, high


@callee
def _count_reaching(values: Array, n: int, bar: Any) -> int:
    n_reach = 0
    for place in range(n):
        n_reach += values[place] >= bar
    return n_reach


@callee
def _push(score: float, item: Any, items: Array, scores: Array, held: int) -> int:
    """Push an item onto the heap if it is among the best, and return the size of the heap."""
    if held == len(items):
        if _precedes(score, item, scores[0], items[0]):
            _sift_down(score, item, items, scores, held)
        return held
    place = held
    while place > 0:
        parent = (place - 1) >> 1
        if _precedes(score, item, scores[parent], items[parent]):
            break
        scores[place], items[place] = scores[parent], items[parent]
        place = parent
    scores[place], items[place] = score, item
    return held + 1


@callee
def _sift_down(score: float, item: Any, items: Array, scores: Array, n: int) -> None:
    """Replace the top of a heap of `n` items, and restore the order of the heap."""
    place = 0
    while 2 * place + 1 < n:
        child = 2 * place + 1
        if child + 1 < n and _precedes(
            scores[child], items[child], scores[child + 1], items[child + 1]
        ):
            child += 1
        if not _precedes(score, item, scores[child], items[child]):
            break
        scores[place], items[place] = scores[child], items[child]
        place = child
    scores[place], items[place] = score, item


@callee
def _precedes(score: float, item: Any, other_score: float, other_item: int) -> bool:
    """Return whether an item ranks before another item: by higher score, then by lower index."""
    return score > other_score or (score == other_score and item < other_item)
