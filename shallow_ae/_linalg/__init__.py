"""Linear algebra: csr rows, Gram matrices, inverses. Independent of models."""
