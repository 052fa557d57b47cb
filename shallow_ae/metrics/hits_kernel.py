"""Hits among item indices, compiled."""

from __future__ import annotations

from typing import Any

from shallow_ae._runtime.compiled import compiled


@compiled
def mark_hits(starts: Any, truth: Any, ranked: Any, marks: Any, hits: Any, n_relevant: Any) -> None:
    """Mark the hits of each user and count the user's distinct relevant items.

    An item counts once, at its first place. Negative indices are empty places.

    Parameters
    ----------
    starts : ndarray of int64 of shape (n_users + 1,)
        Start of each user's relevant items in `truth`.
    truth : ndarray of int of shape (n_relevant,)
        Relevant item indices of all users, concatenated.
    ranked : ndarray of int of shape (n_users, n_places)
        Recommended item indices, best first.
    marks : ndarray of bool of shape (n_items,)
        Workspace; all False before and after the call.
    hits : ndarray of bool of shape (n_users, n_places)
        Output: True where the place holds a relevant item.
    n_relevant : ndarray of int64 of shape (n_users,)
        Output: the number of distinct relevant items of each user.
    """
    for user in range(len(ranked)):
        own = truth[starts[user] : starts[user + 1]]
        n_relevant[user] = 0
        for item in own:
            if item >= 0 and not marks[item]:
                marks[item] = True
                n_relevant[user] += 1
        for place in range(ranked.shape[1]):
            item = ranked[user, place]
            hits[user, place] = 0 <= item < len(marks) and marks[item]
            if hits[user, place]:
                marks[item] = False
        for item in own:
            if item >= 0:
                marks[item] = False
