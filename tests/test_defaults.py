"""`solver="auto"`, `regularization="auto"`, and the default steps of `make_recommender`."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    hold_out_items,
    load_model,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
    save_model,
)
from shallow_ae._solvers import costs
from shallow_ae.datasets import fetch_lastfm

MODELS = {
    "sgd": ShallowAutoEncoder("auto", max_iter=3, random_state=0),
    "exact": ShallowAutoEncoder("auto", solver="exact"),
    "auto": ShallowAutoEncoder("auto", solver="auto"),
    "nearest": SparseShallowAutoEncoder("auto", n_neighbors=5),
}
UPDATABLE = ["exact", "auto", "nearest"]


@pytest.fixture(params=["rows", "gram"])
def counts(request):
    """Return counts, of which an exact model keeps the rows or their Gram matrix."""
    n_users, n_items = (30, 40) if request.param == "rows" else (90, 12)
    return np.random.default_rng(0).poisson(0.5, (n_users, n_items)).astype(float)


def by_definition(X, weights=None):
    """Return the regularization that "auto" stands for, from its definition."""
    weights = np.ones(len(X)) if weights is None else weights
    length = np.average((X**2).sum(axis=1), weights=weights)
    shares = weights @ (X != 0) / (weights @ (X != 0)).sum()
    return length * (shares**2).sum()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_value_is_the_mean_squared_length_times_simpsons_index(counts, name, form):
    model = clone(MODELS[name]).fit(form(counts))
    assert model.regularization_ == pytest.approx(by_definition(counts), rel=1e-12)
    assert model.regularization == "auto"


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_with_the_value_found_is_the_same_fit(counts, name):
    model = clone(MODELS[name]).fit(counts)
    given = clone(MODELS[name]).set_params(regularization=model.regularization_).fit(counts)
    found, expected = (m.predict(counts) for m in (model, given))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e5])
def test_the_value_grows_with_the_square_of_the_counts(counts, name, scale):
    model, scaled = (clone(MODELS[name]).fit(X) for X in (counts, scale * counts))
    assert scaled.regularization_ == pytest.approx(scale**2 * model.regularization_, rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_value_does_not_depend_on_how_often_each_user_is_there(counts, name):
    model, twice = (clone(MODELS[name]).fit(X) for X in (counts, np.tile(counts, (2, 1))))
    assert twice.regularization_ == pytest.approx(model.regularization_, rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_weight_of_two_counts_as_two_users(counts, name):
    weights = np.random.default_rng(1).integers(0, 4, len(counts))
    weighted = clone(MODELS[name]).fit(counts, sample_weight=weights)
    repeated = clone(MODELS[name]).fit(np.repeat(counts, weights, axis=0))
    assert weighted.regularization_ == pytest.approx(repeated.regularization_, rel=1e-12)
    assert weighted.regularization_ == pytest.approx(by_definition(counts, weights), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_user_exponent_weights_the_squared_lengths(counts, name):
    model = clone(MODELS[name]).set_params(user_exponent=0.7).fit(counts)
    weights = np.maximum((counts != 0).sum(axis=1), 1) ** -0.7
    length = np.average((counts**2).sum(axis=1), weights=weights)
    shares = (counts != 0).sum(axis=0) / (counts != 0).sum()
    assert model.regularization_ == pytest.approx(length * (shares**2).sum(), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_float32_finds_the_same_value_up_to_rounding(counts, name):
    model = clone(MODELS[name]).fit(counts.astype(np.float32))
    assert model.regularization_ == pytest.approx(by_definition(counts), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_zeros_are_fitted_with_one(name):
    assert clone(MODELS[name]).fit(np.zeros((4, 3))).regularization_ == 1.0


@pytest.mark.parametrize("name", ["exact", "nearest", "sgd"])
def test_squares_that_overflow_are_an_error(name):
    X = np.full((3, 2), 1e30, np.float32)
    with pytest.raises(ValueError, match=r"values whose squares are too large for float32"):
        clone(MODELS[name]).fit(X)


@pytest.mark.parametrize("name", ["exact", "nearest", "sgd"])
@pytest.mark.parametrize(("dtype", "small"), [(np.float32, 1e-15), (np.float64, 1e-145)])
def test_squares_lose_no_digits_or_are_an_error(counts, name, dtype, small):
    expected = clone(MODELS[name]).fit(counts.astype(dtype)).predict(counts.astype(dtype))
    model = clone(MODELS[name]).fit((counts * small).astype(dtype))
    scores = model.predict((counts * small).astype(dtype)) / dtype(small)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="values whose squares are too small for float"):
        clone(MODELS[name]).fit((counts * small * 1e-3).astype(dtype))


@pytest.mark.parametrize("name", UPDATABLE)
def test_updates_find_the_value_of_all_rows(counts, name):
    parts = counts[:9], counts[9:]
    model = clone(MODELS[name]).fit(parts[0])
    before = model.regularization_
    model.partial_fit(parts[1])
    whole = clone(MODELS[name]).fit(counts)
    assert model.regularization_ == pytest.approx(whole.regularization_, rel=1e-12) != before
    np.testing.assert_allclose(model.predict(counts), whole.predict(counts), atol=1e-9)
    model.forget(parts[1])
    assert model.regularization_ == pytest.approx(before, rel=1e-12)


def test_an_update_by_gradient_descent_finds_the_value_of_its_own_rows(counts):
    model = clone(MODELS["sgd"]).fit(counts[:9]).partial_fit(counts[9:])
    assert model.regularization_ == pytest.approx(by_definition(counts[9:]), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_number_set_after_the_fit_is_used_by_the_next_fit(counts, name):
    model = clone(MODELS[name]).fit(counts).set_params(regularization=0.3)
    assert model.regularization_ != 0.3
    assert model.fit(counts).regularization_ == 0.3


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("keep", ["serving", "all"])
def test_copies_and_files_keep_the_value_and_the_solver(counts, name, keep, tmp_path):
    model = clone(MODELS[name]).fit(counts)
    save_model(model, tmp_path / "model.safetensors", keep=keep)
    for copied in (
        pickle.loads(pickle.dumps(model)),
        load_model(tmp_path / "model.safetensors"),
    ):
        assert copied.get_params() == model.get_params()
        assert copied.regularization_ == model.regularization_
        assert getattr(copied, "solver_", None) == getattr(model, "solver_", None)
        np.testing.assert_allclose(copied.predict(counts), model.predict(counts), rtol=1e-12)
    assert not hasattr(clone(model), "regularization_")


def test_a_loaded_model_finds_the_value_again_in_updates(counts, tmp_path):
    model = clone(MODELS["auto"]).fit(counts[:9])
    save_model(model, tmp_path / "model.safetensors", keep="all")
    model = load_model(tmp_path / "model.safetensors").partial_fit(counts[9:])
    assert model.regularization_ == pytest.approx(by_definition(counts), rel=1e-12)


def test_a_pruned_model_keeps_the_value(counts):
    model = clone(MODELS["auto"]).fit(counts)
    pruned = model.sparsify(3)
    assert pruned.regularization == pruned.regularization_ == model.regularization_


def test_searches_compare_the_value_with_numbers(counts):
    values = ["auto", 0.1, 1e6]
    scorer = make_ranking_scorer()
    both = [
        GridSearchCV(
            ShallowAutoEncoder(solver="exact"), {"regularization": values}, scoring=scorer
        ),
        ShallowAutoEncoderCV(values),
    ]
    means = [search.fit(counts).cv_results_["mean_test_score"] for search in both]
    np.testing.assert_allclose(*means, rtol=1e-9)
    assert both[1].cv_results_["params"] == both[0].cv_results_["params"]
    assert list(both[1].cv_results_["param_regularization"]) == values


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (ShallowAutoEncoder("best"), TypeError, "`regularization`='best' must be a number >= 0 or"),
        (ShallowAutoEncoder(-1.0), ValueError, "must be a finite number >= 0 or 'auto'"),
        (SparseShallowAutoEncoder("Auto"), TypeError, "must be a number >= 0 or 'auto', got str"),
        (ShallowAutoEncoder(learning_rate="slow"), TypeError, "must be a number > 0 or 'auto'"),
        (ShallowAutoEncoder(solver="quick"), ValueError, "one of 'sgd', 'exact', 'auto'"),
        (LowRankAutoEncoder(1, regularization="auto"), TypeError, "must be a number >= 0, got str"),
        (SparseShallowAutoEncoder(dropout="auto"), TypeError, "`dropout`='auto' must be a number"),
    ],
)
def test_other_strings_are_errors(counts, model, error, message):
    with pytest.raises(error, match=message):
        model.fit(counts)


@pytest.mark.parametrize("quick", ["sgd", "exact"])
def test_auto_takes_the_quicker_solver_that_fits_in_memory(counts, quick, monkeypatch):
    def made_up(X, batch_size, max_iter):
        return {
            name: costs.Cost("", 10 + 5 * (name == quick), 0, 0, 1.0 + (name != quick))
            for name in ("sgd", "exact")
        }

    other = {"sgd": "exact", "exact": "sgd"}[quick]
    monkeypatch.setattr(costs, "dense_costs", made_up)
    for free, expected in [(15, quick), (14, other), (9, other)]:
        monkeypatch.setattr(costs, "free_memory", lambda free=free: free)
        assert costs.quicker_solver(counts, 1024, 100) == expected


def test_auto_is_visible_and_updates_continue_with_its_solver(counts):
    model = ShallowAutoEncoder(solver="auto").fit(counts)
    assert (model.solver, model.solver_) == ("auto", "exact")
    assert model.partial_fit(counts).forget(counts).solver_ == "exact"
    assert ShallowAutoEncoder(solver="auto").partial_fit(counts).solver_ == "exact"


def test_auto_descends_where_the_exact_solution_does_not_serve(counts):
    model = ShallowAutoEncoder(solver="auto", max_iter=2, random_state=0)
    assert model.fit(counts, callback=lambda _: None, callback_every=1).solver_ == "sgd"
    with pytest.raises(ValueError, match="Exact updates need a model fitted with solver='exact'"):
        model.forget(counts[:1])
    assert model.partial_fit(counts).solver_ == "sgd"
    assert model.set_params(regularization=0.0).fit(counts).solver_ == "sgd"


def test_the_default_parameters_are_those_of_the_gradient_steps():
    assert (ShallowAutoEncoder().solver, ShallowAutoEncoder().regularization) == ("sgd", 0.02)


def as_zeros_and_ones(counts):
    return (counts > 0).astype(np.float32)


@pytest.fixture(scope="module")
def lastfm_split(lastfm_folder):
    """Return counts of all artists and a hidden fifth of each user's artists."""
    counts = IdMapper().fit_transform(fetch_lastfm(lastfm_folder).listens)
    return hold_out_items(counts, random_state=0)


@pytest.mark.parametrize(
    ("scale", "least"),
    # The best of a grid: .3780 (exact, log counts), .2466 (exact, counts), .3755 (exact, 0 or 1).
    [(LogCountTransformer().fit_transform, 0.376), (np.abs, 0.2425), (as_zeros_and_ones, 0.371)],
)
def test_the_value_ranks_nearly_as_well_as_the_best_on_lastfm(lastfm_split, scale, least):
    counts, hidden = lastfm_split
    X = sp.csr_array(scale(counts)).astype(np.float32)
    model = ShallowAutoEncoder("auto", solver="exact").fit(X)
    assert ndcg_score(hidden, model.recommend(X, k=100), k=100) > least


@pytest.mark.parametrize(
    ("model", "least"),
    # The best of a grid: .2076 (exact) and .2035 (nearest).
    [(ShallowAutoEncoder("auto", solver="exact"), 0.205), (SparseShallowAutoEncoder("auto"), 0.2)],
)
def test_the_value_ranks_nearly_as_well_as_the_best_on_movielens(ml_1m, model, least):
    X, hidden = ml_1m
    found = model.fit(X.astype(np.float32)).recommend(X, k=100)
    assert ndcg_score(hidden, found, k=100) > least


@pytest.mark.slow
def test_the_default_recommender_on_lastfm(lastfm_folder):
    listens = fetch_lastfm(lastfm_folder).listens
    visible, hidden = hold_out_items(listens, random_state=0)
    recommender = make_recommender().fit(visible)
    assert recommender.score(visible, hidden) > 0.376  # seen: 0.382
    weights = recommender[-1].item_weights_
    assert weights.nnz <= 100 * weights.shape[1]
    assert len(pickle.dumps(make_recommender().fit(listens))) < 30e6  # seen: 11e6
