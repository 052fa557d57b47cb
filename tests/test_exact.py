"""The closed form, primal and dual, against a ridge regression for each column in float64."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from bounds import condition, rounding
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.version import Version
from problems import PARAMETERS, problems
from references import FORMS, computed, ridge_columns
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_info

from shallow_ae import ShallowAutoEncoder
from shallow_ae._objective import solution, training_data
from shallow_ae._weights import item_weights
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights


@given(
    problem=problems(),
    parameters=PARAMETERS,
    # float32 ends sooner in the dual, whose error grows faster with the condition.
    precision=st.sampled_from([(np.float64, 0.01), (np.float64, 1.0), (np.float32, 0.3)]),
)
def test_primal_dual_and_ridge_columns_agree(problem, parameters, precision):
    X, sample_weight = problem
    dtype, regularization = precision
    parameters = {"regularization": regularization, **parameters}
    expected = ridge_columns(X, sample_weight, parameters)
    size = max(np.abs(expected).max(), 1e-3)
    off = rounding(12, dtype) * condition(X, regularization, parameters["dropout"])
    for form in FORMS:
        with computed(form):
            model = ShallowAutoEncoder(solver="exact", **parameters)
            model.fit(sp.csr_array(X.astype(dtype)), sample_weight=sample_weight)
        assert model.item_weights_.dtype == dtype
        np.testing.assert_allclose(
            model.item_weights_, expected, rtol=0, atol=off * size, err_msg=form
        )
        assert model.residual_ < off


def listens(n_users, n_items, dtype=np.float64, seed=0):
    """Return log-weighted counts of items of skewed popularity."""
    rng = np.random.default_rng(seed)
    popularity = 0.8 / (1 + np.arange(n_items)) ** 0.6
    counts = (rng.random((n_users, n_items)) < popularity) * rng.integers(1, 50, (n_users, n_items))
    return sp.csr_array((np.log1p(counts)).astype(dtype))


def exact(**parameters):
    return ShallowAutoEncoder(**{"regularization": 0.1, "solver": "exact", **parameters})


ALL = {
    "regularization": 0.2,
    "dropout": 0.3,
    "diagonal_slack": 0.2,
    "user_exponent": 0.5,
    "item_exponent": 0.3,
}


@pytest.mark.parametrize("parameters", [{}, ALL])
def test_full_gradient_steps_reach_the_same_weights_and_the_same_loss(parameters):
    X = listens(80, 12)
    model = exact(**parameters).fit(X)
    descended = ShallowAutoEncoder(
        **{"regularization": 0.1, **parameters},
        learning_rate_decay=1.0,
        max_iter=1500,
        batch_size=80,
    ).fit(X)
    # (1 - 1 / condition)**1500 of the way is left, some e**-20; seen: 8e-16.
    np.testing.assert_allclose(descended.item_weights_, model.item_weights_, rtol=0, atol=1e-8)
    assert model.loss_curve_ == [pytest.approx(descended.loss_curve_[-1], rel=1e-12)]
    assert model.n_iter_ == 1


@given(
    form=st.sampled_from(sorted(FORMS)),
    parameters=st.sampled_from([{}, ALL]),
    weighted=st.booleans(),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_any_cut_and_any_subset_forgotten_equal_the_fit(form, parameters, weighted, seed, data):
    rng = np.random.default_rng(seed)
    X = listens(14, 9, seed=seed)[rng.integers(12, size=14)]  # some rows twice
    weights = rng.choice([0.0, 0.1, 0.5, 2.0], size=14) if weighted else np.ones(14)
    order = rng.permutation(14)
    cuts = sorted(data.draw(st.sets(st.integers(1, 13), max_size=4)))
    gone = rng.permutation(14)[: data.draw(st.integers(1, 12))]
    first, rest = order[: [*cuts, 14][0]], np.setdiff1d(np.arange(14), gone)
    assume(weights[first].any() and weights[rest].any())
    with computed(form):
        expected = exact(**parameters).fit(X, sample_weight=weights)
        streamed = exact(**parameters)
        for part in np.split(order, cuts):
            streamed.partial_fit(X[part], sample_weight=weights[part])
        assert_equal_models(streamed, expected)

        expected = exact(**parameters).fit(X[rest], sample_weight=weights[rest])
        for part in np.array_split(gone, 2):
            if len(part):
                streamed.forget(X[part], sample_weight=weights[part])
        assert_equal_models(streamed, expected)


def assert_equal_models(model, expected):
    size = np.abs(expected.item_weights_).max()
    np.testing.assert_allclose(  # seen: 1.1e-13, of a kept Gram matrix
        model.item_weights_, expected.item_weights_, rtol=0, atol=1e-11 * size
    )
    np.testing.assert_allclose(model.item_counts_, expected.item_counts_, rtol=rounding(28))
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-11)
    assert model.n_samples_seen_ == expected.n_samples_seen_


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_forgotten_leaves_no_bit_behind(shape, dtype):
    X = listens(*shape, dtype)
    model = exact().fit(X).forget(X[[3, 17, 5]])
    rest = np.delete(np.arange(shape[0]), [3, 17, 5])
    expected = exact().fit(X[rest])
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)
    assert pickle.dumps(model._fitted.training_data) == pickle.dumps(expected._fitted.training_data)


@pytest.mark.parametrize("n_users", [12, 200])
def test_rows_are_forgotten_in_the_type_they_were_learned_in(n_users):
    X = listens(n_users, 9)
    model = exact().fit(X.astype(np.float32)).forget(X[:5])
    assert model.item_weights_.dtype == np.float32
    expected = exact().fit(X[5:].astype(np.float32))
    off = rounding(n_users, np.float32)
    np.testing.assert_allclose(model.item_weights_, expected.item_weights_, rtol=0, atol=off)


def test_items_of_the_forgotten_alone_are_gone_from_a_kept_gram_matrix():
    X = sp.csr_array(np.vstack([listens(200, 8).toarray() * ([1] * 7 + [0]), [0.3] * 8]))
    model = exact().fit(X).forget(X[-1:])
    assert isinstance(model._fitted.training_data, training_data.TrainingGram)
    assert not model._fitted.training_data.matrix[7].any()
    assert not model._fitted.training_data.matrix[:, 7].any()
    assert not model.item_weights_[7].any()
    assert model.item_counts_[7] == 0


@pytest.mark.parametrize("n_users", [12, 200])
def test_updates_that_cannot_be_are_refused_and_change_nothing(n_users):
    X = listens(n_users, 9)
    model = exact().fit(X)
    before = pickle.dumps(model)
    stranger = X[:1] * 1000
    for update, message in [
        (lambda: model.forget(stranger), "training rows"),
        (lambda: model.forget(sp.vstack([X] * 2)), "training rows"),
        (lambda: model.forget(X), "Nobody would be left"),
        (lambda: model.forget(X[:1, :5]), "features"),
        (lambda: model.partial_fit(X[:1] * np.inf), "infinity"),
    ]:
        with pytest.raises(ValueError, match=message):
            update()
        assert pickle.dumps(model) == before
    with pytest.raises(ValueError, match="training rows"):
        model.forget(X[:1], sample_weight=[7000.0])
    assert pickle.dumps(model) == before


def test_exact_updates_need_an_exact_fit():
    X = listens(30, 9)
    descended = ShallowAutoEncoder(max_iter=2).fit(X)
    with pytest.raises(ValueError, match="need a model fitted with solver='exact'"):
        descended.forget(X)
    with pytest.raises(ValueError, match="need a model fitted with solver='exact'"):
        descended.set_params(solver="exact").partial_fit(X)
    with pytest.raises(NotFittedError):
        exact().forget(X)
    with pytest.raises(ValueError, match="`callback` and `checkpoint` come between steps"):
        exact().fit(X, callback=print)


def test_an_exponent_cannot_change_under_a_sum_of_rows():
    X = listens(200, 8)
    model = exact().fit(X)
    with pytest.raises(ValueError, match=r"`user_exponent`=0\.5 cannot be changed from 0"):
        model.set_params(user_exponent=0.5).partial_fit(X)
    assert exact(user_exponent=0.5).fit(X[:9]).partial_fit(X[9:]).n_samples_seen_ == 200


def test_descent_goes_on_from_exact_weights_and_the_other_way_round():
    X = listens(50, 12)
    model = exact().fit(X)
    at_minimum = model.item_weights_.copy()
    full = {"solver": "sgd", "batch_size": 50, "max_iter": 3, "warm_start": True}
    model.set_params(**full).fit(X)
    off = rounding(50) * 154  # the condition: the weights' own error
    np.testing.assert_allclose(model.item_weights_, at_minimum, rtol=0, atol=off)
    assert not hasattr(model, "residual_")
    model.partial_fit(X)
    model.set_params(solver="exact").fit(X)
    assert not hasattr(model, "learning_rate_")
    np.testing.assert_array_equal(model.item_weights_, at_minimum)
    np.testing.assert_allclose(
        exact().fit(X).set_params(solver="sgd", batch_size=50).partial_fit(X).item_weights_,
        at_minimum,
        rtol=0,
        atol=off,
    )


@pytest.mark.parametrize("parameters", [{}, ALL])
def test_the_dual_scores_without_the_weights_of_all_pairs(parameters):
    X, others = listens(20, 300), listens(6, 300, seed=1)
    model = exact(**parameters).fit(X)
    scores = model.predict(others)
    best = model.recommend(others, k=7)
    assert isinstance(model._fitted.weights.form, DualWeights)
    off = rounding(300) * np.abs(scores).max()
    np.testing.assert_allclose(model.predict(others.toarray()), scores, rtol=0, atol=off)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(others @ model.item_weights_, scores, rtol=0, atol=off)
    assert model.item_weights_ is model.item_weights_
    np.testing.assert_array_equal(model.recommend(others, k=7), best)
    np.testing.assert_array_equal(copy.recommend(others, k=7), best)


def test_many_rows_are_scored_with_the_weights_of_all_pairs(monkeypatch):
    X = listens(290, 300)
    model = exact().fit(X)
    few = model.predict(X[:2])
    assert isinstance(model._fitted.weights.form, DualWeights)
    many = sp.vstack([X] * 40)
    with monkeypatch.context() as patch:
        patch.setattr(item_weights, "free_memory", lambda: 0)
        with pytest.raises(MemoryError, match="weights of all pairs of 300 items need"):
            model.item_weights_  # noqa: B018
        scores = model.predict(many)
        assert isinstance(model._fitted.weights.form, DualWeights)
    off = rounding(300) * 267 * np.abs(scores).max()  # the condition, as sums of M cancel
    np.testing.assert_allclose(model.predict(many), scores, rtol=0, atol=off)
    assert isinstance(model._fitted.weights.form, DenseWeights)
    np.testing.assert_allclose(model.predict(X[:2]), few, rtol=0, atol=off)


def test_looking_at_a_model_forms_nothing():
    model = exact().fit(listens(20, 300))
    assert "residual_" in dir(model)
    page = model._repr_html_()  # shows what a fit has found, from scikit-learn 1.9 on
    assert ("residual_" in page) == (Version(sklearn.__version__).release >= (1, 9))
    assert isinstance(model._fitted.weights.form, DualWeights)
    assert model.item_weights_.shape == (300, 300)
    assert "item_weights_" in dir(model)
    assert not hasattr(exact(), "item_weights_")


def test_weights_formed_for_a_model_of_the_past_are_not_kept(monkeypatch):
    X = listens(290, 300)
    model = exact().fit(X)
    dense = DualWeights.materialized

    def forgets_meanwhile(weights):
        P = dense(weights)
        monkeypatch.setattr(DualWeights, "materialized", dense)
        model.forget(X[:1])
        return P

    monkeypatch.setattr(DualWeights, "materialized", forgets_meanwhile)
    model.predict(sp.vstack([X] * 40))
    np.testing.assert_array_equal(model.item_weights_, exact().fit(X[1:]).item_weights_)


def test_a_kept_gram_matrix_warns_where_rounding_has_eaten_what_is_left():
    X = listens(200, 8).toarray()
    X[0] *= 1e5
    model = exact().fit(X)
    with pytest.warns(UserWarning, match="less than eight digits. Call `fit`"):
        model.forget(X[:1])
    light, heavy = np.zeros((2, 1, 9))
    light[0, [0, 8]], heavy[0, [0, 8]] = 1.5, 1e5
    rows = np.vstack([heavy, light, np.pad(listens(200, 8).toarray(), ((0, 0), (0, 1)))])
    model = exact().fit(rows)
    with pytest.warns(UserWarning, match="less than eight digits"):
        model.forget(heavy)
    model.forget(light)  # which rounding may have left less than nothing of
    assert not model.item_weights_[8].any()


@pytest.mark.parametrize("weight", [1e36, 1e-36])
def test_only_ratios_of_sample_weights_matter(weight):
    X = listens(200, 8, np.float32)
    model = exact().fit(X, sample_weight=np.full(200, weight))
    expected = exact().fit(X)
    off = rounding(8, np.float32)
    np.testing.assert_allclose(model.item_weights_, expected.item_weights_, rtol=0, atol=off)
    with pytest.raises(ValueError, match="`user_exponent`=1000 gives weights that are too large"):
        exact(user_exponent=1000).fit(X.toarray() + 1)


def test_zero_regularization_needs_dropout():
    X = listens(30, 9)
    with pytest.raises(ValueError, match="`regularization`=0 must be > 0"):
        exact(regularization=0).fit(X)
    with_nobody = sp.csr_array(sp.hstack([X, np.zeros((30, 1))]))
    model = exact(regularization=0, dropout=0.5).fit(with_nobody)
    assert np.isfinite(model.item_weights_).all()
    assert not model.item_weights_[9].any()


@pytest.mark.parametrize(("n_users", "regularization"), [(40, 0.5), (8, 100.0)])
def test_data_too_ill_conditioned_for_float32_warn_or_are_refused(n_users, regularization):
    X = np.random.default_rng(0).normal(size=(n_users, 10)) * np.logspace(0, 3, 10)
    X[:, 1] = X[:, 9] + X[:, 0]
    single = X.astype(np.float32)
    # A residual is eps times the condition k, and in the dual times its root once more: with errors
    # dK of K = X X' / penalty + 1, whose norm is k, A dC = X' dK (X X' + penalty)^-1 X, the norms
    # of whose factors are sqrt(k penalty), eps k and 1 / (2 sqrt(penalty)).
    k = 1 + np.linalg.norm(X, 2) ** 2 / (n_users * regularization)
    most = rounding(10) * (k**1.5 if n_users < 10 else k)
    assert exact(regularization=regularization).fit(X).residual_ < most
    for weak in (regularization, 1e-9):  # whether pivots are positive is up to rounding
        with pytest.raises((UserWarning, ValueError), match=r"Raise .* or pass float64"):
            exact(regularization=weak).fit(single)


@pytest.mark.parametrize("shape", [(16, 4), (4, 16)])
def test_a_matrix_that_is_singular_in_float32_is_refused(shape):
    ones = np.ones(shape, np.float32)  # of which, with powers of two, no second pivot is left
    with pytest.raises(ValueError, match=r"`regularization`=9.31323e-10 is too small .* or pass"):
        exact(regularization=2.0**-30).fit(ones)


def test_inexact_weights_are_told(monkeypatch):
    monkeypatch.setitem(solution._LARGEST_ERROR, "float32", 0.0)
    told = r"relative residual .* Raise `regularization`=0\.1, or pass float64"
    with pytest.warns(UserWarning, match=told) as caught:
        exact().fit(listens(30, 9, np.float32))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("little", [0.0, 1e-40])
def test_rows_of_weight_zero_are_left_out_of_the_dual(little):
    X = listens(10, 30, np.float32)
    weights = np.array([little] * 5 + [1.0] * 5)
    model = exact().fit(X, sample_weight=weights)
    assert model._fitted.weights.form.M.shape == (5, 5)
    np.testing.assert_allclose(  # seen: 5e-7; eps times the condition, 314, is 4e-5
        model.item_weights_, exact().fit(X[5:]).item_weights_, rtol=0, atol=1e-5
    )


def test_a_bar_on_request(capfd):
    exact(verbose=1).fit(listens(30, 9))
    assert "9/9" in capfd.readouterr().err


def test_the_global_number_of_blas_threads_is_left_as_it_was():
    before = threadpool_info()
    exact().fit(listens(300, 90))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: exact().fit(listens(300, 90, seed=seed)), range(8)))
    assert threadpool_info() == before
