"""Values, weights and parameters at the ends of their ranges."""

import numpy as np
import pytest
import scipy.sparse as sp

from shallow_ae import ShallowAutoEncoder, ShallowAutoEncoderCV, SparseShallowAutoEncoder


def rows(shape=(60, 12), dtype=np.float64):
    return np.random.default_rng(0).poisson(0.5, shape).astype(dtype)


def weights_of(model):
    P = model.item_weights_
    return P.toarray() if sp.issparse(P) else P


MODELS = {
    "sgd": ShallowAutoEncoder(random_state=0, item_exponent=0.3),
    "exact": ShallowAutoEncoder(solver="exact", item_exponent=0.3),
    "nearest": SparseShallowAutoEncoder(n_neighbors=50, item_exponent=0.3),
    "search": ShallowAutoEncoderCV([0.1, 1.0], cv=3, item_exponent=0.3),
}
SHAPES = {"primal": (60, 12), "dual": (15, 40), "gram": (200, 8)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [1e-320, 1e-38, 1e38, 1e300])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_only_ratios_of_sample_weights_matter(name, shape, weight, dtype):
    X, model = rows(SHAPES[shape], dtype), MODELS[name]
    ones = np.ones(len(X))
    expected = model.fit(X, sample_weight=ones)
    losses = [] if name == "search" else expected.loss_curve_
    P = weights_of(expected)
    model = model.fit(X, sample_weight=ones * weight)
    # A weight below the smallest normal number has few digits: all weights are equal still.
    bound = 200 * np.finfo(dtype).eps * max(np.abs(P).max(), 1)
    np.testing.assert_allclose(weights_of(model), P, rtol=0, atol=bound)
    if name != "search":
        np.testing.assert_allclose(model.loss_curve_, losses, rtol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", MODELS)
def test_sample_weights_whose_sum_is_no_number_are_refused(name):
    with pytest.raises(ValueError, match=r"`sample_weight` sums up to more than .* divide by"):
        MODELS[name].fit(rows(), sample_weight=np.full(60, 1e308))


def test_updates_by_weights_out_of_all_proportion_keep_what_was_learned():
    X = rows((200, 8))
    model = ShallowAutoEncoder(0.5, solver="exact").fit(X, sample_weight=np.full(200, 1e-300))
    P = model.item_weights_
    model.partial_fit(X, sample_weight=np.full(200, 1e300))
    model.forget(X, sample_weight=np.full(200, 1e-300))
    eps = np.finfo(np.float64).eps
    np.testing.assert_allclose(model.item_weights_, P, rtol=0, atol=1e3 * eps)


@pytest.mark.parametrize("value", [1.0, 3e9, 1e12, 1e15])
def test_the_automatic_learning_rate_suits_values_of_any_size(value):
    X = (rows() > 0).astype(np.float32)
    expected = ShallowAutoEncoder(0.0, init_scale=0, random_state=0, batch_size=60).fit(X)
    model = ShallowAutoEncoder(0.0, init_scale=0, random_state=0, batch_size=60)
    model.fit(X * np.float32(value))
    assert model.learning_rate_ * value**2 == pytest.approx(expected.learning_rate_, rel=1e-4)
    losses = np.array(model.loss_curve_)
    assert (np.diff(losses) < 0).all()
    np.testing.assert_allclose(losses / value**2, expected.loss_curve_, rtol=1e-4)


def test_values_whose_squares_cannot_be_summed_are_refused_by_descent_too():
    with pytest.raises(ValueError, match="squares are too large for float32"):
        ShallowAutoEncoder().fit(rows(dtype=np.float32) * np.float32(1e19))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["sgd", "exact", "nearest"])
def test_a_regularization_too_large_for_the_type_is_called_so(name, shape):
    X = rows(SHAPES[shape], np.float32)
    model = MODELS[name]
    regularization = model.regularization
    try:
        with pytest.raises(ValueError, match=r"`regularization`=1e\+40 is too large for float32"):
            model.set_params(regularization=1e40).fit(X)
    finally:
        model.set_params(regularization=regularization)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["exact", "nearest"])
@pytest.mark.parametrize("slack", [0.0, 0.3, 1.0])
def test_the_loss_at_the_minimum_is_the_objective_for_small_values_too(name, shape, dtype, slack):
    X = (rows(SHAPES[shape]) * 1e-4).astype(dtype)
    n_neighbors = {"nearest": {"n_neighbors": X.shape[1] - 1}}.get(name, {"solver": "exact"})
    kind = SparseShallowAutoEncoder if name == "nearest" else ShallowAutoEncoder
    model = kind(0.02, diagonal_slack=slack, **n_neighbors).fit(X)
    X, P = X.astype(np.float64), weights_of(model).astype(np.float64)
    C = np.linalg.inv(X.T @ X + 0.02 * len(X) * np.eye(X.shape[1]))
    own = np.maximum((1 - slack) / C.diagonal(), 0.02 * len(X)) * C.diagonal()
    P += np.diag(1 - own)
    objective = ((X - X @ P) ** 2).sum() / len(X) + 0.02 * (P**2).sum()
    # Sums of squares of some hundred numbers, each right to the type's eps.
    assert model.loss_curve_[0] == pytest.approx(objective, rel=100 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_of_a_descent_is_the_objective_for_small_values_too(dtype):
    X = (rows() * 1e-4).astype(dtype)
    model = ShallowAutoEncoder(0.02, init_scale=0.0, max_iter=2).fit(X)
    objective = (X.astype(np.float64) ** 2).sum() / len(X)
    assert model.loss_curve_[0] == pytest.approx(objective, rel=100 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["sgd", "exact", "nearest"])
def test_the_loss_of_nothing_is_zero(name, shape):
    model = MODELS[name].fit(np.zeros(SHAPES[shape]))
    if name == "sgd":
        assert (np.array(model.loss_curve_) >= 0).all()
    else:
        assert model.loss_curve_ == [0.0]
