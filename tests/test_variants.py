"""Many full steps of the gradient against the closed form of the same parameters, in float64."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from bounds import rounding

from shallow_ae import ShallowAutoEncoder

VARIANTS = {
    "ease": {},
    "weak": {"regularization": 0.05},
    "dropout": {"dropout": 0.4},
    "some slack": {"diagonal_slack": 0.15},
    "slack beyond ridge": {"diagonal_slack": 0.9},
    "ridge": {"diagonal_slack": 1.0},
    "light heavy users": {"user_exponent": 0.7},
    "heavy heavy users": {"user_exponent": -0.5},
    "popular up": {"item_exponent": 0.4},
    "popular down": {"item_exponent": -0.4},
    "all": {
        "regularization": 0.2,
        "dropout": 0.3,
        "diagonal_slack": 0.2,
        "user_exponent": 0.5,
        "item_exponent": 0.3,
    },
}


@pytest.fixture(scope="module")
def X():
    """Weighted interactions of 80 users with 12 items of skewed popularity, one had by nobody."""
    rng = np.random.default_rng(0)
    popularity = np.array([0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.2, 0.15, 0.1, 0.1, 0.05, 0])
    X = (rng.random((80, 12)) < popularity) * rng.uniform(0.5, 2, size=(80, 12))
    X[17] = 0
    return X


def closed_form(
    X,
    sample_weight=None,
    *,
    regularization=0.1,
    dropout=0.0,
    diagonal_slack=0.0,
    user_exponent=0.0,
    item_exponent=0.0,
):
    """Return P by one inverse, each variant a scaling of its rows and columns."""
    seen = X != 0
    w = np.ones(len(X)) if sample_weight is None else sample_weight
    item_users = np.maximum(w @ seen, 1e-300)
    w = w * np.maximum(seen.sum(axis=1), 1.0) ** -user_exponent
    G = X.T @ (w[:, None] * X)
    Lambda = w.sum() * regularization + dropout / (1 - dropout) * G.diagonal()
    C = np.linalg.inv(G + np.diag(Lambda))
    s = np.maximum((1 - diagonal_slack) / C.diagonal(), Lambda)
    P = -C * s[None, :]
    np.fill_diagonal(P, 0)
    return P * (item_users[None, :] / item_users[:, None]) ** item_exponent


def descended(X, sample_weight=None, **parameters):
    """Return the weights after so many full steps that more make no difference.

    (1 - 1 / condition)**1500 of the way is left, some e**-20. Seen: 1.4e-14 from the closed form.
    """
    model = ShallowAutoEncoder(
        **{"regularization": 0.1, **parameters},
        learning_rate_decay=1.0,
        max_iter=1500,
        batch_size=len(X) if isinstance(X, np.ndarray) else X.shape[0],
        random_state=0,
    )
    return model.fit(X, sample_weight=sample_weight).item_weights_


@pytest.mark.parametrize("variant", VARIANTS)
def test_many_full_steps_reach_the_closed_form(X, variant):
    parameters = VARIANTS[variant]
    expected = closed_form(X, **parameters)
    if "ridge" not in variant:
        assert np.abs(expected - expected.T).max() > 0.01  # a transposed P would not pass
    np.testing.assert_allclose(descended(X, **parameters), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("variant", ["ease", "all"])
def test_sparse_batches_reach_it_too(X, variant):
    wide = np.hstack([X, np.zeros((80, 60))])  # mostly zeros, so that the batches are sparse
    expected = np.zeros((72, 72))
    expected[:12, :12] = closed_form(X, **VARIANTS[variant])
    weights = descended(sp.csr_array(wide), **VARIANTS[variant])
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("variant", ["ease", "all"])
def test_sample_weights_reach_it_too(X, variant):
    sample_weight = np.random.default_rng(1).uniform(0, 3, size=len(X))
    expected = closed_form(X, sample_weight, **VARIANTS[variant])
    weights = descended(X, sample_weight, **VARIANTS[variant])
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-8)


def test_each_column_is_a_ridge_regression_on_the_other_columns(X):
    weights = descended(X)
    for j in range(X.shape[1]):
        others = np.delete(np.arange(X.shape[1]), j)
        A = X[:, others]
        gram = A.T @ A + len(X) * 0.1 * np.eye(len(others))
        ridge = np.linalg.solve(gram, A.T @ X[:, j])
        np.testing.assert_allclose(weights[others, j], ridge, rtol=0, atol=1e-8)


def test_dropout_is_the_mean_over_all_choices_of_what_is_hidden(X):
    X, p = X[:, :6], 0.4
    rng = np.random.default_rng(0)
    P = rng.normal(size=(6, 6))
    mean = 0.0
    for kept in itertools.product([0, 1], repeat=6):
        kept = np.array(kept)
        probability = np.prod(np.where(kept, 1 - p, p))
        mean += probability * ((X - (X * kept / (1 - p)) @ P) ** 2).sum() / len(X)
    penalty = p / (1 - p) * (X**2).mean(axis=0)
    expected = ((X - X @ P) ** 2).sum() / len(X) + penalty @ (P**2).sum(axis=1)
    assert mean == pytest.approx(expected, rel=1e-12)

    model = ShallowAutoEncoder(0.0, dropout=p, max_iter=1, init_scale=0.3, random_state=0)
    callback_weights = []
    model.set_params(max_iter=2, learning_rate=1e-3)
    model.fit(
        X, callback=lambda m: callback_weights.append(m.item_weights_.copy()), callback_every=1
    )
    P = callback_weights[0]
    expected = ((X - X @ P) ** 2).sum() / len(X) + penalty @ (P**2).sum(axis=1)
    assert model.loss_curve_[1] == pytest.approx(expected, rel=1e-12)


def test_users_of_weight_zero_leave_no_trace(X):
    extra = np.zeros((3, 12))
    extra[:, [0, 11]] = 5  # also of the item that nobody else has
    weights = np.append(np.ones(80), np.zeros(3))
    settings = {"batch_size": 1000, "random_state": 0, **VARIANTS["all"]}
    model = ShallowAutoEncoder(**settings).fit(np.vstack([X, extra]), sample_weight=weights)
    expected = ShallowAutoEncoder(**settings).fit(X)
    np.testing.assert_allclose(
        model.item_weights_, expected.item_weights_, rtol=0, atol=rounding(100)
    )
    np.testing.assert_array_equal(model.item_counts_, expected.item_counts_)
