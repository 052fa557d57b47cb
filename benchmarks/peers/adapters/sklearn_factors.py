"""scikit-learn: TruncatedSVD and NMF, ranked by NumPy."""

import scipy.sparse as sp

from adapters.blocks import rank_in_blocks


class Factors:
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

    def rank(self, users, k):
        """Rank blocks of rows."""
        return rank_in_blocks(self._scores, self.X, users, k)

    def request(self, row, user, k):
        """Rank one row."""
        return rank_in_blocks(self._scores, row, [0], k)[0]

    def _scores(self, rows):
        return self.model.transform(rows) @ self.model.components_
