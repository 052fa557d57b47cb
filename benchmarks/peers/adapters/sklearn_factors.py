"""scikit-learn: TruncatedSVD and NMF, ranked by NumPy."""

import scipy.sparse as sp

from adapters.blocks import RankedInBlocks, best_unseen


class Factors(RankedInBlocks):
    """Scores are the product of a user's factors and the components."""

    def __init__(self, kind: str, **settings) -> None:
        self.kind, self.settings = kind, settings

    def load(self, X, threads: int) -> None:
        """Keep the rows."""
        from sklearn.decomposition import NMF, TruncatedSVD

        kind = {"svd": TruncatedSVD, "nmf": NMF}[self.kind]
        self.X = sp.csr_matrix(X)
        self.model = kind(**self.settings, random_state=0)

    def fit(self) -> None:
        """Fit the components."""
        self.model.fit(self.X)

    def _ranked(self, rows, k):
        return best_unseen(self.model.transform(rows) @ self.model.components_, rows, k)
