"""Sums of models against the sums of their parts, by brute force in float64."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import rounding
from hypothesis import given
from hypothesis import strategies as st
from problems import problems
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from shallow_ae import (
    BlendedRecommender,
    BlendedRecommenderCV,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    make_ranking_scorer,
    make_recommender,
)
from shallow_ae._weights import weighted_sum
from shallow_ae.datasets import make_listens

PARTS = {
    "near": SparseShallowAutoEncoder(0.3, n_neighbors=3),
    "nearer": SparseShallowAutoEncoder(1.0, n_neighbors=2, item_exponent=0.3),
    "tastes": LowRankAutoEncoder(3, random_state=0),
    "all": ShallowAutoEncoder(0.3, solver="exact"),
    "steps": ShallowAutoEncoder(max_iter=3, random_state=0),
    "popular": PopularityRecommender(),
}
NO_PRODUCTS = ["near", "nearer", "popular"]  # summed in the same order whatever the block


def blended(names, weights=None):
    return BlendedRecommender([(name, clone(PARTS[name])) for name in names], weights=weights)


def listens(n_users=80, n_items=25, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(1 / (1 + np.arange(n_items) / 4), (n_users, n_items)).astype(float)


def sum_of_parts(model, weights, X):
    parts = model.named_estimators_
    return sum(w * parts[name].predict(X) for name, w in zip(parts, weights, strict=True))


def best_by_sorting(table, allowed, k):
    """Return the best allowed items of each row, ties by ascending index, by a stable sort."""
    table = np.where(allowed, table, -np.inf)
    order = np.argsort(-table, axis=1, kind="stable")[:, :k]
    order = np.pad(order, ((0, 0), (0, k - order.shape[1])), constant_values=-1)
    n_allowed = allowed.sum(axis=1)[:, None]
    return np.where(np.arange(k) < n_allowed, order, -1)


def filters(rng, X):
    """Return the arguments of a filter, and the mask of what it allows."""
    n_users, n_items = X.shape
    seen, listed, denied = (rng.random(3) < 0.5).tolist()
    allowed = X == 0 if seen else np.ones(X.shape, bool)
    arguments = {"exclude_seen": seen}
    if listed:
        own = rng.random((n_users, n_items)) < 0.7
        arguments["candidates"] = [np.flatnonzero(row).tolist() for row in own]
        allowed = allowed & own
    if denied:
        own = rng.random(n_items) < 0.2
        arguments["exclude"] = np.flatnonzero(own).tolist()
        allowed = allowed & ~own
    return arguments, allowed


@given(
    problem=problems(),
    names=st.lists(st.sampled_from(NO_PRODUCTS), min_size=1, unique=True),
    k=st.integers(1, 15),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_sum_ranks_as_the_sum_of_scores_with_filters_and_ties(problem, names, k, seed):
    X, sample_weight = problem
    X = np.ceil(X)  # so that many scores are equal
    rng = np.random.default_rng(seed)
    weights = rng.choice([-0.5, 0.25, 1.0, 2.0], size=len(names)).tolist()
    model = blended(names, weights).fit(X, sample_weight=sample_weight)
    table = sum_of_parts(model, weights, X)
    arguments, allowed = filters(rng, X)
    items, scores = model.recommend(X, k, return_scores=True, **arguments)
    is_merged = set(names) == {"near", "nearer"}  # adds the weights before the scores
    if not is_merged:
        np.testing.assert_array_equal(model.predict(X), table)
        np.testing.assert_array_equal(items, best_by_sorting(table, allowed, k))
    found = np.where(items < 0, np.nan, np.take_along_axis(table, np.maximum(items, 0), axis=1))
    np.testing.assert_allclose(scores, found, rtol=rounding(30), atol=rounding(30))
    assert_are_the_best(items, table, allowed)


def assert_are_the_best(items, table, allowed, off=1e-9):
    """Assert that lists are sorted and that no item left out is better, up to rounding."""
    for own, row, may in zip(items, table, allowed, strict=True):
        chosen = own[own >= 0]
        assert len(chosen) == min(len(own), may.sum())
        assert may[chosen].all()
        assert (np.diff(row[chosen]) <= off).all()
        left_out = may.copy()
        left_out[chosen] = False
        if len(chosen) and left_out.any():
            assert row[left_out].max() <= row[chosen].min() + off


@given(
    problem=problems(),
    names=st.lists(st.sampled_from(list(PARTS)), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.slow
def test_any_parts_add_up(problem, names, seed):
    X, _ = problem
    rng = np.random.default_rng(seed)
    weights = rng.choice([-0.5, 0.25, 1.0, 2.0], size=len(names)).tolist()
    model = blended(names, weights).fit(X)
    table = sum_of_parts(model, weights, X)
    off = 1e-9 * max(1, np.abs(table).max())
    np.testing.assert_allclose(model.predict(X), table, rtol=0, atol=off)
    arguments, allowed = filters(rng, X)
    items = model.recommend(X, k=5, **arguments)
    assert_are_the_best(items, table, allowed, off)

    parts = model.named_estimators_
    own = [w * parts[name].explain(X, items, 15)[1] for name, w in zip(parts, weights, strict=True)]
    _, contributions = model.explain(X, items, k=15)
    np.testing.assert_allclose(
        np.nansum(contributions, axis=2), sum(np.nansum(c, axis=2) for c in own), atol=off
    )
    if "popular" not in names:
        P = sum(
            w * sp.csr_array(parts[name].item_weights_).toarray()
            for name, w in zip(parts, weights, strict=True)
        )
        np.testing.assert_allclose(sp.csr_array(model.item_weights_).toarray(), P, atol=off)
        scores = np.take_along_axis(table, np.maximum(items, 0), axis=1)
        explained = np.nansum(contributions, axis=2)
        np.testing.assert_allclose(explained, np.where(items < 0, 0, scores), atol=off)


@pytest.mark.parametrize("name", PARTS)
def test_a_sum_with_one_part_is_that_part(name):
    X = listens()
    model, part = blended([name]).fit(X), clone(PARTS[name]).fit(X)
    for found, expected in zip(
        model.recommend(X, k=7, return_scores=True),
        part.recommend(X, k=7, return_scores=True),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.predict(X), part.predict(X))
    np.testing.assert_array_equal(model.similar_items([0, 3], 4), part.similar_items([0, 3], 4))
    np.testing.assert_array_equal(model.item_counts_, part.item_counts_)
    assert model.score(X) == part.score(X)


def test_sparse_parts_are_ranked_as_one_sparse_model(monkeypatch):
    X = listens()
    model = blended(["near", "nearer"], [1.0, -0.3]).fit(X)
    monkeypatch.setattr(weighted_sum, "_rank_sums", None)
    items = model.recommend(X, k=5)
    assert_are_the_best(items, sum_of_parts(model, [1.0, -0.3], X), X == 0)
    assert sp.issparse(model.item_weights_)


def test_weights_apply_without_another_fit():
    X = listens()
    model = blended(["near", "tastes", "popular"]).fit(X)
    alone = PARTS["popular"].fit(X).recommend(X, k=5)
    np.testing.assert_array_equal(model.set_params(weights=[0, 0, 3]).recommend(X, k=5), alone)
    scores = model.set_params(weights=np.array([1, 0.5, 0])).predict(X)
    np.testing.assert_allclose(scores, sum_of_parts(model, [1, 0.5, 0], X), atol=1e-12)
    with pytest.raises(ValueError, match="`weights` has 2 numbers, expected 3: one for each of"):
        model.set_params(weights=[1, 2]).predict(X)


def test_parts_may_be_dropped_and_replaced():
    X = listens()
    model = blended(["near", "tastes", "popular"], [1, 0.5, 2]).set_params(tastes="drop").fit(X)
    assert list(model.named_estimators_) == ["near", "popular"]
    assert len(model.estimators_) == 2
    np.testing.assert_array_equal(model.predict(X), sum_of_parts(model, [1, 2], X))
    model.set_params(tastes=LowRankAutoEncoder(2, random_state=0), near__n_neighbors=7).fit(X)
    assert model.named_estimators_.near.n_neighbors == 7
    assert PARTS["near"].n_neighbors == 3
    assert model.named_estimators_.tastes.item_vectors_.shape == (25, 2)


def test_a_part_that_learns_on_changes_the_sum():
    X = listens()
    model = blended(["near", "tastes"]).fit(X[:60])
    before = model.predict(X)
    model.named_estimators_.near.partial_fit(X[60:])
    np.testing.assert_array_equal(model.predict(X), sum_of_parts(model, [1, 1], X))
    assert (model.predict(X) != before).any()


@pytest.mark.parametrize("names", [["near", "popular"], ["tastes", "near"], ["all", "near"]])
def test_a_part_that_was_fitted_to_other_items_is_told(names):
    X = listens()
    model = blended(names).fit(X)
    model.named_estimators_.near.fit(X[:, :5])
    for ask in (model.predict, model.recommend, model.score):
        with pytest.raises(ValueError, match="items, expected the same number for all"):
            ask(X)


def test_a_sum_may_be_a_part():
    X = listens()
    inner = blended(["near", "tastes"], [1, 0.5])
    model = BlendedRecommender([("models", inner), ("popular", PARTS["popular"])], weights=[2, 0.1])
    model.fit(X)
    expected = blended(["near", "tastes", "popular"], [2, 1, 0.1]).fit(X)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), atol=1e-12)
    model.set_params(models__near__regularization=5.0)
    assert model.get_params()["models__near__regularization"] == 5.0
    chosen = BlendedRecommender([("chosen", ShallowAutoEncoderCV([0.3, 3.0], cv=2))]).fit(X)
    assert chosen.predict(X).shape == X.shape


@pytest.mark.parametrize(
    ("estimators", "weights", "error", "told"),
    [
        ([], None, ValueError, "`estimators`=\\[\\] must be a list of \\(name, estimator\\)"),
        (None, None, ValueError, "`estimators`=None must be a list"),
        ([PARTS["near"]], None, ValueError, "must be a list of \\(name, estimator\\)"),
        ([("a", PARTS["near"]), ("a", PARTS["all"])], None, ValueError, "not unique"),
        ([("weights", PARTS["near"])], None, ValueError, "conflict with constructor arguments"),
        ([("a__b", PARTS["near"])], None, ValueError, "must not contain __"),
        ([("a", "drop")], None, ValueError, "All `estimators` are dropped"),
        ([("a", LogCountTransformer())], None, TypeError, "part 'a' must be a recommender"),
        ([("a", PARTS["near"])], [1, 2], ValueError, "has 2 numbers, expected 1"),
        ([("a", PARTS["near"])], [0], ValueError, "All `weights` are 0"),
        ([("a", PARTS["near"])], ["1"], TypeError, "`weights`='1' must be a number"),
        ([("a", PARTS["near"])], [np.inf], ValueError, "`weights`=inf must be a finite number"),
        ([("a", PARTS["near"])], "ab", TypeError, "must be a list of numbers"),
        ([("a", PARTS["near"])], 2.0, TypeError, "must be a list of numbers"),
        ((("a", PARTS["near"]),), None, ValueError, "must be a list of \\(name, estimator\\)"),
        ([(1, PARTS["near"])], None, ValueError, "must be a list of \\(name, estimator\\)"),
        ([("a", PARTS["near"]), ("b", "drop")], [0, 1], ValueError, "All `weights` are 0"),
        ([("a", ShallowAutoEncoder(batch_size=0))], None, ValueError, "`batch_size`=0"),
    ],
)
def test_a_fit_that_fails_changes_nothing(estimators, weights, error, told):
    X = listens()
    model = blended(["near", "popular"]).fit(X)
    before = pickle.dumps(model._parts)
    failing = model.set_params(estimators=estimators, weights=weights)
    with pytest.raises(error, match=told):
        failing.fit(X)
    assert pickle.dumps(failing._parts) == before


def test_an_error_names_the_part():
    model = blended(["near", "all"]).set_params(all__regularization=0.0)
    with pytest.raises(ValueError, match="`regularization`=0") as caught:
        model.fit(listens())
    assert caught.value.__notes__ == ["In the fit of the part 'all'."]
    assert not hasattr(model, "estimators_")
    assert not hasattr(model, "item_weights_")


def test_reading_the_weights_of_a_sum_does_not_change_its_scores():
    X = listens(20, 60)  # the exact solution is dual
    model = blended(["all", "tastes"]).fit(X)
    before = model.predict(X[:1])
    np.testing.assert_allclose(X[:1] @ model.item_weights_, before, atol=1e-9)
    np.testing.assert_allclose(model.predict(X[:1]), before, atol=1e-12)


def test_in_a_pipeline_by_raw_ids():
    frame, _ = make_listens(200, 60, random_state=0)
    model = blended(["near", "tastes", "popular"], [1.0, 0.5, 0.1])
    recommender = make_recommender(LogCountTransformer(), model).fit(frame)
    answer = recommender.recommend(frame, k=3)
    assert set(answer["item"]) <= set(frame["item"])
    reasons = recommender.explain(frame, answer[:1], k=100)
    X = recommender[:-1].transform(frame)
    popular = recommender[-1].named_estimators_.popular.predict(X[:1]).max()
    left = answer["score"][0] - reasons["contribution"].sum()
    assert 0 < left <= 0.1 * popular + 1e-6  # by popularity
    again = pickle.loads(pickle.dumps(recommender)).recommend(frame, k=3)
    pd.testing.assert_frame_equal(again, answer)
    stranger = pd.DataFrame({"user": ["zoe"], "item": ["unknown"]})
    for no_history, n_rows in (("popularity", 2), ("omit", 0)):
        with pytest.warns(UserWarning, match="left out"):
            assert len(recommender.recommend(stranger, k=2, no_history=no_history)) == n_rows
    recommender[-1].estimators.append(("all", clone(PARTS["all"])))
    recommender[-1].weights = [1.0, 0.5, 0.1, 1.0]
    assert "item_counts_" in dir(recommender[-1])
    assert len(recommender.fit(frame)[-1].estimators_) == 4


def test_weights_and_parameters_of_parts_can_be_searched():
    X = listens(120, 25)
    model = blended(["near", "tastes"])
    search = GridSearchCV(
        model, {"weights": [[1, 0], [1, 0.5], [0, 1]], "near__n_neighbors": [1, 5]}, cv=3
    ).fit(X)
    assert len(search.cv_results_["params"]) == 6
    assert set(search.best_params_) == {"weights", "near__n_neighbors"}


@pytest.mark.parametrize("scoring", [None, make_ranking_scorer("recall", k=3), "own"])
def test_choosing_the_weights_is_grid_search_over_them(scoring):
    X = listens(120, 25)
    model = blended(["near", "tastes", "popular"])
    candidates = [[1, 0, 0], [1, 0.5, 0], [0, 1, 0.2], [0.3, 0.3, 0.3]]
    if scoring == "own":
        scoring = own_score
    grid = GridSearchCV(model, {"weights": candidates}, cv=4, scoring=scoring).fit(X)
    search = BlendedRecommenderCV(model.estimators, weights=candidates, cv=4, scoring=scoring)
    search.fit(X)
    for name in ("mean_test_score", "std_test_score", "split3_test_score"):
        np.testing.assert_allclose(search.cv_results_[name], grid.cv_results_[name], atol=1e-12)
    np.testing.assert_array_equal(
        search.cv_results_["rank_test_score"], grid.cv_results_["rank_test_score"]
    )
    assert search.best_params_ == grid.best_params_
    assert search.best_score_ == pytest.approx(grid.best_score_)
    assert list(search.cv_results_["param_weights"]) == candidates
    np.testing.assert_array_equal(search.recommend(X, k=5), grid.best_estimator_.recommend(X, k=5))
    if scoring is None:
        assert search.score(X) == grid.best_estimator_.score(X)


def own_score(model, X, y=None):
    return float(model.recommend(X, k=1).mean())


def test_parts_are_fitted_once_for_each_split(monkeypatch):
    fits, fit = [], SparseShallowAutoEncoder.fit
    monkeypatch.setattr(
        SparseShallowAutoEncoder,
        "fit",
        lambda self, X, y=None, sample_weight=None: (
            fits.append(X.shape[0]) or fit(self, X, y, sample_weight)
        ),
    )
    search = BlendedRecommenderCV(blended(["near", "popular"]).estimators, cv=4)
    search.fit(listens(), sample_weight=np.arange(80) + 1.0)
    assert fits == [60] * 4 + [80]
    weights = [params["weights"] for params in search.cv_results_["params"]]
    np.testing.assert_allclose(np.sum(weights, axis=1), 1)
    assert len(weights) == 11
    fits.clear()
    search.set_params(near="drop").fit(listens())
    assert search.best_params_ == {"weights": [0, 1]}
    assert not fits


@pytest.mark.parametrize(
    ("weights", "error", "told"),
    [
        ([], ValueError, "`weights` is empty"),
        ([[1.0]], ValueError, "has 1 numbers, expected 2"),
        ([1.0, 2.0], TypeError, "must be a list of numbers"),
        (2.0, TypeError, "must be a list of candidates"),
        ("ab", TypeError, "must be a list of candidates"),
        ([[0, 0]], ValueError, "All `weights` are 0"),
    ],
)
def test_bad_candidates_are_refused(weights, error, told):
    search = BlendedRecommenderCV(blended(["near", "popular"]).estimators, weights=weights)
    with pytest.raises(error, match=told):
        search.fit(listens())
    assert not hasattr(search, "best_estimator_")


def test_popularity_is_the_share_of_users():
    X = np.array([[1, 1, 0, 0], [5, 1, 0, 1], [0, 1, 1, 1]])
    model = PopularityRecommender().fit(X)
    np.testing.assert_allclose(model.predict(np.zeros((2, 4))), [[2 / 3, 1, 1 / 3, 2 / 3]] * 2)
    assert model.recommend(np.zeros((1, 4)), k=4).tolist() == [[1, 0, 3, 2]]
    assert model.similar_items([0], k=3).tolist() == [[1, 3, 2]]
    weighted = PopularityRecommender().fit(X, sample_weight=[1, 0, 1])
    np.testing.assert_allclose(weighted.predict(X)[0], [0.5, 1, 0.5, 0.5])
    reasons, contributions = model.explain(X[:1], [3], k=3)
    assert reasons.tolist() == [[0, 1, -1]]
    assert np.nansum(contributions) == 0
    assert not hasattr(model, "item_weights_")
    assert model.score(np.tile(X, (4, 1))) > 0


def test_users_without_items_get_what_is_popular_from_a_sum():
    X = listens()
    model = blended(["near", "popular"], [1, 0.1]).fit(X)
    nobody = np.zeros((1, 25))
    np.testing.assert_array_equal(
        model.recommend(nobody, k=5), PARTS["popular"].fit(X).recommend(nobody, k=5)
    )
