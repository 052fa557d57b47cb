"""SANSA: a sparse approximate inverse from an incomplete or a truncated Cholesky factor."""

import scipy.sparse as sp

from adapters.blocks import RankedInBlocks, best_unseen


class SANSA(RankedInBlocks):
    """SANSA by its factorizer: ICF, or CHOLMOD for catalogues of some thousand items."""

    def __init__(self, factorizer: str, penalty: float, density: float) -> None:
        self.factorizer, self.penalty, self.density = factorizer, penalty, density

    def load(self, X, threads: int) -> None:
        """Keep the rows as the matrix class that SANSA takes."""
        import sansa

        inverter = sansa.UMRUnitLowerTriangleInverterConfig(scans=1, finetune_steps=5)
        settings = sansa.SANSAConfig(
            l2=self.penalty,
            weight_matrix_density=self.density,
            gramian_factorizer_config=getattr(sansa, f"{self.factorizer}GramianFactorizerConfig")(),
            lower_triangle_inverter_config=inverter,
        )
        self.X, self.model = sp.csr_matrix(X), sansa.SANSA(settings)

    def fit(self) -> None:
        """Fit the factors of the weights."""
        self.model.fit(self.X)

    def _ranked(self, rows, k):  # SANSA's scores of a call are one sparse matrix
        try:
            return self.model.recommend(rows, k=k, mask_input=True)[0]
        except ValueError:  # SANSA refuses rows of users with fewer than k items that have a score
            return best_unseen(self.model.forward(rows).toarray(), rows, k)
