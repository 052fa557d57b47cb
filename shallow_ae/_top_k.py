"""The best k of a row, in a stated order: by falling score, equal scores by rising item.

A heap of the k best so far, the worst on top, costs a dozen mispredicted branches for each item
that enters it, and hundreds do. So a floor is looked for first, by bisection: a score that little
more than k of the row reach. To count those is a pass at the speed of the cache, and only they meet
the heap. How good the floor is decides about time, never about the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._compiled import compiled
from shallow_ae._validation import Array

_PASSES = 30
_STRIDE = 16  # scores looked at together, most often to find that none is good enough


@compiled
def offer_all(values: Array, ids: Array, n: int, items: Array, scores: Array) -> int:
    """Make `items` and `scores` a heap of the best of `n` values, and return how many it holds.

    -inf and NaN are not offered. The heap's top is the worst of it, and comes first; `in_order`
    makes it a ranking.
    """
    k = len(items)
    held = 0
    bar = floor(values, n, k)
    start = 0
    while start < n:
        stop = min(start + _STRIDE, n)
        if stop - start == _STRIDE:
            any_reach = False
            for place in range(start, start + _STRIDE):
                any_reach |= values[place] >= bar
            if not any_reach:
                start = stop
                continue
        for place in range(start, stop):
            if values[place] >= bar:
                held = _offer(values[place], ids[place], items, scores, held)
                if held == k:
                    bar = max(bar, scores[0])
        start = stop
    return held


@compiled
def in_order(items: Array, scores: Array, held: int) -> None:
    """Turn a heap into a ranking, best first, with -1 and NaN in the places that are left."""
    for last in range(held - 1, 0, -1):
        score, item = scores[last], items[last]
        scores[last], items[last] = scores[0], items[0]
        _sift_down(score, item, items, scores, last)
    for place in range(held, len(items)):
        scores[place] = np.nan
        items[place] = -1


@compiled
def floor(values: Array, n: int, k: int) -> Any:
    """Return a finite number that at least `k` of the first `n` values reach, if that many can."""
    found = np.finfo(values.dtype).min
    if n <= 2 * k:
        return found
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


@compiled
def _finite_range(values: Array, n: int) -> tuple[Any, Any]:
    low, high = np.inf, -np.inf
    for place in range(n):
        value = values[place]
        if -np.inf < value < np.inf:
            low = min(low, value)
            high = max(high, value)
    return low, high


@compiled
def _count_reaching(values: Array, n: int, bar: Any) -> int:
    n_reach = 0
    for place in range(n):
        n_reach += values[place] >= bar
    return n_reach


@compiled
def _offer(score: float, item: int, items: Array, scores: Array, held: int) -> int:
    """Put an item into the heap if it is among the best, and return how many it holds then."""
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


@compiled
def _sift_down(score: float, item: int, items: Array, scores: Array, n: int) -> None:
    """Put an item in place of the top of a heap of `n`."""
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


@compiled
def _precedes(score: float, item: int, other_score: float, other_item: int) -> bool:
    """Return whether an item stands before another: the one order, everywhere."""
    return score > other_score or (score == other_score and item < other_item)
