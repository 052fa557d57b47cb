"""implicit: alternating least squares, and nearest items by cosine or BM25."""

import numpy as np
import scipy.sparse as sp


class Implicit:
    """A model of implicit by its kind: als, cosine or bm25."""

    def __init__(self, kind: str, **settings) -> None:
        self.kind, self.settings = kind, settings

    def load(self, X, threads: int) -> None:
        """Keep the rows as the matrix class that implicit takes."""
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

        kinds = {
            "als": AlternatingLeastSquares,
            "cosine": CosineRecommender,
            "bm25": BM25Recommender,
        }
        more = {"random_state": 0} if self.kind == "als" else {}
        self.X = sp.csr_matrix(X)
        self.model = kinds[self.kind](num_threads=threads, **self.settings, **more)

    def fit(self) -> None:
        """Fit without the progress bar."""
        self.model.fit(self.X, show_progress=False)

    def rank(self, users, k):
        """Rank many users."""
        return self.model.recommend(np.asarray(users), self.X[users], N=k)[0]

    def request(self, row, user, k):
        """Rank one user."""
        return self.model.recommend(user, row, N=k)[0]
