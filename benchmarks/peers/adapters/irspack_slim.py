"""irspack: DenseSLIMRecommender, which is EASE."""

import numpy as np
import scipy.sparse as sp

from adapters.blocks import BLOCK


class DenseSLIM:
    """EASE by SciPy's inverse."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def load(self, X, threads: int) -> None:
        """Keep the rows, and the columns as ids."""
        from irspack.recommenders import DenseSLIMRecommender
        from irspack.utils import ItemIDMapper

        self.X, self.threads = sp.csr_matrix(X), threads
        self.model = DenseSLIMRecommender(self.X, reg=self.penalty)
        self.mapper = ItemIDMapper(list(range(X.shape[1])))

    def fit(self) -> None:
        """Learn the weights."""
        self.model.learn()

    def rank(self, users, k):
        """Rank blocks of rows by masked scores, as irspack's batch calls do."""
        answers = []
        for start in range(0, len(users), BLOCK):
            scores = self.model.get_score_cold_user_remove_seen(
                self.X[users[start : start + BLOCK]]
            )
            lists = self.mapper.score_to_recommended_items_batch(scores, k, n_threads=self.threads)
            answers += [[item for item, _ in answer] for answer in lists]
        return np.array(answers)

    def request(self, row, user, k):
        """Rank one row."""
        scores = self.model.get_score_cold_user_remove_seen(row)
        return [item for item, _ in self.mapper.score_to_recommended_items(scores[0], k)]
