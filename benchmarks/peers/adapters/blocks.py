"""Ranking by scores in blocks of users, for libraries that return scores and no ranking."""

import numpy as np

BLOCK = 1024


def best_unseen(scores: np.ndarray, seen, k: int) -> np.ndarray:
    """Return the `k` best items of each row, best first, without what it has seen."""
    scores[seen.nonzero()] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def rank_in_blocks(score, X, users: np.ndarray, k: int) -> np.ndarray:
    """Rank with `score`, a function of rows to dense scores."""
    answers = []
    for start in range(0, len(users), BLOCK):
        rows = X[users[start : start + BLOCK]]
        answers.append(best_unseen(score(rows), rows, k))
    return np.concatenate(answers)
