"""Frames in, frames out: recommendations by raw ids, as by the steps one after the other."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from bounds import rounding
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    RecommenderPipeline,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_ranking_scorer,
    make_recommender,
)
from shallow_ae.datasets import make_listens

COLUMNS = ["user", "item", "score", "rank", "by_popularity"]


def exact():
    return make_recommender(LogCountTransformer(), ShallowAutoEncoder(0.3, solver="exact"))


@pytest.fixture(scope="module")
def listens():
    return make_listens(60, 40, items_per_user=8, random_state=0)[0]


@pytest.fixture(scope="module")
def recommender(listens):
    return exact().fit(listens)


def lists(frame, user="user", item="item"):
    """Return the items of each user of an answer, in its order."""
    return frame.groupby(user, sort=False)[item].apply(list).to_dict()


def test_it_recommends_what_the_steps_recommend(listens, recommender):
    answer = recommender.recommend(listens, k=7)
    mapper, weighting, model = (step for _, step in recommender.steps)
    X = weighting.transform(mapper.transform(listens))
    items, scores = model.recommend(X, 7, return_scores=True)
    assert list(answer.columns) == COLUMNS
    assert lists(answer) == {
        user: mapper.item_ids(row[row >= 0]).tolist()
        for user, row in zip(mapper.users_, items, strict=True)
    }
    np.testing.assert_allclose(answer["score"], scores[items >= 0], rtol=rounding(1, np.float32))
    assert (answer["rank"] == answer.groupby("user").cumcount() + 1).all()
    assert not answer["by_popularity"].any()


def test_unseen_users_are_folded_in_by_their_listens(listens, recommender):
    one = listens[listens["user"] == listens["user"][0]].assign(user="somebody new")
    known = recommender.recommend(listens, k=5)
    new = recommender.recommend(one, k=5)
    assert new["user"].unique().tolist() == ["somebody new"]
    assert new["item"].tolist() == known[known["user"] == listens["user"][0]]["item"].tolist()


def as_tuples(frame):
    return list(frame.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("to_kind", "answer_kind"),
    [
        (lambda frame: frame, pd.DataFrame),
        (pl.from_pandas, pl.DataFrame),
        (pa.Table.from_pandas, pa.Table),
        (as_tuples, pd.DataFrame),
        (lambda frame: frame.astype(object).to_numpy(), pd.DataFrame),
    ],
    ids=["pandas", "polars", "pyarrow", "tuples", "array"],
)
def test_the_answer_is_of_the_kind_of_the_question(listens, to_kind, answer_kind):
    given = to_kind(listens)
    recommender = exact().fit(given)
    expected = exact().fit(listens)
    answer = recommender.recommend(given, k=3)
    reasons = recommender.explain(given, answer, k=2)
    for frame, same in (
        (answer, expected.recommend(listens, k=3)),
        (reasons, expected.explain(listens, expected.recommend(listens, k=3), k=2)),
    ):
        assert type(frame) is answer_kind
        in_pandas = frame if answer_kind is pd.DataFrame else frame.to_pandas()
        pd.testing.assert_frame_equal(in_pandas, same, check_dtype=False, rtol=1e-5)  # of float32
    if answer_kind is pl.DataFrame:
        types = [pl.String, pl.String, pl.Float64, pl.Int64, pl.Boolean]
        assert list(answer.schema.values()) == types


def test_ids_and_columns_are_the_callers_own():
    frame = pd.DataFrame(
        {"listener": [7, 7, 9, 9, 11], "song": [1, 2, 1, 3, 2], "plays": [1, 2, 3, 4, 5]}
    )
    recommender = make_recommender(
        ShallowAutoEncoder(solver="exact"), user="listener", item="song", count="plays"
    )
    answer = recommender.fit(frame).recommend(frame, k=1)
    assert list(answer.columns) == ["listener", "song", *COLUMNS[2:]]
    assert answer["listener"].tolist() == [7, 9, 11]
    assert answer["song"].dtype == np.int64
    similar = recommender.similar_items([2], k=2)
    assert list(similar.columns) == ["song", "similar", "score", "rank"]
    assert list(recommender.explain(frame, [3]).columns) == [
        "listener",
        "song",
        "reason",
        "contribution",
        "rank",
    ]


def test_columns_named_as_those_of_the_answer_are_refused():
    frame = pd.DataFrame({"user": [1, 1, 2], "rank": ["a", "b", "a"]})
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"), item="rank").fit(frame)
    with pytest.raises(ValueError, match=r"\['rank'\] of the interactions are named as"):
        recommender.recommend(frame)


def test_users_with_nothing_known_are_answered_by_popularity_and_marked(listens, recommender):
    odd = pd.concat(
        [listens[:50], pd.DataFrame({"user": ["a", "b"], "item": ["?", "!"], "count": [1, 0]})]
    )
    with pytest.warns(UserWarning, match="2 of 52 interactions name 2 items that were not seen"):
        answer = recommender.recommend(odd, k=4)
    popular = listens.groupby("item")["user"].nunique()
    ranks = {item: place for place, item in enumerate(recommender[0].items_)}
    first = sorted(popular.index, key=lambda item: (-popular[item], ranks[item]))[:4]
    for user in ("a", "b"):
        rows = answer[answer["user"] == user]
        assert rows["item"].tolist() == first
        assert rows["by_popularity"].all()
        assert rows["score"].tolist() == popular[first].tolist()
    assert answer["by_popularity"].sum() == 8
    with pytest.warns(UserWarning, match="not seen in fit"):
        rest = recommender.recommend(odd, k=4, no_history="omit")
    pd.testing.assert_frame_equal(rest, answer[~answer["by_popularity"]].reset_index(drop=True))


def test_nobody_with_anything_known(recommender):
    nobody = [("a", "?"), ("b", "?")]
    with pytest.warns(UserWarning, match="not seen in fit"):
        answer = recommender.recommend(nobody, k=2, exclude={"a": recommender[0].items_[:39]})
    assert lists(answer)["a"] == [recommender[0].items_[39]]
    assert len(lists(answer)["b"]) == 2
    with pytest.warns(UserWarning, match="not seen in fit"):
        assert len(recommender.recommend(nobody, no_history="omit")) == 0
    with pytest.warns(UserWarning, match="not seen in fit"):
        assert len(recommender.explain(nobody, recommender[0].items_[:2])) == 0


def test_lists_for_everyone_and_for_each_user(listens, recommender):
    user, other = listens["user"].unique()[:2]
    every = lists(recommender.recommend(listens, k=40))
    answer = lists(recommender.recommend(listens, exclude=every[user][:2]))
    assert answer[user] == every[user][2:]
    assert answer[other] == [item for item in every[other] if item not in every[user][:2]]

    chosen = every[user][5:0:-2]
    shared = lists(recommender.recommend(listens, candidates=iter(chosen)))
    assert shared[user] == [item for item in every[user] if item in chosen]

    by_dict = lists(recommender.recommend(listens, candidates={user: chosen, "stranger": chosen}))
    assert by_dict == {user: shared[user]}
    frame = pd.DataFrame({"user": user, "item": chosen})
    assert lists(recommender.recommend(listens, candidates=frame)) == by_dict
    before = recommender.recommend(listens, k=3)
    after = lists(recommender.recommend(listens, k=2, exclude=pl.from_pandas(before)))
    assert after == {user: items[3:5] for user, items in every.items()}


def test_items_of_a_list_that_fit_did_not_see_are_counted(listens, recommender):
    with pytest.warns(UserWarning, match="1 of 2 items in `candidates` were not seen in fit"):
        answer = recommender.recommend(
            listens, candidates=["?", recommender[0].items_[3]], exclude_seen=False
        )
    assert answer["item"].unique().tolist() == [recommender[0].items_[3]]


@pytest.mark.parametrize("given", ["song_01", 3, {"user": "song_01"}])
def test_lists_that_are_none_are_refused(listens, recommender, given):
    with pytest.raises(TypeError, match="`exclude` must be a list of item ids, got"):
        recommender.recommend(listens, exclude=given)


def test_warnings_point_to_the_callers_line(listens, recommender):
    wide = pd.DataFrame({recommender[0].items_[0]: [1.0], "?": [1.0]})
    for warn in (
        lambda: recommender.recommend(listens, k=1, exclude=["?"]),
        lambda: recommender.recommend([("a", "?"), ("a", recommender[0].items_[0])], k=1),
        lambda: recommender[0].transform([("a", "?")]),
        lambda: recommender[-1].recommend(wide, k=1),
    ):
        with pytest.warns(UserWarning, match="not seen in fit") as caught:
            warn()
        line = warn.__code__.co_firstlineno
        assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_similar_items_by_raw_id(recommender):
    items = recommender[0].items_
    answer = recommender.similar_items([items[3], items[0]], k=2, exclude=[items[5]])
    found, scores = recommender[-1].similar_items([3, 0], k=2, exclude=[5], return_scores=True)
    assert answer["item"].tolist() == [items[3]] * 2 + [items[0]] * 2
    assert answer["similar"].tolist() == items[found].ravel().tolist()
    assert answer["score"].tolist() == scores.ravel().tolist()
    assert answer["rank"].tolist() == [1, 2, 1, 2]
    in_polars = recommender.similar_items(pl.Series([items[3]]), k=2)
    assert isinstance(in_polars, pl.DataFrame)
    assert in_polars["similar"].to_list() == answer["similar"][:2].tolist()
    with pytest.raises(ValueError, match="1 of 2 items were not seen in fit, the first is '\\?'"):
        recommender.similar_items([items[0], "?"])


def test_reasons_add_up_to_the_score(listens, recommender):
    answer = recommender.recommend(listens, k=3)
    reasons = recommender.explain(listens, answer, k=40)
    sums = reasons.groupby(["user", "item"], sort=False)["contribution"].sum()
    np.testing.assert_allclose(sums, answer["score"], rtol=rounding(40, np.float32))
    pairs = list(sums.index)
    assert pairs == list(answer[["user", "item"]].itertuples(index=False, name=None))
    heard = lists(listens)
    for user, reason in zip(reasons["user"], reasons["reason"], strict=True):
        assert reason in heard[user]
    assert (reasons.groupby(["user", "item"])["contribution"].diff().dropna() <= 0).all()


def test_items_are_explained_to_every_user(listens, recommender):
    few = listens[listens["user"].isin(listens["user"].unique()[:3])]
    items = recommender[0].items_[[4, 2]]
    reasons = recommender.explain(few, items, k=1)
    asked = [(user, item) for user in few["user"].unique() for item in items]
    assert list(reasons[["user", "item"]].itertuples(index=False, name=None)) == asked


def test_nothing_asked_is_nothing_explained(listens, recommender):
    columns = ["user", "item", "reason", "contribution", "rank"]
    for nothing in ([], recommender.recommend(listens, k=1)[:0]):
        reasons = recommender.explain(listens, nothing)
        assert len(reasons) == 0
        assert list(reasons.columns) == columns


def test_what_cannot_be_explained_is_refused(listens, recommender):
    answer = recommender.recommend(listens, k=1)
    with pytest.raises(ValueError, match="have no row in `interactions`, the first is"):
        recommender.explain(listens[:1], answer)
    with pytest.raises(ValueError, match="1 of 1 items were not seen in fit"):
        recommender.explain(listens, ["?"])


def test_the_model_learns_the_names_of_the_items(listens, recommender):
    names = recommender[0].get_feature_names_out()
    np.testing.assert_array_equal(recommender[-1].feature_names_in_, names)
    wide = pd.DataFrame(recommender[:-1].transform(listens).toarray(), columns=names)
    shuffled = wide[np.random.default_rng(0).permutation(names)]
    np.testing.assert_array_equal(
        recommender[-1].recommend(shuffled, k=5), recommender[-1].recommend(wide, k=5)
    )


def test_names_that_do_not_tell_items_apart_are_none():
    recommender = exact().fit([("u", 1), ("u", "1"), ("v", 1)])
    assert not hasattr(recommender[-1], "feature_names_in_")
    assert len(recommender.recommend([("w", 1)], k=1)) == 1


def test_interactions_in_another_order_or_of_fewer_items_mean_the_same(listens, recommender):
    expected = lists(recommender.recommend(listens, k=5))
    shuffled = listens.sample(frac=1, random_state=0)
    assert lists(recommender.recommend(shuffled, k=5)) == {
        user: expected[user] for user in shuffled["user"].unique()
    }
    user = listens["user"][0]
    alone = listens[listens["user"] == user]
    assert lists(recommender.recommend(alone, k=5)) == {user: expected[user]}


@pytest.mark.filterwarnings("ignore:.*not seen in fit")  # of a part of the listens
def test_it_is_a_pipeline_of_scikit_learn(listens, recommender):
    assert isinstance(recommender, Pipeline)
    again = pickle.loads(pickle.dumps(recommender))
    pd.testing.assert_frame_equal(again.recommend(listens), recommender.recommend(listens))
    assert 0 < recommender.score(listens) == clone(recommender).fit(listens).score(listens)
    assert recommender.predict(listens).shape == (60, 40)
    off = clone(recommender).set_params(logcounttransformer="passthrough").fit(listens)
    assert len(off.recommend(listens, k=1)) == 60
    grid = {"shallowautoencoder__regularization": [0.1, 1.0]}
    search = GridSearchCV(exact(), grid, cv=GroupKFold(2), error_score="raise")
    search.fit(listens, groups=listens["user"])
    assert len(search.best_estimator_.recommend(listens, k=1)) == 60


def test_the_default_weights_counts_and_fits_the_nearest_items():
    steps = [step for _, step in make_recommender().steps]
    assert [type(step) for step in steps] == [
        IdMapper,
        LogCountTransformer,
        SparseShallowAutoEncoder,
    ]
    assert (steps[-1].regularization, steps[-1].dropout) == ("auto", 0.4)
    mapper = IdMapper(item="song")
    assert make_recommender(mapper, ShallowAutoEncoder())[0] is mapper


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([("log", LogCountTransformer()), ("model", ShallowAutoEncoder())], "first step must be"),
        (
            [("ids", IdMapper()), ("svd", TruncatedSVD())],
            "last step must be a recommender.*TruncatedSVD",
        ),
    ],
)
def test_steps_that_cannot_recommend_are_refused(listens, steps, told):
    with pytest.raises(TypeError, match=told):
        RecommenderPipeline(steps).fit(listens)


@pytest.mark.parametrize("memory", [False, True])
def test_a_failed_fit_changes_nothing(listens, memory, tmp_path):
    model = ShallowAutoEncoder(0.3, solver="exact")
    recommender = make_recommender(
        LogCountTransformer(), model, memory=str(tmp_path) if memory else None
    ).fit(listens)
    before = recommender.recommend(listens)
    with pytest.raises(ValueError, match="must be"):
        recommender.set_params(shallowautoencoder__dropout=2).fit(listens[::-1])
    recommender.set_params(shallowautoencoder__dropout=0.0)
    pd.testing.assert_frame_equal(recommender.recommend(listens), before)


def test_who_asks_during_a_fit_is_answered_by_the_steps_before(listens):
    class Asks(LogCountTransformer):
        """What weights counts, and has somebody ask once the ids are mapped anew."""

        def fit(self, X, y=None):
            answers.extend(asked.recommend(listens, k=5) for asked in fitted)
            return super().fit(X)

    answers, fitted = [], []
    recommender = make_recommender(Asks(), ShallowAutoEncoder(0.3, solver="exact")).fit(listens)
    fitted.append(recommender)
    before = recommender.recommend(listens, k=5)
    recommender.fit(listens[::-1])
    pd.testing.assert_frame_equal(*answers, before)


def test_seen_is_what_the_user_has_whatever_the_steps_between_leave(listens):
    recommender = make_recommender(
        Binarizer(threshold=2), ShallowAutoEncoder(0.3, solver="exact")
    ).fit(listens)
    heard = set(listens[["user", "item"]].itertuples(index=False, name=None))
    answer = recommender.recommend(listens, k=10)
    assert not heard & set(answer[["user", "item"]].itertuples(index=False, name=None))
    once = listens[listens["count"] == 1]
    assert recommender.recommend(once, k=1)["by_popularity"].all()


def test_categories_come_back_as_such(listens):
    in_pandas = listens.astype({"user": "category", "item": "category"})
    answer = exact().fit(in_pandas).recommend(in_pandas, k=2)
    assert (answer.dtypes[["user", "item"]] == "category").all()
    in_polars = pl.from_pandas(listens).with_columns(pl.col("user", "item").cast(pl.Categorical))
    recommender = exact().fit(in_polars)
    answer = recommender.recommend(in_polars, k=2)
    assert answer.schema["user"] == pl.Categorical
    assert len(answer.join(in_polars, on="user", how="semi")) == len(answer) == 120
    nothing = recommender.recommend(in_polars, candidates=[])
    assert len(nothing) == 0
    assert nothing.schema["item"] == pl.Categorical


@pytest.mark.parametrize("dtype", ["int64", "str"])
def test_dictionaries_of_pyarrow_come_back_as_such(listens, dtype):
    plain = listens[["user", "item"]].astype("category").apply(lambda own: own.cat.codes)
    plain = plain.astype(dtype)
    encoded = pa.Table.from_pandas(plain.astype("category"), preserve_index=False)
    expected = exact().fit(plain).recommend(plain, k=2)
    answer = exact().fit(encoded).recommend(encoded, k=2)
    for name in ("user", "item"):
        assert pa.types.is_dictionary(answer.schema.field(name).type)
        assert answer[name].to_pylist() == expected[name].tolist()
    nothing = exact().fit(encoded).recommend(encoded, candidates=[])
    assert pa.types.is_dictionary(nothing.schema.field("item").type)


def test_columns_are_named_in_one_place():
    with pytest.raises(ValueError, match="either here or in the IdMapper"):
        make_recommender(IdMapper(), ShallowAutoEncoder(), user="listener")


def test_steps_between_must_keep_the_items(listens):
    recommender = make_recommender(SelectKBest(chi2, k=5), ShallowAutoEncoder(max_iter=1))
    with pytest.raises(ValueError, match="there are 40 items before and 5 items after"):
        recommender.fit(listens, np.arange(60) % 2)
    assert not hasattr(recommender[-1], "_weights")


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_pipelines_work_whatever_kind_of_output_scikit_learn_is_set_to(listens, kind):
    with config_context(transform_output=kind):
        recommender = make_recommender(ShallowAutoEncoder(0.3, solver="exact")).fit(listens)
        assert len(recommender.recommend(listens, k=1)) == 60
        assert 0 < recommender.score(listens) < 1
        steps = make_pipeline(IdMapper(), LogCountTransformer(), ShallowAutoEncoder(max_iter=1))
        assert steps.fit(listens).predict(listens).shape == (60, 40)
        grid = {"shallowautoencoder__max_iter": [1, 2]}
        search = GridSearchCV(
            steps, grid, cv=GroupKFold(2), scoring=make_ranking_scorer(), error_score="raise"
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*not seen in fit")  # of a part of the listens
            search.fit(listens, groups=listens["user"])
        dense = LogCountTransformer().fit_transform(pd.DataFrame({"a": [1.0, 2.0]}))
        assert type(dense).__module__.startswith(kind)
    assert steps.set_output(transform=kind).fit(listens).predict(listens).shape == (60, 40)
    assert clone(steps)[1].fit_transform(pd.DataFrame({"a": [1.0]})).shape == (1, 1)
