"""Linear algebra: csr rows, Gram matrices and inverses. No users, items or models."""
