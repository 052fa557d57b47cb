"""The closed form, primal and dual, against a ridge regression for each column in float64."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from shallow_ae import ShallowAutoEncoder, _closed_form

PARAMETERS = st.fixed_dictionaries(
    {
        "regularization": st.sampled_from([0.01, 0.1, 1.0]),
        "dropout": st.sampled_from([0.0, 0.4]),
        "diagonal_slack": st.sampled_from([0.0, 0.15, 0.9, 1.0]),
        "user_exponent": st.sampled_from([0.0, 0.5, -0.5]),
        "item_exponent": st.sampled_from([0.0, 0.3, -0.3]),
    }
)


@st.composite
def problems(draw):
    """Return interactions, with empty and repeated rows, empty columns, one user or one item."""
    n_users, n_items = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = (rng.random((n_users, n_items)) < draw(st.sampled_from([0.2, 0.5, 0.9]))) * 1.0
    X *= rng.uniform(0.5, 2, size=X.shape)
    X = X[rng.integers(n_users, size=n_users)] if draw(st.booleans()) else X
    X[draw(st.integers(0, n_users - 1)) :, draw(st.integers(0, n_items - 1)) :] = 0
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], size=n_users) if draw(st.booleans()) else None
    return X, (weights if weights is None or weights.any() else None)


def ridge_columns(X, sample_weight, parameters):
    """Return P, each column a ridge regression by scikit-learn on the other ones.

    Penalties that differ by item are put into the columns' scale. The slack multiplier of an item
    is a penalty on its own weight that holds it at `diagonal_slack`, found by bisection.
    """
    seen = X != 0
    given_weights = np.ones(len(X)) if sample_weight is None else sample_weight
    w = given_weights * np.maximum(seen.sum(axis=1), 1.0) ** -parameters["user_exponent"]
    squares = w @ X**2
    p = parameters["dropout"]
    penalty = w.sum() * parameters["regularization"] + p / (1 - p) * squares
    P = np.zeros((X.shape[1], X.shape[1]))
    for j in range(X.shape[1]):

        def column(extra, j=j):
            """Return the weights with a penalty of `extra` more on the item's own."""
            scale = np.sqrt(penalty + extra * (np.arange(len(penalty)) == j))
            ridge = Ridge(1.0, fit_intercept=False, solver="cholesky")
            return ridge.fit(X / scale, X[:, j], sample_weight=w).coef_ / scale

        low, high = 0.0, 1e18
        if column(0)[j] > parameters["diagonal_slack"]:
            for _ in range(200):
                middle = np.sqrt((low + 1e-30) * high)
                too_low = column(middle)[j] > parameters["diagonal_slack"]
                low, high = (middle, high) if too_low else (low, middle)
            P[:, j] = column(high)
        else:
            P[:, j] = column(0)
        if parameters["diagonal_slack"] == 0 and X.shape[1] > 1:
            others = np.arange(X.shape[1]) != j
            scale = np.sqrt(penalty[others])
            ridge = Ridge(1.0, fit_intercept=False, solver="cholesky")
            ridge.fit(X[:, others] / scale, X[:, j], sample_weight=w)
            P[others, j] = ridge.coef_ / scale
    np.fill_diagonal(P, 0)
    counts = np.where(given_weights @ seen > 0, given_weights @ seen, 1)
    return P * (counts[None, :] / counts[:, None]) ** parameters["item_exponent"]


def exact(X, sample_weight, parameters, *, dual):
    """Return the model of one of the two forms, whatever the shape."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_closed_form, "is_dual", lambda n_users, n_items: dual)
        return ShallowAutoEncoder(solver="exact", **parameters).fit(X, sample_weight=sample_weight)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(problem=problems(), parameters=PARAMETERS)
def test_primal_dual_and_ridge_columns_agree(problem, parameters):
    X, sample_weight = problem
    expected = ridge_columns(X, sample_weight, parameters)
    size = max(np.abs(expected).max(), 1e-300)
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-4)):
        for dual in (False, True):
            model = exact(sp.csr_array(X.astype(dtype)), sample_weight, parameters, dual=dual)
            assert model.item_weights_.dtype == dtype
            error = np.abs(model.item_weights_ - expected).max() / max(size, 1e-3)
            assert error < tolerance, (dtype, dual, error)
