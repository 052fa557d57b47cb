"""shallow_ae: its five ways to fit, ranking by the estimators, requests also by ServingRecommender.

`penalty` is the unscaled lambda of EASE.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

# pandas imports pyarrow where it finds it. It is none of the library's requirements.
sys.modules["pyarrow"] = None


class ShallowAE:
    """An estimator by its kind: descent, exact, nearest, low_rank or sum."""

    def __init__(self, kind: str, **settings) -> None:
        self.kind, self.settings = kind, settings

    def load(self, X, threads: int) -> None:
        """Keep the rows."""
        self.X = X
        self.model = getattr(self, f"_{self.kind}")(**self.settings)

    def fit(self) -> None:
        """Fit the estimator."""
        self.model.fit(self.X)

    def rank(self, users, k):
        """Rank by the estimator."""
        return self.model.recommend(self.X[users], k=k)

    def request(self, row, user, k):
        """Rank one row by the estimator."""
        return self.model.recommend(row, k=k)[0]

    def serving(self, k):
        """Return a function of a history that ServingRecommender answers."""
        from shallow_ae import ServingRecommender, save_model

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.safetensors")
            save_model(self.model, file)
            recommender = ServingRecommender.load(file, memory_map=False).warm_up()
        return lambda history: recommender.recommend(history, k=k).items

    def _descent(self):
        from shallow_ae import ShallowAutoEncoder

        return ShallowAutoEncoder(random_state=0)

    def _exact(self, penalty):
        from shallow_ae import ShallowAutoEncoder

        return ShallowAutoEncoder(penalty / self.X.shape[0], solver="exact")

    def _nearest(self, penalty, **settings):
        from shallow_ae import SparseShallowAutoEncoder

        return SparseShallowAutoEncoder(penalty / self.X.shape[0], **settings)

    def _low_rank(self, **settings):
        from shallow_ae import LowRankAutoEncoder

        return LowRankAutoEncoder(random_state=0, **settings)

    def _sum(self, nearest, low_rank, weight):
        from shallow_ae import BlendedRecommender

        parts = [("near", self._nearest(**nearest)), ("tastes", self._low_rank(**low_rank))]
        return BlendedRecommender(parts, weights=[1.0, weight])


class MostPopular:
    """The items with the most users, the same for all, without what each has seen."""

    def load(self, X, threads: int) -> None:
        """Keep the rows."""
        from shallow_ae import PopularityRecommender

        self.X, self.model = X, PopularityRecommender()

    fit, rank, request = ShallowAE.fit, ShallowAE.rank, ShallowAE.request


def history(row) -> dict[int, float]:
    """Return a row as a mapping of columns to counts."""
    return dict(zip(row.indices.tolist(), np.asarray(row.data).tolist(), strict=True))
