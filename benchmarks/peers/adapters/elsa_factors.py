"""ELSA: low-rank weights by gradient descent in torch."""

import numpy as np
import scipy.sparse as sp

from adapters.blocks import BLOCK, RankedInBlocks


class ELSA(RankedInBlocks):
    """ELSA on the processor."""

    def __init__(self, factors: int, epochs: int, batch_size: int, learning_rate: float) -> None:
        self.factors, self.epochs = factors, epochs
        self.batch_size, self.learning_rate = batch_size, learning_rate

    def load(self, X, threads: int) -> None:
        """Keep the rows as the matrix class that ELSA takes."""
        import elsa
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.X = sp.csr_matrix(X)
        device = torch.device("cpu")
        self.model = elsa.ELSA(X.shape[1], self.factors, device=device, lr=self.learning_rate)

    def fit(self) -> None:
        """Train for a number of epochs."""
        self.model.fit(
            self.X, epochs=self.epochs, batch_size=self.batch_size, shuffle=True, verbose=False
        )

    def _ranked(self, rows, k):
        import torch

        with torch.inference_mode():
            scores = self.model.predict(rows, batch_size=BLOCK)
            seen = torch.from_numpy(np.stack(rows.nonzero()))
            scores[seen[0].long(), seen[1].long()] = -torch.inf
            return torch.topk(scores, k).indices.numpy()
