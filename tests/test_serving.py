"""Single requests with raw ids: the same answers as the pipeline, without data frames."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from recommenders import MODELS, fitted_recommender, listens_for, made_up_listens
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import MaxAbsScaler

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    PopularityRecommender,
    ServingRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_recommender,
    save_model,
)

BY_BLOCKS = {"low rank", "sum"}  # scores are products of blocks of users: equal up to rounding


@pytest.fixture(params=MODELS, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def recommender(name):
    return fitted_recommender(name)


@pytest.fixture(params=["pipeline", "file"], scope="module")
def serving(request, recommender, tmp_path_factory):
    if request.param == "pipeline":
        return ServingRecommender.from_pipeline(recommender)
    path = tmp_path_factory.mktemp("serving") / "songs"
    save_model(recommender, path)
    return ServingRecommender.load(path)


def histories_of(listens):
    return {
        user: dict(zip(own["item"], own["count"].tolist(), strict=True))
        for user, own in listens.groupby("user", sort=False)
    }


def assert_equal(found, frame, tolerance):
    """Recommendations of all users are the rows of a frame of the pipeline."""
    assert [item for own in found for item in own.items] == frame["item"].tolist()
    scores = np.array([score for own in found for score in own.scores])
    np.testing.assert_allclose(scores, frame["score"], rtol=0, atol=tolerance)


def tolerance_for(name, frame):
    exact = name not in BY_BLOCKS | {"exact, few users"}
    # Seen: 9e-6 of a largest score of .6, where the rows of few users became weights of all pairs.
    return 0 if exact else 1e-4 * frame["score"].abs().max()


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_recommendations_are_those_of_the_pipeline(name, recommender, serving, k):
    listens = listens_for(name)
    frame, histories = recommender.recommend(listens, k), histories_of(listens)
    tolerance = tolerance_for(name, frame)
    assert_equal(serving.recommend_batch(histories.values(), k), frame, tolerance)
    assert_equal([serving.recommend(own, k) for own in histories.values()], frame, tolerance)


def test_counts_as_floats_give_the_pipeline_s_float64(recommender, serving, name):
    listens = listens_for(name)[:40].assign(count=lambda own: own["count"] + 0.3)
    frame = recommender.recommend(listens, 5)
    found = serving.recommend_batch(histories_of(listens).values(), 5)
    assert_equal(found, frame, tolerance_for(name, frame))


def test_filters_are_those_of_the_pipeline(name, recommender, serving):
    listens = listens_for(name)[:60]
    histories = histories_of(listens)
    some, others = [f"song{n:05}" for n in (3, 9, 4, 15)], ["song00009", "song00001", "no song"]
    arguments = {"exclude_seen": False, "candidates": [*some, *others[:2]], "exclude": others}
    with pytest.warns(UserWarning, match="were not seen in fit"):
        frame = recommender.recommend(listens, 3, **arguments)
    found = [serving.recommend(own, 3, **arguments) for own in histories.values()]
    assert_equal(found, frame, tolerance_for(name, frame))
    limited = {user: some[: place % 4] for place, user in enumerate(histories)}
    frame = recommender.recommend(listens, 3, candidates=limited)
    found = serving.recommend_batch(histories.values(), 3, candidates=list(limited.values()))
    assert_equal(found, frame, tolerance_for(name, frame))


def test_a_user_without_limits_beside_one_with_limits(serving):
    free, limited = serving.recommend_batch(
        [["song00001"]] * 2, 3, candidates=[None, ["song00004"]], exclude=[["song00000"], None]
    )
    assert free.items == serving.recommend(["song00001"], 3, exclude=["song00000"]).items
    assert limited.items == ["song00004"]


def test_reasons_and_similar_items_are_those_of_the_pipeline(name, recommender, serving):
    listens = listens_for(name)[:40]
    frame = recommender.explain(listens, ["song00007"], k=4)
    tolerance = 1e-4 * frame["contribution"].abs().max()
    for user, history in histories_of(listens).items():
        own = frame[frame["user"] == user]
        items, parts = serving.explain(history, "song00007", k=4)
        assert items == own["reason"].tolist()
        np.testing.assert_allclose(parts, own["contribution"], rtol=0, atol=tolerance)
    frame = recommender.similar_items(["song00002"], k=6)
    items, scores = serving.similar_items("song00002", k=6)
    assert items == frame["similar"].tolist()
    np.testing.assert_allclose(scores, frame["score"], rtol=0, atol=1e-4)


def test_users_without_known_items_get_popular_items(recommender, serving):
    frame = recommender.recommend(pd.DataFrame({"user": ["new"], "item": ["song00000"]}), k=3)
    known, stranger, nobody = serving.recommend_batch([["song00000"], {"x": 2}, []], k=3)
    assert known.items == frame["item"].tolist()
    assert (known.by_popularity, known.unknown) == (False, [])
    most = np.argsort(-serving.item_counts, kind="stable")[:3]
    for own in (stranger, nobody):
        assert own.items == serving.items[most].tolist()
        assert own.scores == serving.item_counts[most].tolist()
        assert own.by_popularity
    assert stranger.unknown == ["x"]
    assert serving.explain(["x"], "song00001") == ([], [])


def test_forms_of_a_history(serving):
    expected = serving.recommend({"song00001": 2, "song00004": 1, "song00005": 0}, k=4)
    for history in (
        ["song00001", "song00004", "song00001"],
        iter(["song00004", "song00001", "song00001"]),
        np.array(["song00004", "song00001", "song00001"], object),
        {"song00004": np.int64(1), "song00001": np.float32(2)},
    ):
        assert serving.recommend(history, k=4) == expected
    assert "song00001" in serving
    assert "x" not in serving
    assert len(serving) == len(serving.items) == 20


def test_answers_are_values_of_python_that_json_can_hold(serving):
    answer = serving.recommend(["song00001"], k=3)
    assert json.loads(json.dumps(answer._asdict()))["items"] == answer.items


# The rest needs one model only.


@pytest.fixture(scope="module")
def near():
    return ServingRecommender.from_pipeline(fitted_recommender("nearest"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.recommend("song00001"), TypeError, "`history` must be a list of item ids"),
        (lambda s: s.recommend(3), TypeError, "`history` must be a list of item ids, got 3"),
        (lambda s: s.recommend([["song00001"]]), TypeError, "unhashable|no item id"),
        (lambda s: s.recommend({"song00001": -1}), ValueError, "count of 'song00001' is -1"),
        (lambda s: s.recommend({"song00001": float("nan")}), ValueError, "is nan, expected"),
        (lambda s: s.recommend({"song00001": 10**400}), ValueError, "expected a finite number"),
        (lambda s: s.recommend(pd.Series({"a": 1})), TypeError, "A Series has `to_dict`"),
        (lambda s: s.recommend(np.array("a")), TypeError, "must be a list of item ids"),
        (ServingRecommender, TypeError, "Call ServingRecommender.load for a file"),
        (lambda s: s.items.sort(), ValueError, "read-only"),
        (lambda s: s.recommend({"song00001": "2"}), ValueError, "is '2', expected"),
        (lambda s: s.recommend({"song00001": 10**60}), ValueError, "too large for float32"),
        (lambda s: s.recommend([], k=0), ValueError, "`k`=0 must be an integer >= 1"),
        (lambda s: s.recommend([], k=2.5), TypeError, "`k`=2.5 must be an integer"),
        (lambda s: s.recommend([], exclude_seen=1), TypeError, "`exclude_seen`=1 must be True"),
        (lambda s: s.recommend([], candidates="song"), TypeError, "`candidates` must be a list"),
        (lambda s: s.recommend([], exclude={"a": 1}), TypeError, "`exclude` must be a list"),
        (lambda s: s.recommend_batch({"a": 1}), TypeError, "must be a list of histories"),
        (lambda s: s.recommend_batch([[]], exclude=[]), ValueError, "has 0 lists, expected 1"),
        (lambda s: s.similar_items("x"), ValueError, "'x' was not seen in fit"),
        (lambda s: s.explain(["song00001"], "x"), ValueError, "'x' was not seen in fit"),
        (lambda s: s.from_pipeline(3), TypeError, "Expected a RecommenderPipeline, got int"),
        (lambda s: s.from_pipeline(make_recommender()), NotFittedError, "not fitted yet"),
    ],
)
def test_errors_say_what_was_expected(near, call, error, message):
    with pytest.raises(error, match=message):
        call(near)


def test_lists_of_a_batch_may_be_arrays_and_iterators(near):
    histories = [["song00001"], ["song00002"]]
    expected = near.recommend_batch(histories, 3, exclude=[["song00003"], ["song00004"]])
    for lists in (np.array([["song00003"], ["song00004"]]), iter([["song00003"], ["song00004"]])):
        assert near.recommend_batch(histories, 3, exclude=lists) == expected


def test_no_histories_have_no_answers(near):
    assert near.recommend_batch([]) == []


def test_unknown_items_are_refused_if_the_mapper_refuses_them(tmp_path):
    listens = made_up_listens(20)
    model = make_recommender(IdMapper(unknown="error"), SparseShallowAutoEncoder()).fit(listens)
    save_model(model, tmp_path / "songs")
    for own in (
        ServingRecommender.from_pipeline(model),
        ServingRecommender.load(tmp_path / "songs"),
    ):
        with pytest.raises(ValueError, match="'x' was not seen in fit"):
            own.recommend(["song00001", "x"])


@pytest.mark.parametrize("steps", [(), (MaxAbsScaler(),), (MaxAbsScaler(), LogCountTransformer())])
def test_other_steps(steps, tmp_path):
    listens = made_up_listens(40)
    recommender = make_recommender(*steps, SparseShallowAutoEncoder(n_neighbors=4)).fit(listens)
    save_model(recommender, tmp_path / "songs")
    frame = recommender.recommend(listens, 4)
    for own in (
        ServingRecommender.from_pipeline(recommender),
        ServingRecommender.load(tmp_path / "songs"),
    ):
        assert_equal(own.recommend_batch(histories_of(listens).values(), 4), frame, 0)


def test_a_model_without_ids_is_served_by_column(tmp_path):
    X = np.random.default_rng(0).poisson(0.7, (30, 8))
    model = SparseShallowAutoEncoder().fit(X)
    save_model(model, tmp_path / "songs")
    serving = ServingRecommender.load(tmp_path / "songs")
    items, scores = model.recommend([[0, 0, 2, 0, 0, 1, 0, 0]], k=3, return_scores=True)
    found = serving.recommend({2: 2, 5: 1}, k=3)
    assert (found.items, found.scores) == (items[0].tolist(), scores[0].tolist())


def test_ids_that_are_numbers(tmp_path):
    listens = made_up_listens(40).assign(item=lambda own: own["item"].str[4:].astype(np.int32))
    recommender = make_recommender(SparseShallowAutoEncoder(n_neighbors=4)).fit(listens)
    save_model(recommender, tmp_path / "songs")
    serving = ServingRecommender.load(tmp_path / "songs")
    best = serving.recommend([3, np.int64(4)], k=2).items
    assert all(type(item) is int for item in best)
    assert json.dumps(best)


def test_a_later_fit_changes_nothing():
    recommender = fitted_recommender("nearest")
    serving = ServingRecommender.from_pipeline(recommender)
    before = serving.recommend(["song00003"], k=5)
    recommender.fit(made_up_listens(30, n_items=6, seed=1))
    assert serving.recommend(["song00003"], k=5) == before


def test_many_threads_ask_at_once(near):
    histories = list(histories_of(made_up_listens(60)).values())
    expected = [near.recommend(own, k=5) for own in histories]
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        return [near.recommend(own, k=5) for own in histories]

    with ThreadPoolExecutor(8) as threads:
        assert all(found == expected for found in threads.map(ask, range(8)))


@pytest.mark.slow
def test_a_serving_process_imports_no_pandas_no_scikit_learn_and_no_jax(tmp_path):
    for model in (SparseShallowAutoEncoder(), ShallowAutoEncoder(solver="exact")):
        save_model(
            make_recommender(LogCountTransformer(), model).fit(made_up_listens(30)), tmp_path / "a"
        )
        code = f"""
import sys
from shallow_ae import ServingRecommender
serving = ServingRecommender.load({str(tmp_path / "a")!r}).warm_up()
assert serving.recommend(["song00001"], k=3).items
print(sorted({{"pandas", "sklearn", "jax", "narwhals", "joblib"}} & set(sys.modules)))
"""
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.stdout.strip() == "[]", run.stderr


def test_warm_up_for_serving_imports_no_pandas_no_scikit_learn_and_no_jax():
    code = """
import sys, shallow_ae
shallow_ae.warm_up()
print(sorted({"pandas", "sklearn", "jax"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_popularity_is_served_too():
    listens = made_up_listens(20)
    serving = ServingRecommender.from_pipeline(
        make_recommender(PopularityRecommender()).fit(listens)
    )
    assert serving.recommend(["song00000"], k=1).items == ["song00001"]
