"""Fits and recommendations on a Dask cluster equal those in memory."""

import pickle
import subprocess
import sys
import textwrap

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.distributed import Client, LocalCluster
from kill_workers import MODELS, disturbed, made_up_listens, recommendations, timed
from sklearn.base import clone

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    load_model,
    make_recommender,
    save_model,
)
from shallow_ae._cluster import descent

EXACT = ShallowAutoEncoder(0.05, solver="exact", user_exponent=0.3, item_exponent=0.1)
NEAREST = SparseShallowAutoEncoder(0.05, n_neighbors=12, dropout=0.2)
DESCENT = ShallowAutoEncoder(max_iter=20, batch_size=64, item_exponent=0.1, random_state=0)
LOW_RANK = LowRankAutoEncoder(8, random_state=0)


@pytest.fixture(scope="module")
def client():
    """Return a client of two worker processes."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def listens():
    """Return interactions whose counts are float64, with the rows of a user far apart."""
    rng = np.random.default_rng(0)
    n = 5000
    return pd.DataFrame(
        {
            "listener": rng.integers(0, 300, n),
            "song": [f"song {i}" for i in (60 * rng.random(n) ** 2).astype(int)],
            "plays": 5 * rng.random(n) + 0.1,
        }
    )


@pytest.fixture
def threads():
    """Run Dask in this process."""
    with dask.config.set({"scheduler": "threads", "dataframe.shuffle.method": "tasks"}):
        yield


def written(frame, folder, n_partitions):
    """Write a frame as a folder of Parquet files and return it as a Dask DataFrame."""
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), n_partitions)):
        frame.iloc[rows].to_parquet(folder / f"{number:03}.parquet", index=False)
    return dd.read_parquet(folder)


def pipeline(model):
    names = {"user": "listener", "item": "song", "count": "plays"}
    return make_recommender(LogCountTransformer(), clone(model), **names)


def cut(X, n_blocks):
    """Return a matrix as a Dask array of csr blocks."""
    rows = np.array_split(np.arange(X.shape[0]), n_blocks)
    blocks = [dask.delayed(X[own], traverse=False) for own in rows]
    arrays = [
        da.from_delayed(block, (len(own), X.shape[1]), X.dtype, X[:0])
        for block, own in zip(blocks, rows, strict=True)
    ]
    return da.concatenate(arrays)


def by_user(recommendations):
    """Return recommendations in an order that does not depend on the partitions."""
    ordered = recommendations.sort_values(["listener", "rank"]).reset_index(drop=True)
    return ordered.astype({"song": object})


@pytest.fixture
def X():
    rng = np.random.default_rng(1)
    return sp.csr_array(sp.random_array((200, 30), density=0.2, rng=rng, format="csr"))


@pytest.mark.parametrize(
    ("n_partitions", "order"),
    [(1, "given"), (7, "shuffled"), (40, "shuffled")],
)
@pytest.mark.slow
def test_a_fit_from_parquet_is_the_fit_in_memory(client, listens, tmp_path, n_partitions, order):
    if order == "shuffled":
        listens = listens.sample(frac=1, random_state=n_partitions)
    frame = written(listens, tmp_path, n_partitions)
    expected, found = pipeline(EXACT).fit(listens), pipeline(EXACT).fit(frame)
    np.testing.assert_array_equal(found[0].items_, expected[0].items_)
    assert_same_fit(found[-1], expected[-1], 1e-8)
    recommended = found.recommend(frame, k=5).compute()
    pd.testing.assert_frame_equal(
        by_user(recommended), by_user(expected.recommend(listens, k=5)), rtol=1e-8
    )
    rows = found[:-1].transform(frame).persist()
    X = expected[:-1].transform(listens)
    nearest = clone(NEAREST).fit(rows)
    assert_same_fit(nearest, clone(NEAREST).fit(X), 1e-8)
    # The minibatches of gradient descent depend on the order of the users.
    X = sp.csr_array(sp.vstack(dask.compute(*rows.to_delayed().ravel())))
    descent, expected = clone(DESCENT).fit(rows), clone(DESCENT).fit(X)
    assert_same_fit(descent, expected, 1e-6)
    for model in (nearest, descent):
        recommended = model.recommend(rows, k=5).compute()
        np.testing.assert_array_equal(recommended, model.recommend(X, k=5))
    np.testing.assert_array_equal(recommended, expected.recommend(X, k=5))


def assert_same_fit(found, expected, tolerance):
    weights, others = found.item_weights_, expected.item_weights_
    assert abs(weights - others).max() <= tolerance * abs(others).max()
    assert found.loss_curve_ == pytest.approx(expected.loss_curve_, rel=tolerance)


@pytest.mark.slow
def test_recommendations_are_written_by_the_workers(client, listens, tmp_path):
    (tmp_path / "in").mkdir()
    frame = written(listens, tmp_path / "in", 7)
    recommender = pipeline(EXACT).fit(frame)
    recommender.recommend(frame, k=3).to_parquet(tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out")
    expected = pipeline(EXACT).fit(listens).recommend(listens, k=3)
    pd.testing.assert_frame_equal(by_user(found), by_user(expected), rtol=1e-8, check_dtype=False)


@pytest.mark.slow
def test_killed_workers_change_nothing(client):
    frame = dd.from_pandas(made_up_listens(20_000), npartitions=4)
    recommender = make_recommender(LogCountTransformer(), MODELS["nearest"])
    clone(recommender).fit(frame)  # compiles what the model needs
    fitted, of_fit = timed(lambda: clone(recommender).fit(frame))
    expected, of_recommend = timed(lambda: recommendations(fitted, frame))
    moments = of_fit / 2, of_recommend / 2
    found, in_fit, in_recommend = disturbed(client, recommender, frame, *moments)
    assert in_fit.in_time
    assert in_recommend.in_time
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_a_worker_with_too_little_memory_is_an_error_and_no_dead_cluster(client):
    X = cut(sp.random_array((60, 8000), density=1e-4, rng=0, format="csr", dtype=np.float64), 2)
    model = ShallowAutoEncoder(solver="exact")
    with pytest.raises(MemoryError, match=r"8,000 items needs 1.43 GiB in one task"):
        model.fit(X)
    assert not hasattr(model, "item_weights_")
    assert client.submit(int, "3").result() == 3


def test_bad_rows_are_the_error_of_a_frame_that_names_the_partition(client, listens):
    frame = dd.from_pandas(listens.assign(plays=listens["plays"].where(listens.index != 4100, -1)))
    frame = frame.repartition(npartitions=5)
    recommender = pipeline(EXACT)
    with pytest.raises(
        ValueError, match=r"Partition 4 of the interactions: Column 'plays' holds 1"
    ):
        recommender.fit(frame)
    assert not hasattr(recommender[-1], "item_weights_")
    recommender.fit(listens)
    with pytest.raises(
        ValueError, match=r"Partition 4 of the interactions: Column 'plays' holds 1"
    ):
        recommender.recommend(frame).compute()


def test_rows_come_and_go_in_partitions(threads, X):
    for model in (EXACT, NEAREST, LOW_RANK):
        for kept in (X, cut(X, 3)):
            found = clone(model).fit(kept).partial_fit(cut(X[:40], 2)).forget(cut(X[100:150], 2))
            found.partial_fit(X[5:9])
            expected = clone(model).fit(sp.vstack([X[:100], X[150:], X[:40], X[5:9]]))
            largest = abs(expected.item_weights_).max()
            assert abs(found.item_weights_ - expected.item_weights_).max() <= 1e-8 * largest
            assert found.n_samples_seen_ == expected.n_samples_seen_
        with pytest.raises(ValueError, match=r"is not among the|are not training rows"):
            found.forget(cut(X[:1] * 7, 1))


@pytest.mark.slow
def test_gradient_descent_goes_on_with_rows_in_partitions(threads, X):
    for options in ({}, {"early_stopping": True}, {"tol": 1e-4, "n_iter_no_change": 5}):
        model = clone(DESCENT).set_params(max_iter=40, **options)
        expected, found = clone(model).fit(X), clone(model).fit(cut(X, 3))
        for one, rows in ((expected, X), (found, cut(X, 2))):
            one.set_params(early_stopping=False, tol=None).partial_fit(rows)
            one.set_params(warm_start=True).fit(rows)
        assert found.n_iter_ == expected.n_iter_
        np.testing.assert_allclose(found.item_weights_, expected.item_weights_, atol=1e-9)
        np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)


def test_a_descent_that_diverges_says_after_which_step(threads, X):
    model = clone(DESCENT).set_params(learning_rate=10.0)
    with pytest.raises(ValueError, match=r"after step \d+, where") as expected:
        clone(model).fit(X)
    with pytest.raises(ValueError, match=r"after step \d+, where") as found:
        clone(model).fit(cut(X, 3))
    assert str(found.value) == str(expected.value)


def test_a_callback_sees_weights_on_the_workers(threads, X):
    seen = []

    def callback(model):
        seen.append(model.recommend(X[:3], k=2).tolist())
        return len(seen) == 2

    model = clone(DESCENT).fit(cut(X, 2), callback=callback, callback_every=5)
    assert model.n_iter_ == 10
    assert seen[-1] == model.recommend(X[:3], k=2).tolist()


@pytest.mark.parametrize(
    "model", [EXACT, NEAREST, DESCENT, LOW_RANK, PopularityRecommender()], ids=repr
)
def test_weights_of_samples_keep_their_meaning(threads, X, model):
    weights = np.random.default_rng(0).integers(0, 3, X.shape[0]).astype(float)
    expected = clone(model).fit(X, sample_weight=weights)
    for given in (weights, da.from_array(weights, chunks=(cut(X, 3).chunks[0],))):
        found = clone(model).fit(cut(X, 3), sample_weight=given)
        np.testing.assert_allclose(found.predict(X), expected.predict(X), atol=1e-8)
        np.testing.assert_allclose(found.item_counts_, expected.item_counts_)


def test_arrays_of_any_kind_of_block(threads, X):
    dense = da.from_array(X.toarray(), chunks=(70, -1))
    for model in (EXACT, DESCENT):
        expected = clone(model).fit(X)
        for rows in (dense, cut(X, 4), dense.astype(np.float32)):
            found = clone(model).fit(rows)
            tolerance = 1e-8 if rows.dtype == np.float64 else 1e-5
            np.testing.assert_allclose(found.item_weights_, expected.item_weights_, atol=tolerance)
        items, scores = found.recommend(dense, k=4, return_scores=True, candidates=[1, 2, 3, 9])
        others = found.recommend(X, k=4, return_scores=True, candidates=[1, 2, 3, 9])
        np.testing.assert_array_equal(items.compute(), others[0])
        np.testing.assert_allclose(scores.compute(), others[1])
        np.testing.assert_allclose(found.predict(dense).compute(), found.predict(X))


@pytest.mark.slow
def test_a_sum_of_models(threads, X):
    model = BlendedRecommender([("near", NEAREST), ("far", LOW_RANK)], weights=[1, 0.5])
    expected, found = clone(model).fit(X), clone(model).fit(cut(X, 3))
    np.testing.assert_array_equal(
        found.recommend(cut(X, 2), k=4).compute(), expected.recommend(X, k=4)
    )


def test_weights_of_counts_are_those_of_a_matrix_in_memory(threads, X):
    weights = LogCountTransformer().fit_transform(cut(X, 3))
    expected = LogCountTransformer().fit_transform(X)
    assert (weights.compute() != expected).nnz == 0
    bad = LogCountTransformer().fit(cut(-X, 3)).transform(cut(-X, 3))
    with pytest.raises(ValueError, match=r"Partition \d of X: Negative values"):
        bad.compute()


@pytest.mark.parametrize("model", [EXACT, NEAREST, DESCENT, LOW_RANK], ids=repr)
def test_partitions_without_rows(threads, listens, X, model):
    few = listens[listens["listener"] < 12]
    frame = dd.from_pandas(few, npartitions=20)
    expected, found = pipeline(model).fit(few), pipeline(model).fit(frame)
    assert found[-1].n_samples_seen_ == expected[-1].n_samples_seen_ == 12
    assert len(found.recommend(frame, k=3).compute()) == len(expected.recommend(few, k=3))
    blocks = cut(X, 2).to_delayed().ravel().tolist() + [dask.delayed(X[:0], traverse=False)] * 3
    arrays = [da.from_delayed(block, (np.nan, 30), X.dtype, X[:0]) for block in blocks]
    rows = da.concatenate(arrays, allow_unknown_chunksizes=True)
    weights = clone(model).fit(X).predict(X)
    np.testing.assert_allclose(clone(model).fit(rows).predict(X), weights, atol=1e-8)


def test_low_rank_components_far_below_the_first(threads):
    rng = np.random.default_rng(0)
    tastes = rng.random((20, 400)) < 0.05
    X = (rng.random((2000, 400)) < 0.5) * tastes[rng.integers(20, size=2000)].astype(np.float32)
    X[:, 0] = 50
    model = LowRankAutoEncoder(20, item_normalization=0, random_state=0)
    expected, found = clone(model).fit(X), clone(model).fit(cut(sp.csr_array(X), 5))
    np.testing.assert_allclose(found.singular_values_, expected.singular_values_, rtol=1e-2)
    assert found.singular_values_[-1] > 0


@pytest.mark.parametrize("kind", ["category", "int8", "no counts"])
def test_ids_of_any_type(threads, listens, kind):
    frame = listens.assign(plays=1).drop_duplicates(["listener", "song"])
    frame["song"] = 7 * frame["song"].str[5:].astype(int)
    new = frame[frame["song"] < 100]
    if kind == "category":
        frame = frame.astype({"listener": "category", "song": "category"})
        new = frame[frame["song"].astype(int) < 100]
        new = new.assign(song=new["song"].cat.remove_unused_categories())
    elif kind == "int8":
        new = new.astype({"song": np.int8})
    recommender = pipeline(NEAREST).fit(dd.from_pandas(frame, npartitions=3))
    expected = recommender.recommend(new, k=5)
    found = recommender.recommend(dd.from_pandas(new, npartitions=2), k=5).compute()
    plain = {"listener": int, "song": int}
    pd.testing.assert_frame_equal(
        by_user(found.astype(plain)), by_user(expected.astype(plain)), check_dtype=False
    )
    assert found["song"].astype(int).max() > 127


def test_counts_that_are_all_0_are_refused_as_in_memory(threads, listens):
    nothing = listens.assign(plays=0.0)
    for frame in (nothing, dd.from_pandas(nothing, npartitions=3)):
        with pytest.raises(ValueError, match=rf"All {len(listens):,} counts in column 'plays' are"):
            IdMapper("listener", "song", "plays").fit(frame)


def test_updates_that_change_nothing(threads, X):
    model = clone(EXACT).fit(cut(X, 3))
    weights = model.item_weights_.copy()
    nobody = np.zeros(20)
    model.partial_fit(cut(X[:20], 2), sample_weight=nobody)
    model.forget(cut(X[:20], 2), sample_weight=nobody)
    np.testing.assert_allclose(model.item_weights_, weights, atol=1e-9)


def test_kept_rows_are_the_models_own(threads, X):
    given, more = X.copy(), X[:40].copy()
    model = clone(NEAREST).fit(cut(given, 3)).partial_fit(more)
    given.data[:], more.data[:] = 7, 7
    found = model.partial_fit(X[:1])
    expected = clone(NEAREST).fit(sp.vstack([X, X[:40], X[:1]]))
    assert abs(found.item_weights_ - expected.item_weights_).max() < 1e-9


@pytest.mark.parametrize("model", [EXACT, NEAREST, DESCENT, LOW_RANK], ids=repr)
def test_a_pickle_has_the_weights_and_no_rows(threads, X, model):
    fitted = clone(model).fit(cut(X, 3))
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.recommend(X, k=5), fitted.recommend(X, k=5))
    if isinstance(model, SparseShallowAutoEncoder | LowRankAutoEncoder):
        assert len(pickle.dumps(fitted)) < 40_000 < X.data.nbytes * 5
        with pytest.raises(ValueError, match="keeps no training rows"):
            copy.forget(X[:1])


@pytest.mark.parametrize("model", [EXACT, NEAREST, DESCENT, LOW_RANK], ids=repr)
def test_a_file_has_the_weights_and_no_rows_of_workers(threads, X, model, tmp_path):
    fitted = clone(model).fit(cut(X, 3))
    save_model(fitted, tmp_path / "file")
    loaded = load_model(tmp_path / "file")
    np.testing.assert_array_equal(loaded.recommend(X, k=5), fitted.recommend(X, k=5))
    if isinstance(model, SparseShallowAutoEncoder | LowRankAutoEncoder):
        with pytest.raises(ValueError, match="lies on Dask's workers and cannot be saved"):
            save_model(fitted, tmp_path / "file", keep="all")


def test_sums_over_partitions_that_overflow(threads):
    rows = pd.DataFrame({"user": ["ann"] * 2, "item": ["song"] * 2, "count": [3e38] * 2})
    frame = dd.from_pandas(rows.astype({"count": np.float32}), npartitions=2)
    mapper = IdMapper().fit(frame)
    with pytest.raises(ValueError, match=r"The counts of 'ann' and 'song' sum to 6e\+38"):
        dask.compute(*mapper.transform(frame).to_delayed().ravel())


def test_weights_on_workers_answer_as_those_in_memory(threads, X, monkeypatch):
    monkeypatch.setattr(
        descent, "_column_slices", lambda *_: [slice(0, 7), slice(7, 20), slice(20, 30)]
    )
    model = clone(DESCENT).set_params(init_scale=0)
    expected, found = clone(model).fit(X), clone(model).fit(cut(X, 3))
    items, scores = found.recommend(X, k=25, return_scores=True, exclude=[3, 21])
    others, other_scores = expected.recommend(X, k=25, return_scores=True, exclude=[3, 21])
    np.testing.assert_array_equal(items, others)
    np.testing.assert_allclose(scores, other_scores, atol=1e-12)
    similar = found.similar_items([0, 9], k=5)
    np.testing.assert_array_equal(similar, expected.similar_items([0, 9], k=5))
    reasons = (model.explain(X, items[:, :3], 4) for model in (found, expected))
    for one, other in zip(*reasons, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(found.predict(X[:20]), expected.predict(X[:20]), atol=1e-12)
    columns = found._fitted.weights.form.columns(slice(5, 22))
    np.testing.assert_allclose(columns, expected.item_weights_[:, 5:22], atol=1e-12)
    assert found.score(X) == pytest.approx(expected.score(X))


def test_weights_in_blocks_are_continued_in_these_blocks(threads, X):
    model = clone(DESCENT).fit(cut(X, 3))
    starts = model._fitted.weights.form.starts
    model.partial_fit(cut(X, 2)).set_params(warm_start=True).fit(cut(X, 2))
    assert model._fitted.weights.form.starts == starts


def test_filters_and_unknown_items(threads, listens):
    frame = dd.from_pandas(listens, npartitions=3)
    recommender = pipeline(EXACT).fit(frame)
    options = {
        "candidates": ["song 1", "song 4", "song 9", "song 20"],
        "exclude": {3: ["song 1"], 8: ["song 9", "song 4"]},
    }
    expected = recommender.recommend(listens, k=3, **options)
    found = recommender.recommend(frame, k=3, **options).compute()
    pd.testing.assert_frame_equal(by_user(found), by_user(expected))
    new = pd.DataFrame({"listener": [1, 2], "song": ["song 1", "unheard"], "plays": [1.0, 1.0]})
    found = recommender.recommend(dd.from_pandas(new, npartitions=2), k=2).compute()
    with pytest.warns(UserWarning, match="1 items that were not seen"):
        expected = recommender.recommend(new, k=2)
    pd.testing.assert_frame_equal(by_user(found), by_user(expected))
    recommender[0].set_params(unknown="error")
    with pytest.raises(ValueError, match=r"names 1 items that were not seen in fit, such as 'unh"):
        recommender.recommend(dd.from_pandas(new, npartitions=2)).compute()


def test_a_mapper_of_partitions_keeps_items_and_no_users(threads, listens):
    frame = dd.from_pandas(listens, npartitions=3)
    mapper = IdMapper("listener", "song", "plays")
    X = mapper.fit_transform(frame)
    expected = clone(mapper).fit(listens)
    np.testing.assert_array_equal(mapper.items_, expected.items_)
    assert not hasattr(mapper, "users_")
    with pytest.raises(ValueError, match="whose users it does not keep"):
        mapper.user_index([1])
    found = mapper.inverse_transform(X.compute(), users=range(300))
    assert found["plays"].sum() == pytest.approx(listens["plays"].sum())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: X.rechunk({1: 10}), ValueError, "3 blocks of columns, expected 1"),
        (lambda X: dd.from_array(X), TypeError, "Interactions with raw ids need an IdMapper"),
        (
            lambda X: da.where(X > 0.5, np.nan, X),
            ValueError,
            r"Partition \d of X: Input X contains NaN",
        ),
        (lambda X: X[:0], ValueError, "0 sample"),
    ],
)
def test_arrays_that_cannot_be_used(threads, X, change, error, message):
    rows = da.from_array(X.toarray(), chunks=(70, -1))
    for model in (EXACT, NEAREST, DESCENT, LOW_RANK):
        with pytest.raises(error, match=message):
            clone(model).fit(change(rows))


def test_methods_for_rows_in_memory_say_so(threads, X):
    model = clone(EXACT).fit(X)
    for method in (model.score, model.plan, lambda rows: model.explain(rows, [1])):
        with pytest.raises(TypeError, match=r"rows in memory here, got a Dask array"):
            method(cut(X, 2))


def test_dask_is_needed_for_dask_only():
    program = """
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("dask", "distributed"):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Missing())
        from shallow_ae import ShallowAutoEncoder, make_recommender

        class Array:
            def __dask_graph__(self):
                return {}

        make_recommender(ShallowAutoEncoder(solver="exact")).fit([("ann", "Kashmir")])
        for method in (ShallowAutoEncoder().fit, make_recommender().fit):
            try:
                method(Array())
            except ImportError as error:
                assert "pip install 'shallow_ae[dask]'" in str(error), error
            else:
                raise AssertionError
        assert not [name for name in sys.modules if name.startswith(("dask", "distributed"))]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


@pytest.mark.parametrize("name", ["exact", "nearest", "sgd"])
@pytest.mark.usefixtures("threads")
def test_auto_finds_the_regularization_of_the_rows_in_memory(X, name):
    model = {"exact": EXACT, "nearest": NEAREST, "sgd": DESCENT}[name]
    model = clone(model).set_params(regularization="auto", user_exponent=0.3)
    weights = np.random.default_rng(0).integers(0, 3, 200)
    expected = clone(model).fit(X, sample_weight=weights)
    rows, of_rows = cut(X, 3), da.from_array(weights, chunks=(67, 67, 66))
    found = clone(model).fit(rows, sample_weight=of_rows)
    assert found.regularization_ == pytest.approx(expected.regularization_, rel=1e-12)
    if name != "sgd":
        found.partial_fit(rows).forget(rows)
        assert found.regularization_ == pytest.approx(expected.regularization_, rel=1e-12)


@pytest.mark.usefixtures("threads")
def test_a_solver_is_named_for_rows_on_workers(X):
    with pytest.raises(ValueError, match=r"X is a Dask array. Set `solver`='exact' if"):
        ShallowAutoEncoder(solver="auto").fit(cut(X, 2))
