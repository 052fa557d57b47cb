"""Hits among item indices, compiled."""

from __future__ import annotations

from typing import Any

from shallow_ae._runtime.compiled import compiled


@compiled
def mark_hits(starts: Any, truth: Any, ranked: Any, marks: Any, hits: Any, n_relevant: Any) -> None:
    """Mark the hits of each user and count what was relevant.

    An item counts once, at its first place, and negative ones are empty places.

    Parameters
    ----------
    starts : ndarray of int64 of shape (n_users + 1,)
        Where each user's part of `truth` begins.
    truth : ndarray of int of shape (n_relevant,)
    ranked : ndarray of int of shape (n_users, n_places)
    marks : ndarray of bool of shape (n_items,)
        All False, before and after.
    hits : ndarray of bool of shape (n_users, n_places)
        To be written.
    n_relevant : ndarray of int64 of shape (n_users,)
        To be written.
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
