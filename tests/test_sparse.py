"""Weights between the nearest items, against the dense systems of each column in float64."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import condition, rounding
from hypothesis import given
from hypothesis import strategies as st
from problems import PARAMETERS, problems
from sklearn.model_selection import GridSearchCV

from shallow_ae import (
    LogCountTransformer,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_recommender,
    ndcg_score,
)
from shallow_ae._objective import solution as solution_module
from shallow_ae._runtime.blocks import share_rows
from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.neighborhood import fit as neighborhood_fit
from shallow_ae._solvers.neighborhood import systems
from shallow_ae._weights import largest as largest_module
from shallow_ae.datasets import make_listens
from shallow_ae.display import LossCurveDisplay
from shallow_ae.models import pruning


def listens(n_users=300, n_items=120, dtype=np.float64, seed=0):
    """Return counts of items of skewed popularity, some of which nobody has."""
    rng = np.random.default_rng(seed)
    popularity = 0.5 / (1 + np.arange(n_items)) ** 0.7
    popularity[n_items // 2] = 0
    X = (rng.random((n_users, n_items)) < popularity) * rng.integers(1, 9, (n_users, n_items))
    return sp.csr_array(X[:, rng.permutation(n_items)].astype(dtype))


def check_columns(P, X, sample_weight, parameters, n_neighbors, tolerance):
    """Assert that each column of P is the solution on the nearest items, by a dense inverse."""
    given_weights = np.ones(len(X)) if sample_weight is None else sample_weight
    counts = given_weights @ (X != 0)
    w = given_weights * np.maximum((X != 0).sum(axis=1), 1.0) ** -parameters["user_exponent"]
    X, w = X[w > 0], w[w > 0]
    p, n_items = parameters["dropout"], X.shape[1]
    G = (w[:, None] * X).T @ X
    penalty = w.sum() * parameters["regularization"] + p / (1 - p) * G.diagonal()
    A = G + np.diag(penalty)
    nearness = np.abs(G) / np.sqrt(A.diagonal())[:, None]
    share_a_user = (X != 0).T.astype(int) @ (X != 0) > 0
    counts = np.where(counts > 0, counts, 1) ** parameters["item_exponent"]
    for j in range(n_items):
        others = np.delete(np.arange(n_items), j)
        if n_neighbors < n_items - 1:
            others = others[share_a_user[others, j]]
        order = others[np.argsort(-nearness[others, j], kind="stable")]
        chosen = np.flatnonzero(P[:, j])
        nearest = order[:n_neighbors]
        if not np.array_equal(np.sort(nearest), chosen):  # ties to rounding, and weights of 0
            left_out = np.setdiff1d(nearest, chosen)
            worst = nearness[nearest, j].min(initial=np.inf)
            instead = np.setdiff1d(chosen, nearest)
            assert (nearness[instead, j] >= worst - 1e-12 * abs(worst)).all()
            if len(instead):
                nearest = chosen
            else:
                assert len(left_out)
        system = np.append(nearest, j)
        C = np.linalg.inv(A[np.ix_(system, system)])
        own = max((1 - parameters["diagonal_slack"]) / C[-1, -1], penalty[j])
        expected = np.zeros(n_items)
        expected[nearest] = -C[:-1, -1] * own * counts[j] / counts[nearest]
        np.testing.assert_allclose(P[:, j], expected, rtol=tolerance, atol=tolerance)


def assert_same(model, expected):
    """Assert that two models have learned the same, bit for bit."""
    P, Q = model.item_weights_, expected.item_weights_
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(P, name), getattr(Q, name), strict=True)
    for name in ("item_counts_", "residual_", "loss_curve_", "n_samples_seen_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(expected, name))


@given(
    problem=problems(),
    parameters=PARAMETERS,
    n_neighbors=st.integers(1, 14),
    has_dislikes=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_each_column_is_the_solution_on_its_nearest(
    problem, parameters, n_neighbors, has_dislikes, dtype
):
    X, sample_weight = problem
    if has_dislikes:
        X = X * np.where(np.arange(X.size).reshape(X.shape) % 3, 1, -1)
    X = X.astype(dtype)
    parameters = {"regularization": 0.3, **parameters}
    model = SparseShallowAutoEncoder(n_neighbors=n_neighbors, **parameters)
    model.fit(X, sample_weight=sample_weight)
    P = model.item_weights_
    assert P.dtype == dtype
    assert P.has_sorted_indices
    assert P.indices.dtype == np.int32
    assert np.diff(P.tocsc().indptr).max(initial=0) <= n_neighbors
    off = rounding(12, dtype) * condition(X.astype(np.float64), 0.3, parameters["dropout"])
    if dtype == np.float64 or n_neighbors >= X.shape[1] - 1:  # else rounding chooses
        dense = P.toarray().astype(np.float64)
        check_columns(dense, X.astype(np.float64), sample_weight, parameters, n_neighbors, off)
    assert model.residual_ < rounding(12, dtype)


@given(problem=problems(), parameters=PARAMETERS, more=st.integers(0, 3))
def test_all_others_for_neighbors_are_the_exact_solution(problem, parameters, more):
    X, sample_weight = problem
    exact = ShallowAutoEncoder(0.1, solver="exact", **parameters)
    exact.fit(X, sample_weight=sample_weight)
    n_neighbors = max(1, X.shape[1] - 1 + more)
    model = SparseShallowAutoEncoder(0.1, n_neighbors=n_neighbors, **parameters)
    model.fit(X, sample_weight=sample_weight)
    size = max(np.abs(exact.item_weights_).max(), 1e-3)
    off = rounding(12) * condition(X, 0.1, parameters["dropout"])
    np.testing.assert_allclose(
        model.item_weights_.toarray(), exact.item_weights_, rtol=0, atol=off * size
    )
    np.testing.assert_allclose(model.loss_curve_, exact.loss_curve_, rtol=off, atol=off)
    np.testing.assert_array_equal(model.item_counts_, exact.item_counts_)


def test_the_exact_solution_of_many_items():
    X = listens()
    exact = ShallowAutoEncoder(0.1, solver="exact").fit(X)
    model = SparseShallowAutoEncoder(0.1, n_neighbors=X.shape[1] - 1).fit(X)
    off = rounding(120) * 194  # the condition
    np.testing.assert_allclose(model.item_weights_.toarray(), exact.item_weights_, rtol=0, atol=off)
    np.testing.assert_array_equal(model.recommend(X, k=10), exact.recommend(X, k=10))


@pytest.mark.parametrize(
    "ways",
    [
        {"_solvers.neighborhood.fit._PER_TASK": 1, "_solvers.neighborhood.fit._ROWS_PER_TASK": 1},
        {"_solvers.neighborhood.fit._PER_TASK": 7, "_solvers.neighborhood.fit._ROWS_PER_TASK": 50},
        {"_solvers.neighborhood.fit._ARRAY_BYTES": 0},
        {"_solvers.neighborhood.fit._ARRAY_BYTES": 10**6},
        {"_runtime.blocks.ENTRIES_PER_BLOCK": 50},
    ],
)
def test_weights_do_not_depend_on_how_work_is_shared_or_products_are_kept(monkeypatch, ways):
    X = listens(dtype=np.float32)
    expected = SparseShallowAutoEncoder(n_neighbors=20).fit(X)
    for name, value in ways.items():
        monkeypatch.setattr(f"shallow_ae.{name}", value)
    model = SparseShallowAutoEncoder(n_neighbors=20).fit(X)
    assert_same(model, expected)


def test_lists_and_arrays_are_both_in_use():
    layout = neighborhood_fit.by_popularity(listens(3000, 1500)).layout
    assert layout.is_dense.any()
    assert not layout.is_dense.all()


def test_the_order_of_columns_does_not_matter():
    X = listens()
    order = np.random.default_rng(1).permutation(X.shape[1])
    P = SparseShallowAutoEncoder(n_neighbors=20).fit(X).item_weights_.toarray()
    permuted = SparseShallowAutoEncoder(n_neighbors=20).fit(X[:, order]).item_weights_.toarray()
    same = (permuted != 0) == (P[np.ix_(order, order)] != 0)
    of_no_tie = same.all(axis=0)
    assert of_no_tie.mean() > 0.7
    expected = P[np.ix_(order, order)][:, of_no_tie]
    off = rounding(20) * 194  # the condition of all, 0.1 in place of 0.02
    np.testing.assert_allclose(permuted[:, of_no_tie], expected, rtol=0, atol=off)


def test_equally_near_items_are_taken_by_rising_index():
    X = np.zeros((6, 5))
    X[:, 4] = 1
    X[:3, [1, 3]] = X[3:, [0, 2]] = 1  # all four as near to the last
    P = SparseShallowAutoEncoder(n_neighbors=3).fit(X).item_weights_
    np.testing.assert_array_equal(np.flatnonzero(P.toarray()[:, 4]), [0, 1, 2])


def test_items_without_neighbors_have_no_weights_and_are_ranked_last():
    X = np.zeros((4, 6))
    X[:2, [0, 1]] = 1
    X[2, 2] = 1  # alone with its user
    X[3, [0, 1, 3]] = 1  # and nobody has 4 and 5
    model = SparseShallowAutoEncoder(n_neighbors=2).fit(X)
    P = model.item_weights_.toarray()
    assert not P[[2, 4, 5]].any()
    assert not P[:, [2, 4, 5]].any()
    np.testing.assert_array_equal(model.recommend([[1, 0, 0, 0, 0, 0]], k=6), [[1, 3, 2, 4, 5, -1]])


def test_products_that_cancel_are_a_neighbor_of_no_weight_alone():
    X = np.array([[1.0, 1, 0], [1, -1, 0], [1, 0, 1]])
    model = SparseShallowAutoEncoder(n_neighbors=1).fit(X)
    assert model.item_weights_[2, 0] > 0
    assert model.item_weights_[:, [1]].nnz == 0


@pytest.mark.parametrize("shape", [(5, 1), (1, 4), (5, 2)])
def test_few_items_or_users(shape):
    X = np.ones(shape)
    model = SparseShallowAutoEncoder(0.1).fit(X)
    exact = ShallowAutoEncoder(0.1, solver="exact").fit(X)
    off = rounding(5) * condition(X, 0.1)
    np.testing.assert_allclose(model.item_weights_.toarray(), exact.item_weights_, rtol=0, atol=off)
    np.testing.assert_allclose(model.predict(X), exact.predict(X), rtol=0, atol=off)


def test_updates_are_a_fit_on_what_is_there():
    X, weights = listens(), np.random.default_rng(0).uniform(0.5, 2, 300)
    model = SparseShallowAutoEncoder(n_neighbors=20, user_exponent=0.5)
    expected = SparseShallowAutoEncoder(**model.get_params()).fit(X, None, weights)
    for part in (slice(0, 100), slice(100, 101), slice(101, 300)):
        model.partial_fit(X[part], sample_weight=weights[part])
    assert_same(model, expected)
    left = np.setdiff1d(np.arange(300), [3, 50, 299])
    model.forget(X[[299, 3, 50]], sample_weight=weights[[299, 3, 50]])
    rest = SparseShallowAutoEncoder(**model.get_params()).fit(X[left], None, weights[left])
    assert_same(model, rest)


@pytest.mark.parametrize(
    "kind", [sp.csr_array, sp.csr_matrix, sp.csc_array, np.asarray, pd.DataFrame]
)
def test_what_a_model_keeps_is_its_own(kind):
    dense, weights = listens().toarray(), np.random.default_rng(0).uniform(0.5, 2, 300)
    X = kind(dense)
    model = SparseShallowAutoEncoder(n_neighbors=20).fit(X, sample_weight=weights)
    given = weights.copy()
    weights[:] = 7
    if sp.issparse(X):
        X.data[:] = 7
        X.indices[:] = 0
    elif isinstance(X, np.ndarray):
        X[:] = 7
    dense = listens().toarray()
    gone, left = np.arange(10), np.arange(10, 300)
    model.forget(kind(dense)[:10] if kind is not pd.DataFrame else kind(dense[:10]), given[:10])
    expected = SparseShallowAutoEncoder(n_neighbors=20).fit(dense[left], None, given[left])
    assert_same(model, expected)
    with pytest.raises(ValueError, match="is not among the 290 training rows"):
        model.forget(dense[gone], given[gone])


def test_updates_by_rows_that_do_not_count_and_by_parameters_out_of_range():
    X = listens()
    model = SparseShallowAutoEncoder(n_neighbors=20).fit(X)
    model.partial_fit(X[:5], sample_weight=np.zeros(5))
    weights = np.concatenate([np.ones(300), np.zeros(5)])
    all_rows = sp.vstack([X, X[:5]], format="csr")
    assert_same(model, SparseShallowAutoEncoder(n_neighbors=20).fit(all_rows, None, weights))
    before = pickle.dumps(model.set_params(n_neighbors=0))
    for update in (model.partial_fit, model.forget):
        with pytest.raises(ValueError, match="`n_neighbors`=0 must be"):
            update(X[:5])
    assert pickle.dumps(model) == before


def test_a_catalogue_larger_than_the_sieve_of_nearest_items():
    rng = np.random.default_rng(0)
    n_users, n_items = 3000, 2 * (systems.SIEVE + 1)
    places = (n_items * rng.random((n_users, 60)) ** 2).astype(int)  # popular ones more often
    X = sp.csr_array((np.ones(places.size), (np.repeat(np.arange(n_users), 60), places.ravel())))
    X.resize((n_users, n_items))
    X.sum_duplicates()
    P = SparseShallowAutoEncoder(1e-3, n_neighbors=30).fit(X).item_weights_.tocsc()
    penalty = np.full(n_items, n_users * 1e-3)
    by_column = X.tocsc()
    checked = rng.choice(n_items, 300, replace=False)
    for j in checked:
        nearest = P[:, [j]].indices
        system = by_column[:, np.append(nearest, j)].toarray()
        C = np.linalg.inv(system.T @ system + np.diag(penalty[: len(nearest) + 1]))
        np.testing.assert_allclose(P[:, [j]].data, -C[:-1, -1] / C[-1, -1], rtol=0, atol=1e-12)
    assert P[:, checked].nnz > 30 * 200


def test_rows_never_become_a_gram_matrix():
    X = np.ones((50, 3))  # whose rows are larger
    model = SparseShallowAutoEncoder().fit(X).partial_fit(X).forget(X[:10])
    expected = SparseShallowAutoEncoder().fit(np.ones((90, 3)))
    assert_same(model, expected)


@pytest.mark.parametrize(
    ("parameters", "X", "told"),
    [
        ({"n_neighbors": 0}, np.eye(3), "`n_neighbors`=0 must be"),
        ({"regularization": 0}, np.eye(3), "`regularization`=0 must be > 0"),
        ({"regularization": 1e-12}, np.ones((9, 9), np.float32), "too small for these data"),
        ({"regularization": 1e-12}, np.ones((9, 2), np.float32), "too small for these data"),
        ({}, np.array([[np.nan, 1]]), "NaN"),
    ],
)
def test_a_fit_that_fails_changes_nothing(parameters, X, told):
    model = SparseShallowAutoEncoder(n_neighbors=3).fit(listens())
    before = pickle.dumps(model)
    given = model.get_params()
    with pytest.raises(ValueError, match=told):
        model.set_params(**parameters).fit(X)
    assert pickle.dumps(model.set_params(**given)) == before


def test_an_error_does_not_wait_for_what_has_not_begun(nothing_more_begins):
    begun = []

    def fail(rows):
        begun.append(rows)
        if len(begun) > 1:
            nothing_more_begins.wait(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share_rows(30, fail, most=1)
    assert len(begun) <= 1 + n_threads()  # the first, and one that holds each thread


def test_to_forget_what_is_unknown_changes_nothing():
    X = listens()
    model = SparseShallowAutoEncoder(n_neighbors=3).fit(X)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="is not among the 300 training rows"):
        model.forget(X[[0]] * 3)
    with pytest.raises(ValueError, match="Nobody would be left"):
        model.forget(X)
    assert pickle.dumps(model) == before


def test_inexact_weights_are_told(monkeypatch):
    monkeypatch.setitem(solution_module._LARGEST_ERROR, "float64", 1e-18)
    with pytest.warns(UserWarning, match="their relative residual is") as caught:
        SparseShallowAutoEncoder(n_neighbors=8).fit(listens())
    assert caught[0].filename == __file__


@pytest.mark.parametrize("most", [1, 30, 1000])
def test_weights_that_rounding_moves_are_told_though_their_systems_are_solved(most):
    rng = np.random.default_rng(1)
    one_of_two = (rng.random((2000, 10)) < 0.3) * rng.integers(1, most + 1, (2000, 10))
    X = np.repeat(one_of_two, 2, axis=1).astype(np.float64)
    X[rng.integers(2000, size=20), rng.integers(20, size=20)] += 1  # nearly equal pairs
    P = SparseShallowAutoEncoder(n_neighbors=5).fit(X).item_weights_.toarray()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SparseShallowAutoEncoder(n_neighbors=5).fit(X.astype(np.float32))
    off = np.abs(model.item_weights_.toarray() - P).max() / np.abs(P).max()
    assert model.residual_ < 1e-6  # seen: 8e-8
    assert bool(caught) == (most == 1000)  # moved by 2e-7, 6e-5 and 0.25
    assert (off < 1e-3) if most < 1000 else (off > 1e-2)
    for warning in caught:
        assert "rounding moves them by" in str(warning.message)
        assert "or pass float64 data" in str(warning.message)
        assert warning.filename == __file__


def test_what_rounding_moves_is_known_to_a_factor():
    rng = np.random.default_rng(0)
    alone = np.zeros((1000, 61))
    alone[:, 0] = 1
    alone[0, 1:] = rng.integers(60, 300, 60)  # one user has 60 items that nobody else has
    P = SparseShallowAutoEncoder(0.002, n_neighbors=60).fit(alone).item_weights_.toarray()
    with pytest.warns(UserWarning, match="rounding moves them by about") as caught:
        model = SparseShallowAutoEncoder(0.002, n_neighbors=60).fit(alone.astype(np.float32))
    off = np.abs(model.item_weights_.toarray() - P).max() / np.abs(P).max()
    told = float(re.search(r"by about (\S+),", str(caught[0].message))[1])
    # Seen: 0.13 and 0.24, to the last digit with whichever processor LLVM compiles for: it neither
    # reorders nor contracts what is compiled without fastmath.
    assert 0.05 < off < told < 5 * off


def test_a_large_condition_that_moves_nothing_is_not_told():
    rng = np.random.default_rng(0)
    X = np.zeros((2000, 50))
    X[:, :40] = rng.random((2000, 40)) < 0.1
    X[0, [45, 46]] = 3000  # as near as two items can be
    P = SparseShallowAutoEncoder(n_neighbors=49).fit(X).item_weights_.toarray()
    model = SparseShallowAutoEncoder(n_neighbors=49).fit(X.astype(np.float32))
    np.testing.assert_allclose(  # seen: 1.8e-6
        model.item_weights_.toarray(), P, rtol=0, atol=2e-5
    )


def test_large_values_of_no_near_equal_items_are_exact():
    rng = np.random.default_rng(1)
    X = (rng.random((2000, 40)) < 0.2) * rng.integers(1, 10_001, (2000, 40)).astype(np.float32)
    P = SparseShallowAutoEncoder(n_neighbors=10).fit(X.astype(np.float64)).item_weights_.toarray()
    model = SparseShallowAutoEncoder(n_neighbors=10).fit(X)
    np.testing.assert_allclose(  # seen: 1.1e-7
        model.item_weights_.toarray(), P, rtol=0, atol=rounding(10, np.float32)
    )


def test_values_near_the_largest_of_their_type():
    X = listens(dtype=np.float32) * np.float32(1e17)  # squares add up, and those squared do not
    residual = SparseShallowAutoEncoder(n_neighbors=5).fit(X).residual_
    assert 0 < residual < rounding(5, np.float32)
    X *= 1e4
    for model in (SparseShallowAutoEncoder(n_neighbors=5), ShallowAutoEncoder(solver="exact")):
        with pytest.raises(ValueError, match="squares are too large for float32"):
            model.fit(X)


def test_a_fit_that_does_not_fit_is_refused_with_what_would(set_free_memory):
    X = listens(2000, 1000, np.float32)
    model = SparseShallowAutoEncoder().fit(X[:, :10])
    before = pickle.dumps(model)
    free = model.plan(X).bytes - 2**18
    set_free_memory(free)
    with pytest.raises(MemoryError, match=r"for 1,000 items .* set `n_neighbors` to (\d\d)\.") as e:
        model.fit(X)
    assert pickle.dumps(model) == before
    fitting = int(str(e.value).split()[-1].rstrip("."))
    assert model.set_params(n_neighbors=fitting).plan(X).bytes <= free
    model.fit(X)
    set_free_memory(1000)
    with pytest.raises(MemoryError, match=r"are free\.$"):
        model.fit(X)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3])
def test_a_refused_fit_names_the_most_neighbors_that_fit(set_free_memory, share):
    X = sp.random_array((2000, 5000), density=0.002, rng=0, format="csr", dtype=np.float32)
    model = SparseShallowAutoEncoder(n_neighbors=200)
    free = share * model.plan(X).bytes
    set_free_memory(free)
    with pytest.raises(MemoryError, match="set `n_neighbors` to") as caught:
        model.fit(X)
    fitting = int(str(caught.value).split()[-1].rstrip("."))
    assert model.set_params(n_neighbors=fitting).plan(X).bytes <= free
    assert model.set_params(n_neighbors=fitting + 1).plan(X).bytes > free


def test_an_exact_fit_that_does_not_fit_points_here(set_free_memory):
    set_free_memory(2**20)
    with pytest.raises(MemoryError, match="or fit a SparseShallowAutoEncoder"):
        ShallowAutoEncoder(solver="exact").fit(sp.eye_array(5000, format="csr"))


def test_a_plan_counts_what_a_small_fit_does():
    X = np.ones((3, 4), np.float32)
    cost = SparseShallowAutoEncoder(n_neighbors=2).plan(X)
    assert cost.form == "nearest"
    assert cost.multiplications == 3 * 4**2 + 4 * 2**3 // 6
    assert cost.kept_bytes == 12 * 8 + 3 * (4 + 8) + 4 * (2 * 8 + 8)
    assert cost.bytes > cost.kept_bytes
    assert cost.seconds > 0


def test_in_a_pipeline_and_a_search():
    plays, _ = make_listens(200, 80, random_state=0)
    recommender = make_recommender(LogCountTransformer(), SparseShallowAutoEncoder(n_neighbors=10))
    answer = recommender.fit(plays).recommend(plays, k=10)
    assert set(answer.columns) >= {"user", "item", "score"}
    reasons = recommender.explain(plays, answer[:1], k=80)
    assert np.isclose(reasons["contribution"].sum(), answer["score"][0])

    X = listens()
    search = GridSearchCV(SparseShallowAutoEncoder(), {"n_neighbors": [1, 20]}, cv=3).fit(X)
    assert search.best_params_["n_neighbors"] == 20
    similar = search.best_estimator_.similar_items([5], k=3)
    P = search.best_estimator_.item_weights_.toarray()
    np.testing.assert_array_equal(similar[0], np.argsort(-P[5], kind="stable")[:3])


def test_few_neighbors_find_what_all_pairs_find_on_movielens(ml_1m):
    X, hidden = ml_1m
    penalty, with_all_pairs = 300 / X.shape[0], 0.1086  # of ShallowAutoEncoder(solver="exact")
    model = SparseShallowAutoEncoder(penalty, n_neighbors=100).fit(X)
    found = ndcg_score(hidden, model.recommend(X, k=20), k=20)
    assert found > 0.95 * with_all_pairs  # seen: 1.005 times


@pytest.mark.parametrize("form", ["primal", "dual", "gram"])
@pytest.mark.parametrize(
    "variants",
    [{}, {"dropout": 0.3, "diagonal_slack": 0.4, "user_exponent": 0.5, "item_exponent": 0.3}],
)
def test_sparsify_keeps_the_largest_and_tells_what_the_others_were_worth(
    monkeypatch, form, variants
):
    for module in (largest_module, pruning):
        monkeypatch.setattr(module, "_COLUMNS", 5)
    monkeypatch.setattr(pruning, "_PRODUCTS", 700)
    shapes = {"primal": (150, 100), "dual": (60, 100), "gram": (2000, 12)}
    X = listens(*shapes[form])
    X = X if form != "gram" else sp.csr_array(np.abs(X.toarray()) + 0.5)
    weights = np.random.default_rng(0).uniform(0.5, 2, X.shape[0])
    model = ShallowAutoEncoder(0.2, solver="exact", **variants).fit(X, sample_weight=weights)
    assert hasattr(model._fitted.training_data, "matrix") == (form == "gram")
    n_neighbors = 5
    pruned = model.sparsify(n_neighbors)
    assert pruned.item_weights_.indices.dtype == np.int32
    P, kept = model.item_weights_, pruned.item_weights_.toarray()
    for j in range(X.shape[1]):
        largest = np.argsort(-np.abs(P[:, j]), kind="stable")[:n_neighbors]
        expected = np.zeros(len(P))
        expected[largest] = P[largest, j]
        np.testing.assert_allclose(kept[:, j], expected, rtol=1e-12)  # seen: equal

    # The objective by its definition, with the weights as they are before the item exponent.
    w = weights * np.diff(X.indptr) ** -variants.get("user_exponent", 0.0)
    w *= len(w) / w.sum()
    counts = np.where(model.item_counts_ > 0, model.item_counts_, 1)
    Q = kept / (counts[None, :] / counts[:, None]) ** variants.get("item_exponent", 0.0)
    Q += np.diag(model._fitted.diagonal)
    dense, p = X.toarray(), variants.get("dropout", 0.0)
    penalty = 0.2 + p / (1 - p) * (w @ dense**2) / len(w)
    objective = (w @ (dense - dense @ Q) ** 2).sum() / len(w) + (penalty @ Q**2).sum()
    assert pruned.loss_curve_ == pytest.approx([model.loss_curve_[0], objective], rel=1e-12)
    assert objective > model.loss_curve_[0]
    everything = model.sparsify(X.shape[1])
    assert everything.loss_curve_[1] == pytest.approx(model.loss_curve_[0], rel=1e-12)
    np.testing.assert_allclose(everything.predict(X), model.predict(X), rtol=0, atol=1e-11)


def test_a_pruned_model_serves_and_does_not_learn():
    X = listens()
    pruned = ShallowAutoEncoder(0.1, solver="exact").fit(X).sparsify(10)
    assert pruned.get_params() == SparseShallowAutoEncoder(0.1, n_neighbors=10).get_params()
    assert pruned.recommend(X, k=5).shape == (300, 5)
    assert len(pickle.dumps(pruned)) < 30_000
    for update in (pruned.partial_fit, pruned.forget):
        with pytest.raises(ValueError, match="keeps no training rows"):
            update(X)
    assert pruned.fit(X).partial_fit(X).n_samples_seen_ == 600
    for model in (ShallowAutoEncoder(max_iter=1).fit(X), ShallowAutoEncoder(solver="exact")):
        assert not hasattr(model, "sparsify")
        with pytest.raises(AttributeError) as caught:
            model.sparsify()
        assert "solver='exact'" in str(caught.value.__cause__)


def test_what_sparsify_needs_and_names(set_free_memory):
    X = pd.DataFrame(listens().toarray()).rename(columns=str)
    model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
    pruned = model.sparsify(10)
    np.testing.assert_array_equal(pruned.feature_names_in_, X.columns)
    pruned.recommend(X, k=3)  # without a warning of names
    set_free_memory(1000)
    with pytest.raises(MemoryError, match="`n_neighbors`=10 needs"):
        model.sparsify(10)


def test_sparsify_of_one_item_and_after_set_params():
    one = ShallowAutoEncoder(0.1, solver="exact").fit(np.ones((5, 1))).sparsify(3)
    assert one.item_weights_.nnz == 0
    model = ShallowAutoEncoder(0.1, solver="exact").fit(listens())
    pruned = model.set_params(regularization=5, user_exponent=1, item_exponent=0.5).sparsify(200)
    assert pruned.regularization == 0.1
    assert pruned.loss_curve_[1] == pytest.approx(pruned.loss_curve_[0], rel=1e-12)


def test_a_closed_form_has_no_loss_curve_to_draw():
    model = SparseShallowAutoEncoder().fit(listens())
    with pytest.raises(ValueError, match="There is no loss curve"):
        LossCurveDisplay.from_estimator(model)
