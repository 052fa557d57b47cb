"""Counts that decay with the age of an interaction, and weights of interactions."""

from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    ShallowAutoEncoder,
    make_recommender,
)
from shallow_ae.datasets import make_listens

DAY = pd.Timestamp("2024-03-01")
PLAYS = pd.DataFrame(
    {
        "user": ["ann", "ann", "ann", "bob", "bob"],
        "item": ["Help!", "Help!", "Clocks", "Clocks", "Yellow"],
        "count": [4.0, 1.0, 3.0, 2.0, 8.0],
        "day": DAY - pd.to_timedelta([20, 0, 10, 10, 30], "D"),
    }
)
HALVED = [[4 / 4 + 1, 3 / 2, 0], [0, 2 / 2, 8 / 8]]
EXACT = ShallowAutoEncoder(0.3, solver="exact")


@pytest.mark.parametrize(
    "half_life", ["10D", timedelta(days=10), np.timedelta64(240, "h"), pd.Timedelta("10D")]
)
def test_each_interaction_is_halved_before_the_sum(half_life):
    mapper = IdMapper(time="day", half_life=half_life)
    assert_allclose(mapper.fit_transform(PLAYS).toarray(), HALVED, rtol=1e-15)
    assert_allclose(mapper.transform(PLAYS).toarray(), HALVED, rtol=1e-15)
    assert pd.Timestamp(mapper.reference_time_) == DAY


@pytest.mark.parametrize("kind", ["pandas", "polars", "numbers", "years", "dates"])
def test_times_of_every_kind(kind):
    days = (DAY - PLAYS["day"]).dt.days
    frame, half_life = PLAYS, "10D"
    if kind == "polars":
        frame = pl.from_pandas(PLAYS)
    elif kind == "dates":
        frame = PLAYS.assign(day=PLAYS["day"].dt.date)
    elif kind in ("numbers", "years"):
        scale = 1 if kind == "numbers" else 1 / 365.25
        frame, half_life = PLAYS.assign(day=2024 - days * scale), 10 * scale
    X = IdMapper(time="day", half_life=half_life).fit_transform(frame)
    assert_allclose(X.toarray(), HALVED, rtol=1e-9)


def test_later_interactions_do_not_decay_and_rows_do_not_depend_on_others():
    mapper = IdMapper(time="day", half_life="10D").fit(PLAYS)
    later = PLAYS.assign(day=PLAYS["day"] + pd.Timedelta("365D"))
    assert_array_equal(mapper.transform(later).toarray(), [[5, 3, 0], [0, 2, 8]])
    assert_array_equal(
        mapper.transform(PLAYS).toarray()[1], mapper.transform(PLAYS.iloc[3:]).toarray()[0]
    )


def test_an_item_stays_seen_for_ever():
    old = PLAYS.assign(day=[DAY - pd.Timedelta("80000D"), *PLAYS["day"][1:]], item=list("abcde"))
    X = IdMapper(time="day", half_life="1h").fit_transform(old.astype({"count": np.float32}))
    assert X.dtype == np.float32
    assert X.nnz == 5
    assert 0 < X.data.min() < 1e-16
    assert LogCountTransformer().fit_transform(X).data.min() == 1


def test_no_half_life_means_no_decay():
    plain = IdMapper().fit_transform(PLAYS).toarray()
    assert_array_equal(IdMapper(time="day").fit_transform(PLAYS).toarray(), plain)
    assert not hasattr(IdMapper(time="day").fit(PLAYS), "reference_time_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"half_life": "10D"}, "needs the name of a column of times: set `time`"),
        ({"half_life": "10D", "time": "hour"}, "has no column 'hour'"),
        ({"half_life": "0D", "time": "day"}, "must be a length of time > 0"),
        ({"half_life": 10, "time": "day"}, "has no unit, and the times are dates"),
        ({"half_life": "10D", "time": "count"}, "must be a number, because the times are numbers"),
        ({"half_life": "10D", "time": "item"}, "must hold dates or numbers"),
        ({"weight": "loudness"}, "has no column 'loudness'"),
        ({"weight": "item"}, "'item' must hold numbers"),
    ],
)
def test_bad_names_and_lengths(params, message):
    mapper = IdMapper().set_params(**params)
    with pytest.raises((ValueError, TypeError), match=message):
        mapper.fit(PLAYS)
    assert not hasattr(mapper, "items_")


def test_columns_need_a_frame():
    with pytest.raises(TypeError, match=r"`time`='day' names a column.*Pass a DataFrame"):
        IdMapper(time="day", half_life="1D").fit([("ann", "Help!")])
    with pytest.raises(TypeError, match=r"`weight`='loud' names a column.*Pass a DataFrame"):
        IdMapper(weight="loud").fit([("ann", "Help!")])


def test_a_half_life_that_is_set_after_the_fit_is_refused():
    mapper = IdMapper(time="day").fit(PLAYS).set_params(half_life="1D")
    with pytest.raises(ValueError, match="set after `fit`, which found no times"):
        mapper.transform(PLAYS)


def test_weights_of_interactions_multiply_counts():
    weighted = PLAYS.assign(share=[0.5, 1, 2, 0, 1])
    X = IdMapper(weight="share").fit_transform(weighted)
    assert_array_equal(X.toarray(), [[3, 6, 0], [0, 0, 8]])
    counted = weighted.drop(columns="count")
    assert_array_equal(
        IdMapper(weight="share").fit_transform(counted).toarray(), [[1.5, 2, 0], [0, 0, 1]]
    )
    both = IdMapper(weight="share", time="day", half_life="10D").fit_transform(weighted)
    assert_allclose(both.toarray(), [[1.5, 3, 0], [0, 0, 1]], rtol=1e-15)
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"'share' holds .*(negative|missing)"):
            IdMapper(weight="share").fit(weighted.assign(share=bad))


def test_in_a_pipeline_and_in_batches(tmp_path):
    pytest.importorskip("duckdb", reason="duckdb is not installed")
    listens, _ = make_listens(60, 30, items_per_user=8, random_state=0)
    rng = np.random.default_rng(0)
    listens["day"] = DAY - pd.to_timedelta(rng.integers(0, 400, len(listens)), "D")
    listens["share"] = rng.random(len(listens))
    recommender = make_recommender(
        LogCountTransformer(), EXACT, time="day", half_life="60D", weight="share"
    ).fit(listens)
    answer = recommender.recommend(listens, k=3)
    plain = make_recommender(LogCountTransformer(), EXACT).fit(listens).recommend(listens, k=3)
    assert not answer["item"].equals(plain["item"])
    listens.to_parquet(tmp_path / "listens.parquet")
    frames = recommender.recommend_batches(tmp_path / "listens.parquet", k=3, batch_size=20)
    in_batches = pd.concat(frames, ignore_index=True)
    expected = answer.sort_values(["user", "rank"], ignore_index=True)
    pd.testing.assert_frame_equal(in_batches, expected, rtol=1e-5)
    listens[["user", "item", "count"]].to_parquet(tmp_path / "less.parquet")
    with pytest.raises(ValueError, match="has no column 'share'"):
        recommender.recommend_batches(tmp_path / "less.parquet")


def test_a_dask_frame_is_refused():
    dd = pytest.importorskip("dask.dataframe", reason="dask is not installed")
    frame = dd.from_pandas(PLAYS, npartitions=2)
    for params in ({"time": "day", "half_life": "10D"}, {"weight": "count"}):
        with pytest.raises(ValueError, match="is not available for a Dask DataFrame"):
            IdMapper(**params).fit(frame)


def test_half_lives_are_searched_for():
    listens, _ = make_listens(60, 30, items_per_user=8, random_state=0)
    listens["year"] = 2024 - np.random.default_rng(0).random(len(listens))
    search = GridSearchCV(
        make_recommender(EXACT, time="year"),
        {"idmapper__half_life": [None, 0.1, 1.0]},
        cv=GroupKFold(3),
        error_score="raise",
    ).fit(listens, groups=listens["user"])
    assert len(set(search.cv_results_["mean_test_score"])) == 3


# Weights of users, through scikit-learn


def weighted_users():
    listens, _ = make_listens(60, 30, items_per_user=8, random_state=0)
    users = listens["user"].unique()
    weights = pd.Series(1.0 + np.arange(len(users)) % 5, index=users)
    return listens, weights.sample(frac=1, random_state=0)


def expected_scores(listens, weights, cv):
    scores = []
    for train, test in cv.split(listens, groups=listens["user"]):
        part = listens.iloc[train]
        own = weights[part["user"].unique()].to_numpy()
        recommender = make_recommender(clone(EXACT))
        recommender.fit(part, shallowautoencoder__sample_weight=own)
        scores.append(recommender.score(listens.iloc[test]))
    return scores


@pytest.mark.parametrize("form", ["series", "dict"])
@pytest.mark.parametrize("name", ["sample_weight", "shallowautoencoder__sample_weight"])
def test_cross_validate_passes_weights_by_user(form, name):
    listens, weights = weighted_users()
    given = weights if form == "series" else weights.to_dict()
    cv = GroupKFold(3)
    found = cross_validate(
        make_recommender(EXACT),
        listens,
        groups=listens["user"],
        cv=cv,
        params={name: given},
        error_score="raise",
    )
    assert_allclose(found["test_score"], expected_scores(listens, weights, cv), rtol=1e-12)


def test_metadata_routing_passes_weights_by_user():
    listens, weights = weighted_users()
    cv = GroupKFold(3)
    with config_context(enable_metadata_routing=True):
        model = clone(EXACT).set_fit_request(sample_weight=True)
        found = cross_validate(
            make_recommender(model),
            listens,
            cv=cv,
            params={"sample_weight": weights, "groups": listens["user"]},
            error_score="raise",
        )
    assert_allclose(found["test_score"], expected_scores(listens, weights, cv), rtol=1e-12)


def test_weights_that_a_search_has_cut_are_told():
    listens, _ = make_listens(60, 30, items_per_user=8, random_state=0)
    listens = listens.drop_duplicates("user")
    listens = pd.concat([listens, listens.assign(item="s")]).iloc[: len(listens)]
    weights = pd.Series(1.0, index=listens["user"])
    with pytest.raises(ValueError, match="but not out of a dict"):
        make_recommender(EXACT).fit(listens, sample_weight=weights.iloc[5:])


@pytest.mark.parametrize(
    ("last", "first", "half_life"),
    [
        (pd.Timestamp("2200-01-01"), pd.Timestamp("1700-01-01"), "365D"),
        (2**62, -(2**62) - 10, 10),
    ],
)
def test_an_age_that_int64_does_not_hold_is_old(last, first, half_life):
    plays = pd.DataFrame({"user": ["ann"], "item": ["Help!"], "day": [last]})
    mapper = IdMapper(time="day", half_life=half_life).fit(plays)
    assert mapper.transform(plays.assign(day=first)).toarray() == 2.0**-60
