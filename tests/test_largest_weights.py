"""The largest weights of each item, as a matrix and as a table, from every form of weights."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    make_recommender,
)
from shallow_ae._weights import largest
from shallow_ae._weights.item_weights import ItemWeights, SparseWeights

N_ITEMS = 90
MODELS = {
    "descent": ShallowAutoEncoder(max_iter=3, random_state=0),
    "exact": ShallowAutoEncoder(0.2, solver="exact"),
    "near": SparseShallowAutoEncoder(0.2, n_neighbors=12),
    "tastes": LowRankAutoEncoder(n_components=6),
    "search": ShallowAutoEncoderCV([0.1, 0.5], cv=2),
}
SUMS = {
    "sparse sum": ["near", "nearer"],
    "mixed sum": ["near", "tastes", "exact"],
}


def listens(n_users=300, n_items=N_ITEMS, dtype=np.float32):
    rng = np.random.default_rng(0)
    X = (rng.random((n_users, n_items)) < rng.uniform(0.02, 0.3, n_items)) * 1.0
    return sp.csr_array(X * rng.uniform(0.5, 2, X.shape)).astype(dtype)


def model_of(kind):
    if kind in MODELS:
        return MODELS[kind]
    if kind == "dual":  # fewer users than items
        return MODELS["exact"]
    parts = MODELS | {"nearer": SparseShallowAutoEncoder(0.5, n_neighbors=7)}
    return BlendedRecommender([(name, parts[name]) for name in SUMS[kind]], weights=None)


def pruned(P, n_neighbors):
    """Return the largest entries of each column by NumPy, ties by ascending row."""
    P = P.toarray() if sp.issparse(P) else np.asarray(P)
    kept = np.zeros_like(P)
    for j in range(P.shape[1]):
        rows = np.argsort(-np.abs(P[:, j]), kind="stable")[:n_neighbors]
        kept[rows, j] = P[rows, j]
    return kept


@pytest.mark.parametrize("n_neighbors", [1, 5, 40, None])
@pytest.mark.parametrize("kind", [*MODELS, "dual", *SUMS])
def test_the_largest_weights_are_those_of_each_column(monkeypatch, kind, n_neighbors):
    monkeypatch.setattr(largest, "_COLUMNS", 7)
    monkeypatch.setattr(largest, "_STORED_COLUMNS", 11)
    model = model_of(kind).fit(listens(40 if kind == "dual" else 300))
    weights = model._fitted.weights
    assert weights.is_materialized == (kind not in ("dual", "tastes", *SUMS))
    found = model.largest_weights(n_neighbors)
    assert model._fitted.weights.is_materialized == weights.is_materialized
    assert isinstance(found, sp.csr_array)
    assert found.dtype == weights.form.dtype
    assert found.has_sorted_indices
    assert (found.data != 0).all()
    P = model.item_weights_
    expected = pruned(P, n_neighbors or N_ITEMS)
    atol = 8 * np.finfo(np.float32).eps * np.abs(expected).max()  # products in other blocks
    np.testing.assert_allclose(found.toarray(), expected, rtol=0, atol=atol)
    if n_neighbors is not None:
        assert np.diff(sp.csc_array(found).indptr).max() <= n_neighbors


@pytest.mark.parametrize("is_sparse", [True, False])
def test_ties_are_broken_by_ascending_index_and_zeros_are_left_out(monkeypatch, is_sparse):
    monkeypatch.setattr(largest, "_STORED_COLUMNS", 2)
    model = SparseShallowAutoEncoder().fit(listens())
    P = np.zeros((N_ITEMS, N_ITEMS), np.float32)
    P[:, 3], P[[60, 8, 70], 4], P[20, 89] = -1, [2, -2, 2], 1
    P[3, 3] = 0
    stored = SparseWeights(sp.csr_array(P)) if is_sparse else type(dense_weights())(P)
    object.__setattr__(model._fitted, "weights", ItemWeights(stored))
    found = model.largest_weights(2)
    rows, columns = found.nonzero()
    assert sorted(zip(columns.tolist(), rows.tolist(), strict=True)) == [
        (3, 0),
        (3, 1),
        (4, 8),
        (4, 60),
        (89, 20),
    ]
    assert found[8, 4] == -2


def dense_weights():
    return ShallowAutoEncoder(max_iter=1).fit(listens())._fitted.weights.form


def test_all_weights_of_a_sparse_model_and_of_one_item():
    model = MODELS["near"].fit(listens())
    difference = model.largest_weights(None) - model.item_weights_
    assert difference.nnz == 0
    assert ShallowAutoEncoder(solver="exact").fit(np.ones((4, 1))).largest_weights().nnz == 0
    nothing = SparseShallowAutoEncoder().fit(np.eye(5))
    assert nothing.largest_weights(2).nnz == 0


def test_the_largest_weights_of_a_model_are_those_of_its_sparse_model():
    model = MODELS["exact"].fit(listens(40))
    expected = model.sparsify(9).item_weights_
    assert (model.largest_weights(9) != expected).nnz == 0


def test_popularity_has_no_weights():
    X = listens()
    for model in (
        PopularityRecommender(),
        BlendedRecommender([("near", MODELS["near"]), ("popular", PopularityRecommender())]),
    ):
        with pytest.raises(AttributeError, match=r"popularity .* no item weights"):
            model.fit(X).largest_weights(3)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "all"])
def test_the_number_of_weights_is_a_positive_integer(wrong):
    with pytest.raises((TypeError, ValueError), match="n_neighbors"):
        MODELS["near"].fit(listens()).largest_weights(wrong)


def test_weights_that_do_not_fit_are_refused_with_a_number_that_fits(set_free_memory):
    model = MODELS["tastes"].fit(listens())
    set_free_memory(largest.bytes_needed(model._fitted.weights.form, 20))
    model.largest_weights(20)
    for asked, number in ((21, 21), (None, N_ITEMS - 1)):
        with pytest.raises(MemoryError, match=rf"`n_neighbors`={number} .* set .* to 20\."):
            model.largest_weights(asked)


NAMES = {
    "strings": [f"song {j}" for j in range(N_ITEMS)],
    "integers": list(range(1000, 1000 + N_ITEMS)),
    "tuples": [("album", j) for j in range(N_ITEMS)],
}


def interactions(names, n_users=300):
    rows = listens(n_users).tocoo()
    items = pd.Series([names[j] for j in rows.coords[1]])
    return pd.DataFrame({"user": rows.coords[0], "item": items, "count": rows.data})


@pytest.mark.parametrize("kind", NAMES)
def test_the_table_holds_raw_ids(kind):
    frame = interactions(NAMES[kind]).rename(columns={"item": "song"})
    recommender = make_recommender(MODELS["near"], item="song").fit(frame)
    table = recommender.largest_weights(4)
    assert list(table.columns) == ["song", "similar", "weight"]
    assert table["weight"].dtype == np.float32
    assert table.index.equals(pd.RangeIndex(len(table)))
    mapper, P = recommender[0], recommender[-1].largest_weights(4).tocoo()
    np.testing.assert_array_equal(mapper.item_index(table["song"]), P.coords[0])
    np.testing.assert_array_equal(mapper.item_index(table["similar"]), P.coords[1])
    np.testing.assert_array_equal(table["weight"], P.data.astype(np.float32))
    assert isinstance(table["song"][0], type(NAMES[kind][0]) if kind != "integers" else np.integer)


def test_scores_are_sums_over_the_table():
    frame = interactions(NAMES["strings"])
    recommender = make_recommender(LogCountTransformer(), MODELS["exact"]).fit(frame)
    table = recommender.largest_weights(None)
    history = frame[frame["user"] == 7].assign(value=lambda f: 1 + np.log1p(f["count"]))
    scores = history.merge(table, on="item").eval("part = value * weight")
    scores = scores.groupby("similar")["part"].sum()
    found = recommender.recommend(history, k=5)
    np.testing.assert_allclose(scores[found["item"]], found["score"], rtol=1e-5)


def test_the_table_of_a_dual_fit_does_not_compute_all_weights():
    frame = interactions(NAMES["strings"], n_users=40)
    recommender = make_recommender(MODELS["exact"]).fit(frame)
    table = recommender.largest_weights(3)
    assert not recommender[-1]._fitted.weights.is_materialized
    assert len(table) == 3 * len(recommender[0].items_)


def test_the_table_is_float32_and_the_matrix_keeps_the_type_of_the_model():
    frame = interactions(NAMES["strings"]).astype({"count": np.float64})
    recommender = make_recommender(MODELS["exact"]).fit(frame)
    assert recommender[-1].largest_weights(3).dtype == np.float64
    assert recommender.largest_weights(3)["weight"].dtype == np.float32


@pytest.mark.parametrize("name", ["similar", "weight"])
def test_an_item_column_that_is_named_as_another_column_is_refused(name):
    frame = interactions(NAMES["strings"]).rename(columns={"item": name})
    recommender = make_recommender(IdMapper(item=name), MODELS["near"]).fit(frame)
    with pytest.raises(ValueError, match=f"'{name}'.*Rename the columns"):
        recommender.largest_weights(3)
