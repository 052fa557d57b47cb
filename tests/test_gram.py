"""Weighted Gram matrices: sparse, half sparse or dense, the same."""

import numpy as np
import pytest
import scipy.sparse as sp
from bounds import rounding

from shallow_ae._linalg import gram as gram_module


@pytest.mark.parametrize(
    "way", [gram_module._add_sparse, gram_module._add_half_sparse, gram_module._add_dense]
)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 300), (300, 7), (150, 200)])
def test_each_way_adds_the_lower_triangle(monkeypatch, way, n, m):
    for name, value in {
        "_BLOCK_BYTES": 9999,
        "_WIDTH": 16,
        "_DENSE_WIDTH": 32,
        "_ENTRIES": 999,
    }.items():
        monkeypatch.setattr(gram_module, name, value)
    rng = np.random.default_rng(0)
    X = sp.random_array((m, n), density=0.2, rng=rng, format="csr")
    weights = rng.uniform(0.5, 2, size=m)
    gram = np.ones((n, n))
    way(X, weights, gram)
    expected = 1 + X.toarray().T @ np.diag(weights) @ X.toarray()
    np.testing.assert_allclose(np.tril(gram), np.tril(expected), rtol=rounding(1 + m))


def test_products_are_sparse_as_long_as_that_is_cheaper():
    def cheapest(density, n=3000):
        ways = gram_module._ways(n, np.full(5000, int(density * n)))
        return min(ways, key=lambda way: ways[way].as_dense)

    assert cheapest(0.001) is gram_module._add_sparse
    assert cheapest(0.03) is gram_module._add_half_sparse
    assert cheapest(0.5) is gram_module._add_dense


def test_many_equal_counts_do_not_overflow():
    X = sp.csr_array(np.full((300, 2), 255, dtype=np.float32))
    gram = np.zeros((2, 2), np.float32)
    gram_module.add_gram(X, np.ones(300, np.float32), gram)
    np.testing.assert_allclose(
        gram[np.tril_indices(2)], 255.0**2 * 300, rtol=rounding(300, np.float32)
    )
