"""Linear algebra: csr rows, Gram matrices, inverses. It knows no model."""
