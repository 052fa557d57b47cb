"""Ranking in blocks of users, and by scores, for libraries that do not do it themselves."""

import numpy as np

BLOCK = 1024


def best_unseen(scores: np.ndarray, seen, k: int) -> np.ndarray:
    """Return the `k` best items of each row, best first, without what it has seen."""
    scores[seen.nonzero()] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def in_blocks(rank, X, users: np.ndarray) -> np.ndarray:
    """Rank blocks of rows, where one call for all would have the scores of all in memory."""
    blocks = [users[start : start + BLOCK] for start in range(0, len(users), BLOCK)]
    return np.concatenate([rank(X[block]) for block in blocks])
