"""Weights by a truncated SVD, against dense decompositions in float64 and published models."""

import inspect
import pickle
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import rounding
from hypothesis import given
from hypothesis import strategies as st
from problems import problems
from references import scaled_rows, weights_between
from sklearn.model_selection import GridSearchCV

from shallow_ae import (
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    SparseShallowAutoEncoder,
    make_recommender,
)
from shallow_ae.datasets import make_listens

PARAMETERS = st.fixed_dictionaries(
    {
        "item_normalization": st.sampled_from([0.0, 0.5, -0.25]),
        "user_exponent": st.sampled_from([0.0, 1.0, -0.5]),
        "item_exponent": st.sampled_from([0.0, 0.5, -0.3]),
    }
)


APPROXIMATION = 1e-6  # of the randomized SVD where singular values stand out; seen: 1e-8


def clustered(n_users=80, n_items=30, n_tastes=4, dtype=np.float64):
    """Return users of a few tastes: the singular values of these stand out."""
    rng = np.random.default_rng(0)
    taste, home = rng.integers(n_tastes, size=n_users), np.arange(n_items) % n_tastes
    X = (rng.random((n_users, n_items)) < np.where(taste[:, None] == home, 0.9, 0.02)) * 1.0
    return (X * rng.uniform(1, 2, size=X.shape)).astype(dtype)


@given(problem=problems(), parameters=PARAMETERS, regularization=st.sampled_from([0.05, 0.3, 2.0]))
def test_all_components_and_a_soft_cut_are_the_closed_form(problem, parameters, regularization):
    X, sample_weight = problem
    model = LowRankAutoEncoder(12, regularization=regularization, random_state=0, **parameters)
    model.fit(X, sample_weight=sample_weight)
    item_exponent = parameters.pop("item_exponent")
    scaled, counts = scaled_rows(X, sample_weight, **parameters)
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    core = (vectors * (values / (values + regularization * (values[-1] or 1)))) @ vectors.T
    expected = weights_between(core, counts, item_exponent)
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), X @ expected, rtol=0, atol=1e-9)


def test_all_components_without_a_cut_are_the_projection_on_the_rows():
    X = clustered(12, 30)
    X[3:6] = X[:3]  # rank 9: the other three singular values are zero up to rounding
    model = LowRankAutoEncoder(
        30, regularization=0, item_normalization=0, user_exponent=0, item_exponent=0
    ).fit(X)
    projection = np.linalg.pinv(X) @ X
    np.testing.assert_allclose(
        model.item_weights_, weights_between(projection, np.ones(30), 0), rtol=0, atol=1e-9
    )
    assert (model.singular_values_ > 1e-9).sum() == 9


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("regularization", [0.0, 0.1])
def test_few_components_are_the_leading_ones(dtype, regularization):
    X = clustered(dtype=dtype)
    model = LowRankAutoEncoder(
        4, regularization=regularization, item_normalization=0.5, item_exponent=0.5, random_state=0
    ).fit(X)
    assert model.item_vectors_.dtype == dtype
    scaled, counts = scaled_rows(X.astype(np.float64), None, 0.5, 1.0)
    _, s, Vt = np.linalg.svd(scaled)
    assert s[4] < 0.75 * s[3]  # so that the iterations separate them
    f = s[:4] ** 2 / (s[:4] ** 2 + regularization * s[0] ** 2)
    expected = weights_between((Vt[:4].T * f) @ Vt[:4], counts, 0.5)
    off = 100 * rounding(80, dtype) + APPROXIMATION
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=off)
    np.testing.assert_allclose(model.singular_values_, s[:4] / s[0], rtol=off)


def test_published_models():
    X = (clustered() > 0).astype(float)
    users, items = X.sum(axis=1), X.sum(axis=0)
    V = np.linalg.svd(X)[2][:4].T
    pure_svd = LowRankAutoEncoder(
        4, regularization=0, item_normalization=0, user_exponent=0, item_exponent=0
    ).fit(X)
    unseen = X == 0
    np.testing.assert_allclose(
        pure_svd.predict(X)[unseen], (X @ V @ V.T)[unseen], atol=APPROXIMATION
    )

    S = X / np.sqrt(users)[:, None] / np.sqrt(items)
    V = np.linalg.svd(S)[2][:4].T
    gf_cf = LowRankAutoEncoder(
        4, regularization=0, item_normalization=0.5, user_exponent=1, item_exponent=0.5
    ).fit(X)
    low_pass = X / np.sqrt(items) @ V @ V.T * np.sqrt(items)
    np.testing.assert_allclose(gf_cf.predict(X)[unseen], low_pass[unseen], atol=APPROXIMATION)

    ridge = LowRankAutoEncoder(
        30, regularization=0.1, item_normalization=0, user_exponent=0, item_exponent=0
    ).fit(X)
    G = X.T @ X
    P = np.linalg.solve(G + 0.1 * np.linalg.eigvalsh(G)[-1] * np.eye(30), G)
    np.testing.assert_allclose(ridge.predict(X)[unseen], (X @ P)[unseen], atol=1e-9)


def test_products_of_vectors_are_the_scores_of_unseen_items():
    X = clustered()
    model = LowRankAutoEncoder(6, random_state=0).fit(X)
    scores = model.predict(X)
    np.testing.assert_allclose(scores, X @ model.item_weights_, rtol=0, atol=1e-12)
    products = model.transform(X) @ model.item_vectors_.T
    np.testing.assert_allclose(products[X == 0], scores[X == 0], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.item_weights_.diagonal(), 0)
    assert list(model.get_feature_names_out())[-1] == "lowrankautoencoder5"


def test_recommendations_similar_items_and_reasons():
    X = clustered()
    model = LowRankAutoEncoder(6, random_state=0).fit(X)
    scores = np.where(X != 0, -np.inf, model.predict(X))
    items, found = model.recommend(X, k=5, return_scores=True)
    np.testing.assert_array_equal(items, np.argsort(-scores, axis=1)[:, :5])
    np.testing.assert_allclose(found, -np.sort(-scores, axis=1)[:, :5], rtol=0, atol=1e-12)
    P = model.item_weights_
    np.fill_diagonal(P, -np.inf)
    np.testing.assert_array_equal(model.similar_items([3], k=4)[0], np.argsort(-P[3])[:4])
    _, contributions = model.explain(X, items, k=30)
    np.testing.assert_allclose(np.nansum(contributions, axis=2), found, rtol=0, atol=1e-12)
    explained = model.predict(X)[:, 7]  # an item that some of them have
    _, contributions = model.explain(X, np.full(len(X), 7), k=30)
    np.testing.assert_allclose(np.nansum(contributions, axis=1), explained, rtol=0, atol=1e-12)


def test_reading_the_weights_leaves_the_vectors():
    X = clustered()
    model = LowRankAutoEncoder(6, random_state=0).fit(X)
    before = pickle.dumps(model)
    assert model.item_weights_.shape == (30, 30)
    assert pickle.dumps(model) == before
    assert "item_weights_" not in dir(model)
    again = pickle.loads(before)
    np.testing.assert_array_equal(again.recommend(X, k=5), model.recommend(X, k=5))


def test_weights_of_users_are_copies_of_rows():
    X = clustered()
    times = np.random.default_rng(1).integers(0, 3, size=len(X))
    model = LowRankAutoEncoder(30, regularization=0.1).fit(X, sample_weight=times)
    copies = LowRankAutoEncoder(30, regularization=0.1).fit(np.repeat(X, times, axis=0))
    np.testing.assert_allclose(model.item_weights_, copies.item_weights_, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(model.item_counts_, copies.item_counts_)


def test_updates_are_a_fit_on_what_is_there():
    X = sp.csr_array(clustered())
    model = LowRankAutoEncoder(5, random_state=0).partial_fit(X[:50]).partial_fit(X[50:])
    fitted = LowRankAutoEncoder(5, random_state=0).fit(X)
    np.testing.assert_array_equal(model.item_vectors_, fitted.item_vectors_)
    model.forget(X[10:30])
    rest = LowRankAutoEncoder(5, random_state=0).fit(X[[*range(10), *range(30, 80)]])
    np.testing.assert_array_equal(model.item_vectors_, rest.item_vectors_)
    assert model.n_samples_seen_ == 60
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="is not among the 60 training rows"):
        model.forget(X[10:11])
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (3, 40)])
@pytest.mark.parametrize("value", [0, 1])
def test_few_items_or_users(shape, value):
    X = np.full(shape, value)
    model = LowRankAutoEncoder().fit(X)
    assert model.item_vectors_.shape == (shape[1], min(shape))
    assert np.isfinite(model.predict(X)).all()
    assert model.recommend(X, k=2, exclude_seen=False).shape == (shape[0], 2)


def test_items_without_users_score_zero():
    X = clustered()
    X[:, [0, 29]] = 0
    model = LowRankAutoEncoder(30).fit(X)
    assert not model.predict(X)[:, [0, 29]].any()
    assert not model.predict(np.eye(30))[[0, 29]].any()


@pytest.mark.parametrize("factor", [1e-30, 1e30, 3e38])
def test_the_scale_of_the_data_does_not_matter(factor):
    X = (clustered() > 0).astype(np.float32)
    model = LowRankAutoEncoder(5, random_state=0).fit(X)
    large = LowRankAutoEncoder(5, random_state=0).fit(np.float32(factor) * X)
    np.testing.assert_allclose(large.item_vectors_, model.item_vectors_, rtol=1e-5, atol=1e-6)
    assert np.isfinite(large.singular_values_).all()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_components": 0}, "`n_components`=0 must be an integer >= 1"),
        ({"n_components": 2.0}, "`n_components`=2.0 must be an integer"),
        ({"regularization": -0.1}, "`regularization`=-0.1 must be a finite number >= 0"),
        ({"item_normalization": np.nan}, "`item_normalization`=nan must be a finite number"),
        ({"item_normalization": 1e9}, "`item_normalization`=1e\\+09 gives weights"),
        ({"user_exponent": -1e6}, None),
        ({"item_exponent": 1e6}, "`item_exponent`=1e\\+06 gives weights"),
        ({"item_exponent": 45.0}, "`item_exponent`=45 gives weights"),
        ({"item_exponent": -20.0}, "`item_exponent`=-20 gives weights"),
    ],
)
def test_a_fit_that_fails_changes_nothing(parameters, told):
    X = clustered(dtype=np.float32)
    X[1:, 0] = 0
    X[0, 0] = 1
    model = LowRankAutoEncoder(5, random_state=0).fit(X)
    before = pickle.dumps(model)
    failing = pickle.loads(before).set_params(**parameters)
    if told is None:  # all but the users with the most items count for nothing
        assert np.isfinite(failing.fit(X).item_vectors_).all()
        return
    with pytest.raises((ValueError, TypeError), match=told):
        failing.fit(X)
    assert pickle.dumps(failing.set_params(**model.get_params())) == before


def test_the_documented_defaults_are_the_defaults():
    for estimator in (LowRankAutoEncoder, SparseShallowAutoEncoder):
        defaults = inspect.signature(estimator).parameters
        told = re.findall(r"^    (\w+) : .*default=(\S+)$", estimator.__doc__, re.M)
        assert told
        for name, value in told:
            assert repr(defaults[name].default) == value


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_refused_fit_names_the_most_components_that_fit(set_free_memory, share):
    X = sp.random_array((3000, 2000), density=0.01, dtype=np.float32, rng=0, format="csr")
    model = LowRankAutoEncoder(400)
    free = int(share * model.plan(X).bytes)
    set_free_memory(free)
    with pytest.raises(MemoryError, match="`n_components`=400 needs") as caught:
        model.fit(X)
    n_components = int(str(caught.value).split(" to ")[1].rstrip("."))
    assert LowRankAutoEncoder(n_components).plan(X).bytes <= free
    assert LowRankAutoEncoder(n_components + 1).plan(X).bytes > free
    LowRankAutoEncoder(n_components).fit(X)


def test_in_a_pipeline_and_a_search():
    listens, _ = make_listens(200, 60, random_state=0)
    model = LowRankAutoEncoder(8, random_state=0)
    recommender = make_recommender(LogCountTransformer(), model).fit(listens)
    answer = recommender.recommend(listens, k=3)
    assert answer.groupby("user").size().max() == 3
    reasons = recommender.explain(listens, answer[:1], k=100)
    assert reasons["contribution"].sum() == pytest.approx(answer["score"][0], abs=1e-5)

    X = clustered(200, 40)
    search = GridSearchCV(model, {"n_components": [1, 4], "regularization": [0.0, 0.2]}, cv=3).fit(
        X
    )
    assert search.best_params_["n_components"] == 4


def test_columns_are_found_by_name():
    X = pd.DataFrame(clustered(), columns=[f"item {i}" for i in range(30)])
    model = LowRankAutoEncoder(5, random_state=0).fit(X)
    shuffled = X[X.columns[::-1]]
    np.testing.assert_array_equal(model.recommend(shuffled, k=3), model.recommend(X, k=3))
    np.testing.assert_array_equal(model.transform(shuffled), model.transform(X))


@pytest.mark.slow
def test_it_ranks_better_than_popularity_on_movielens(ml_1m):
    X, _ = ml_1m
    low_rank = LowRankAutoEncoder(128, random_state=0).fit(X)
    assert low_rank.score(X) > 1.3 * PopularityRecommender().fit(X).score(X)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "density", "n_components", "dtype"),
    [
        ((20_000, 20_000), 1e-3, 64, np.float32),
        ((20_000, 2000), 2e-3, 64, np.float64),
        ((2000, 20_000), 2e-3, 64, np.float32),
        ((100_000, 200), 0.05, 10, np.float32),  # the rows are most of it
        ((500, 3000), 0.2, 400, np.float32),
        ((3000, 500), 0.2, 1000, np.float64),
    ],
)
def test_a_fit_takes_what_is_planned(shape, density, n_components, dtype):
    X = sp.random_array(shape, density=density, dtype=dtype, rng=0, format="csr")
    model = LowRankAutoEncoder(n_components, random_state=0)
    tracemalloc.start()
    try:
        planned = model.plan(X)
        _, peak_of_plan = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        model.fit(X)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.8 * planned.bytes < peak < planned.bytes
    assert 0.9 * planned.kept_bytes < kept < 1.1 * planned.kept_bytes
    assert peak_of_plan < peak
