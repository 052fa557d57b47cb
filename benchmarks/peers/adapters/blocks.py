"""Ranking in blocks of users, and by scores, for libraries that do not do it themselves."""

import numpy as np

BLOCK = 1024


def best_unseen(scores: np.ndarray, seen, k: int) -> np.ndarray:
    """Return the `k` best items of each row, best first, without what it has seen."""
    scores[seen.nonzero()] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


class RankedInBlocks:
    """A library that ranks rows: `_ranked(rows, k)` returns the best items of each row of `X`."""

    def rank(self, users, k):
        """Rank blocks of rows, so that the scores of all users are not in memory together."""
        blocks = [users[start : start + BLOCK] for start in range(0, len(users), BLOCK)]
        return np.concatenate([self._ranked(self.X[block], k) for block in blocks])

    def request(self, row, user, k):
        """Rank one row."""
        return self._ranked(row, k)[0]
