"""Linear algebra: csr rows, Gram matrices, inverses. It knows no users and no items."""
