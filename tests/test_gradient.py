"""The gradient solver against plain NumPy, and against itself in other cuts and types."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from bounds import rounding
from scipy.stats import kstest

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder
from shallow_ae._solvers.gradient_descent import host_weights
from shallow_ae._solvers.gradient_descent import step as step_module
from shallow_ae._solvers.gradient_descent.minibatches import (
    MinibatchStream,
    partition_users,
    sample_batches,
)
from shallow_ae._solvers.gradient_descent.sizes import choose_layout
from shallow_ae.datasets import make_listens
from shallow_ae.models import descent_rows

NOTEBOOK = {
    "regularization": 0.02,
    "learning_rate": 0.05,
    "learning_rate_decay": 0.99,
    "max_iter": 100,
    "batch_size": 1024,
    "init_scale": 1e-3,
}
# Each step rounds D = P - I once, whose largest entries are 1, and takes no two D further apart: of
# two descents of n steps, weights differ by rounding(n). What a step adds is smaller than D.


@pytest.fixture(scope="module")
def listens():
    """Log-weighted listens of 1,500 users to 203 songs, each song heard, in float64."""
    frame, _ = make_listens(1500, 203, items_per_user=20, random_state=0)
    return LogCountTransformer().fit_transform(IdMapper().fit_transform(frame).astype(np.float64))


def notebook_weights(X, seed):
    """Return P after the notebook's run: dense, one product after the other, nothing shared."""
    X = X.toarray()
    n_users, n_items = X.shape
    generator = np.random.default_rng(np.random.RandomState(seed).randint(np.iinfo(np.int32).max))
    start, batches, *_ = generator.spawn(4)
    P = step_module.random_start(np.ones(n_items), 1e-3, X.dtype, start)
    learning_rate = 0.05
    for _ in range(100):
        x = X[batches.integers(n_users, size=1024)]
        gradient = 2 / 1024 * x.T @ (x @ P - x) + 2 * 0.02 * P
        P = P - learning_rate * gradient
        np.fill_diagonal(P, 0)
        learning_rate *= 0.99
    return P


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["sparse", "dense"])
def test_follows_the_notebook_step_by_step(listens, dtype, layout):
    X = listens.astype(dtype)
    X = X.toarray() if layout == "dense" else X

    model = ShallowAutoEncoder(**NOTEBOOK, random_state=3).fit(X)

    expected = notebook_weights(listens, seed=3)
    assert model.item_weights_.dtype == dtype
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=rounding(100, dtype))


def test_the_start_is_normal_with_an_empty_diagonal():
    counts = np.ones(600)
    counts[[3, 500]] = 0
    draws = [
        step_module.random_start(counts, 0.1, np.dtype(dtype), np.random.default_rng(0))
        for dtype in (np.float64, np.float32)
    ]
    np.testing.assert_allclose(draws[0], draws[1], rtol=rounding(1, np.float32))
    assert not draws[0][[3, 500]].any()
    assert not draws[0][:, [3, 500]].any()
    assert not draws[0].diagonal().any()
    values = draws[0][draws[0] != 0]
    assert len(values) == 598 * 597
    assert len(np.unique(values)) > 0.99 * len(values)  # no part is drawn twice
    assert kstest(values / 0.1, "norm").pvalue > 0.01  # of one seed: 0.93


def test_sparse_and_dense_input_agree(listens):
    sparse = ShallowAutoEncoder(random_state=0).fit(listens)
    dense = ShallowAutoEncoder(random_state=0).fit(listens.toarray())
    np.testing.assert_allclose(
        sparse.item_weights_, dense.item_weights_, rtol=0, atol=rounding(100)
    )
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=rounding(1500 * 203))


@pytest.mark.parametrize("layout", ["sparse", "dense"])
def test_the_layout_of_batches_follows_density_and_backend(listens, layout, monkeypatch):
    assert ShallowAutoEncoder(max_iter=1).fit(listens).batch_layout_ == "sparse"
    crowded = sp.csr_array(listens.toarray() + (np.arange(203) % 4 == 0))
    assert ShallowAutoEncoder(max_iter=1).fit(crowded).batch_layout_ == "dense"
    assert choose_layout(listens, "gpu") == "dense"
    expected = ShallowAutoEncoder(max_iter=9, random_state=0).fit(listens).item_weights_
    monkeypatch.setattr(descent_rows, "choose_layout", lambda *_: layout)
    for X in (listens, listens.toarray()):
        model = ShallowAutoEncoder(max_iter=9, random_state=0).fit(X)
        assert model.batch_layout_ == layout
        np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=rounding(9))


def test_float32_and_float64_agree(listens):
    double = ShallowAutoEncoder(random_state=0).fit(listens)
    single = ShallowAutoEncoder(random_state=0).fit(listens.astype(np.float32))
    assert single.item_weights_.dtype == np.float32
    np.testing.assert_allclose(
        single.item_weights_, double.item_weights_, rtol=0, atol=rounding(100, np.float32)
    )


@pytest.mark.parametrize("width", [1, 7, 203, 1000])
def test_weights_do_not_depend_on_the_width_of_a_block(listens, monkeypatch, width):
    expected = ShallowAutoEncoder(max_iter=10, random_state=0).fit(listens)
    monkeypatch.setattr(host_weights, "block_columns", lambda *_: width)
    model = ShallowAutoEncoder(max_iter=10, random_state=0).fit(listens)
    np.testing.assert_allclose(
        model.item_weights_, expected.item_weights_, rtol=0, atol=rounding(10)
    )


def one_block(X, rng):
    """Return all of a random D = P - I for the items of `X`."""
    block = rng.normal(size=(X.shape[1], X.shape[1])) / 100
    np.fill_diagonal(block, -1)
    return block


def one_batch(rows, weights, layout="sparse", **penalty):
    """Return a batch of all the rows; call it with x64 on."""
    settings = {"regularization": 0.02, "dropout": 0.0, **penalty}
    n_users = len(weights)
    draws = sample_batches(n_users, n_users, None)
    feed = MinibatchStream(rows, weights, draws, layout=layout, batch_size=n_users, **settings)
    return jax.tree.map(lambda leaf: leaf[0], feed.take(1, 1)[0])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("cut", [1, 100, 399])
def test_a_step_is_the_mean_of_the_steps_of_any_cut_of_its_batch(listens, cut, dropout):
    rng = np.random.default_rng(0)
    rows = listens[rng.integers(listens.shape[0], size=400)]
    weights = rng.uniform(0.5, 2, size=400)
    block = one_block(listens, rng)
    with jax.enable_x64(True):

        def stepped(part):
            batch = one_batch(rows[part], weights[part], dropout=dropout)
            return map(np.asarray, step_module.step(jnp.array(block), batch, 0, 1e-3, 0.0))

        whole, loss = stepped(slice(None))
        (first, first_loss), (second, second_loss) = stepped(slice(cut)), stepped(slice(cut, None))
    share = cut / 400
    np.testing.assert_allclose(
        whole, share * first + (1 - share) * second, rtol=0, atol=rounding(3)
    )
    np.testing.assert_allclose(
        loss, share * first_loss + (1 - share) * second_loss, rtol=rounding(400 * 203)
    )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("layout", ["sparse", "dense"])
def test_the_step_follows_the_gradient_of_the_loss(listens, layout, dropout):
    rng = np.random.default_rng(0)
    rows = listens[:50] if layout == "sparse" else listens[:50].toarray()
    dense = listens[:50].toarray()
    weights = rng.uniform(0.5, 2, size=50)
    P = one_block(listens, rng)
    np.fill_diagonal(P, rng.uniform(0, 0.1, size=len(P)))
    penalty = 0.02 + dropout / (1 - dropout) * (weights[:, None] * dense**2).mean(axis=0)

    def objective(P):
        residual = dense - dense @ P
        data = (weights * (residual**2).sum(axis=1)).mean()
        return data + (penalty[:, None] * P**2).sum()

    with jax.enable_x64(True):
        gradient = np.array(jax.grad(objective)(jnp.array(P)))
        batch = one_batch(rows, weights, layout, dropout=dropout)
        after, loss = map(np.asarray, step_module.step(P - np.eye(len(P)), batch, 0, 1e-3, 0.1))
    expected = P - 1e-3 * gradient
    np.fill_diagonal(expected, expected.diagonal().clip(0, 0.1))
    np.testing.assert_allclose(after + np.eye(len(P)), expected, rtol=0, atol=rounding(3))
    np.testing.assert_allclose(loss, objective(P), rtol=rounding(50 * 203))


def test_all_rows_in_every_step_do_not_depend_on_their_order(listens):
    order = np.random.default_rng(0).permutation(listens.shape[0])
    settings = {"batch_size": listens.shape[0], "random_state": 0}
    model = ShallowAutoEncoder(**settings).fit(listens)
    other = ShallowAutoEncoder(**settings).fit(listens[order])
    np.testing.assert_allclose(model.item_weights_, other.item_weights_, rtol=0, atol=rounding(100))


def test_a_weight_of_two_is_the_row_given_twice(listens):
    X = listens[:200]
    weights = np.random.default_rng(0).integers(0, 4, size=200)
    weighted = ShallowAutoEncoder(random_state=0).fit(X, sample_weight=weights)
    repeated = ShallowAutoEncoder(random_state=0).fit(X[np.repeat(np.arange(200), weights)])
    np.testing.assert_allclose(
        weighted.item_weights_, repeated.item_weights_, rtol=0, atol=rounding(100)
    )


def test_the_automatic_learning_rate_is_one_over_the_lipschitz_constant(listens):
    weights = np.random.default_rng(0).uniform(0, 3, size=listens.shape[0])
    model = ShallowAutoEncoder(regularization=0.3, max_iter=1, random_state=0)
    model.fit(listens, sample_weight=weights)
    gram = (listens.T @ (listens * weights[:, None])).toarray() / weights.sum()
    lipschitz = 2 * (np.linalg.eigvalsh(gram)[-1] + 0.3)
    assert model.learning_rate_ == pytest.approx(1 / lipschitz, rel=1e-9)  # seen: 2e-16


@pytest.mark.parametrize("learning_rate", [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0, 1e1, 1e2, 1e3])
@pytest.mark.parametrize("max_iter", [1, 40])
def test_any_learning_rate_trains_or_ends_in_a_clear_error(listens, learning_rate, max_iter):
    model = ShallowAutoEncoder(learning_rate=learning_rate, max_iter=max_iter, random_state=0)
    X = listens.astype(np.float32)
    if learning_rate <= 0.01:
        model.fit(X)
        assert np.isfinite(model.item_weights_).all()
        assert model.loss_curve_[-1] < model.loss_curve_[0] * 1.1  # batches differ; seen: 1.02
    elif learning_rate >= 10 or max_iter > 1:
        length = re.escape(f"{learning_rate:.3g}")
        told = rf"after step \d+, .* steps of {length}\. Lower `learning_rate`"
        with pytest.raises(ValueError, match=told):
            model.fit(X)
        assert not hasattr(model, "item_weights_")
    else:  # one step too long is not yet a hundredfold loss
        assert np.isfinite(model.fit(X).item_weights_).all()


def test_users_of_very_different_sizes_are_no_divergence():
    X = sp.csr_array(np.vstack([np.zeros((5, 40)), np.eye(40) / 50, np.ones((5, 40)) * 9]))
    model = ShallowAutoEncoder(batch_size=1, learning_rate=1e-5, max_iter=200, random_state=0)
    assert model.fit(X).n_iter_ == 200


def test_few_padded_sizes_serve_all_batches(listens):
    draws = sample_batches(listens.shape[0], 50, np.random.default_rng(0))
    settings = {"batch_size": 50, "regularization": 0.02, "dropout": 0.0}
    feed = MinibatchStream(listens, np.ones(1500), draws, layout="sparse", **settings)
    with jax.enable_x64(True):
        sizes = {feed.take(3, 3)[0].rows.data.shape for _ in range(100)}
    assert len(sizes) <= 2  # for sums that differ by half


def test_a_stack_holds_its_batches_whatever_their_sizes(listens):
    draws = [np.arange(7), np.arange(10, 16)]
    weights = np.random.default_rng(0).uniform(size=1500)
    for layout, batch_size in itertools.product(["sparse", "dense"], [7, 100]):
        settings = {"batch_size": batch_size, "regularization": 0.1, "dropout": 0.5}
        feed = MinibatchStream(listens, weights, iter(draws), layout=layout, **settings)
        with jax.enable_x64(True):
            stack, zero_losses = feed.take(2, 3)
            products = [
                np.asarray(jax.tree.map(lambda leaf, i=i: leaf[i], stack.rows) @ jnp.eye(203))
                for i in range(3)
            ]
        n_rows = 7 if batch_size == 7 else 64  # filled up with users that have and weigh nothing
        assert stack.weights.shape == (3, n_rows)
        for i, users in enumerate(draws):
            rows = listens[users].toarray()
            np.testing.assert_array_equal(products[i][: len(users)], rows)
            assert not products[i][len(users) :].any()
            of_rows = weights[users] / len(users)
            np.testing.assert_allclose(stack.weights[i][: len(users)], of_rows, rtol=rounding(1))
            assert not stack.weights[i][len(users) :].any()
            mean_squares = of_rows @ rows**2
            np.testing.assert_allclose(stack.penalty[i], 0.1 + mean_squares, rtol=rounding(7))
            assert zero_losses[i] == pytest.approx(mean_squares.sum(), rel=rounding(7 * 203))
        np.testing.assert_array_equal(products[1], products[2])


@pytest.mark.slow
def test_calls_with_any_number_of_rows_share_what_is_compiled(listens):
    step_module.steps.clear_cache()
    model = ShallowAutoEncoder(random_state=0)
    rng = np.random.default_rng(0)
    for n_rows in rng.integers(1, 1000, size=40):
        model.partial_fit(listens[rng.integers(listens.shape[0], size=n_rows)])
    assert step_module.steps._cache_size() <= 12


def test_repeated_fits_share_what_is_compiled(listens):
    step_module.steps.clear_cache()
    for seed in range(5):
        ShallowAutoEncoder(max_iter=20, batch_size=300, random_state=seed).fit(listens)
    assert step_module.steps._cache_size() <= 2
    step_module.steps.clear_cache()
    for n_users in (1000, 1001, 1010):  # as folds have
        ShallowAutoEncoder(max_iter=3).fit(listens[:n_users])
    assert step_module.steps._cache_size() == 1


def test_batches_without_interactions_are_empty():
    empty = sp.csr_array((3, 4), dtype=np.float32)
    batch = one_batch(empty, np.ones(3, np.float32))
    np.testing.assert_array_equal(batch.rows @ jnp.ones((4, 2), jnp.float32), np.zeros((3, 2)))
    np.testing.assert_array_equal(batch.columns @ jnp.ones((3, 2), jnp.float32), np.zeros((4, 2)))


def test_dealt_users_are_each_user_once_in_batches_of_nearly_one_size():
    parts = partition_users(23, 5, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(23))
    assert [len(part) for part in parts] == [5, 5, 5, 4, 4]
    assert partition_users(5, 5, np.random.default_rng(0)) == [slice(None)]


def test_a_batch_of_all_users_is_no_draw():
    rng = np.random.default_rng(0)
    assert next(sample_batches(10, 10, rng)) == slice(None)
    assert next(sample_batches(10, 9, rng)).shape == (9,)


def test_items_that_nobody_has_get_weight_zero(listens):
    X = listens.tolil()
    X[:, [0, 50]] = 0
    model = ShallowAutoEncoder(random_state=0).fit(X.tocsr())
    assert not model.item_weights_[[0, 50]].any()
    assert not model.item_weights_[:, [0, 50]].any()
    assert np.count_nonzero(model.item_weights_) == 201 * 200
