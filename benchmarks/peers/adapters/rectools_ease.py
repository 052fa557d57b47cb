"""RecTools: EASEModel."""

import numpy as np


class RecToolsEASE:
    """EASE by NumPy's inverse. RecTools ranks users of its Dataset, not rows."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty

    def load(self, X, threads: int) -> None:
        """Make a Dataset of the entries."""
        import pandas as pd
        from rectools.dataset import Dataset
        from rectools.models import EASEModel

        entries = X.tocoo()
        frame = pd.DataFrame(
            {"user_id": entries.row, "item_id": entries.col, "weight": entries.data}
        )
        self.data = Dataset.construct(frame.assign(datetime="2020-01-01"))
        self.model = EASEModel(regularization=self.penalty, recommend_n_threads=threads)

    def fit(self) -> None:
        """Fit the model."""
        self.model.fit(self.data)

    def rank(self, users, k):
        """Rank many users, and put the frame of answers into rows."""
        found = self.model.recommend(users, self.data, k=k, filter_viewed=True)
        rows = np.searchsorted(users, found["user_id"].to_numpy())
        answer = np.full((len(users), k), -1)
        answer[rows, found["rank"].to_numpy() - 1] = found["item_id"].to_numpy()
        return answer

    def request(self, row, user, k):
        """Rank one user."""
        found = self.model.recommend([user], self.data, k=k, filter_viewed=True)
        return found["item_id"].to_numpy()
