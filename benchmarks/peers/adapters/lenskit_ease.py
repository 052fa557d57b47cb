"""LensKit: EASEScorer in its pipeline for top-n. It fits zeros and ones."""

import numpy as np


class LensKitEASE:
    """EASE by torch's Cholesky factor. LensKit ranks users of its Dataset one at a time."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def load(self, X, threads: int) -> None:
        """Make a Dataset of the entries."""
        import pandas as pd
        from lenskit.data import from_interactions_df
        from lenskit.knn.ease import EASEScorer
        from lenskit.pipeline import topn_pipeline

        entries = X.tocoo()
        self.threads = threads
        frame = pd.DataFrame({"user_id": entries.row, "item_id": entries.col})
        self.data = from_interactions_df(frame)
        self.pipeline = topn_pipeline(EASEScorer(regularization=self.penalty))

    def fit(self) -> None:
        """Train the pipeline on the processor."""
        from lenskit.training import TrainingOptions

        self.pipeline.train(self.data, TrainingOptions(device="cpu"))

    def rank(self, users, k):
        """Rank many users by LensKit's batch call."""
        from lenskit.batch import recommend

        found = recommend(self.pipeline, users.tolist(), k, n_jobs=1)
        answer = np.full((len(users), k), -1)
        for row, user in enumerate(users):
            items = found.lookup(user_id=user).ids()
            answer[row, : len(items)] = items
        return answer

    def request(self, row, user, k):
        """Rank one user."""
        from lenskit import recommend

        return recommend(self.pipeline, user, k).ids()
