"""Common mistakes: the message names what was found and what to do, or the call works."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer, MaxAbsScaler, Normalizer

import shallow_ae
from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    TimeWindowSplit,
    hold_out_items,
    hold_out_users,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
)
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import evaluate
from shallow_ae.serving import ServingRecommender

LISTENS = pd.DataFrame(
    [
        ("ann", "Hey Jude", 3),
        ("ann", "Kashmir", 1),
        ("bob", "Kashmir", 5),
        ("bob", "Hey Jude", 2),
        ("bob", "Clocks", 1),
        ("cleo", "Clocks", 2),
    ],
    columns=["user", "item", "count"],
)
NUMBERED = pd.DataFrame({"user": [1, 1, 2, 2, 2, 3], "item": [7, 8, 8, 7, 9, 9], "count": 1})
ESTIMATORS = [
    ShallowAutoEncoder(),
    ShallowAutoEncoder(solver="exact"),
    SparseShallowAutoEncoder(),
    LowRankAutoEncoder(2),
    PopularityRecommender(),
    ShallowAutoEncoderCV([1.0], cv=2),
    LogCountTransformer(),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)


@pytest.fixture(scope="module")
def recommender():
    return make_recommender(ShallowAutoEncoder(solver="exact")).fit(LISTENS)


@each_estimator
def test_pivoted_frame_with_missing_values(estimator):
    pivoted = LISTENS.pivot(index="user", columns="item", values="count")
    with pytest.raises(ValueError, match=r"NaN.*row 0, column 0 \('Clocks'\).*`X\.fillna\(0\)`"):
        estimator.fit(pivoted)


def test_array_and_sparse_matrix_with_missing_values():
    for X in (np.array([[1, np.nan], [1, 1]]), sp.csr_array([[1, np.nan], [1, 1]])):
        for estimator in (ShallowAutoEncoder(), LogCountTransformer()):
            with pytest.raises(ValueError, match=r"NaN.*row 0, column 1.*numpy\.nan_to_num\("):
                estimator.fit(X)
        with pytest.raises(ValueError, match=r"Input X contains NaN"):
            make_ranking_scorer()(PopularityRecommender().fit(np.eye(2)), X)
    with pytest.raises(ValueError, match=r"Input X contains infinity"):
        ShallowAutoEncoder().fit([[1.0, np.inf]])


@each_estimator
@pytest.mark.parametrize(
    "interactions",
    [LISTENS, NUMBERED, NUMBERED.rename(columns={"user": "UserId", "item": "song_id"})],
    ids=["text ids", "numeric ids", "other names"],
)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_interactions_passed_to_an_estimator(estimator, interactions, library):
    with pytest.raises(ValueError, match=r"interactions.*`make_recommender\(.*`IdMapper"):
        estimator.fit(library(interactions))


def test_tuples_passed_to_an_estimator():
    with pytest.raises(ValueError, match=r"'ann'.*interactions.*`make_recommender\("):
        ShallowAutoEncoder().fit(list(LISTENS.itertuples(index=False, name=None)))


def test_user_column_that_is_not_the_index_of_a_matrix():
    pivoted = LISTENS.pivot_table(index="user", columns="item", values="count", fill_value=0)
    with pytest.raises(ValueError, match=r"column 'user' holds text.*`X\.set_index\('user'\)`"):
        ShallowAutoEncoder().fit(pivoted.reset_index())
    numbered = pivoted.set_axis([1, 2, 3]).rename_axis("user_id").reset_index()
    with pytest.warns(UserWarning, match=r"'user_id'.*taken as an item.*`X\.set_index\('user_id'"):
        ShallowAutoEncoder().fit(numbered)


def test_a_frame_with_numbers_as_names_gets_the_errors_of_other_frames():
    model = ShallowAutoEncoder(0.5, solver="exact").fit(np.eye(4) + 1)
    for call, message in (
        (lambda: clone(model).fit(pd.DataFrame([["a", 1], ["b", 2]])), "column 0 holds text"),
        (lambda: model.recommend(pd.DataFrame(np.eye(3))), "X has 3 features"),
        (lambda: clone(model).fit(pd.DataFrame(np.empty((0, 3)))), r"0 sample\(s\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def unconverged():
    return ShallowAutoEncoder(max_iter=2, tol=1e-9, random_state=0)


def test_warnings_point_to_the_callers_line_through_pipelines_and_searches():
    X = np.random.default_rng(0).poisson(0.5, (12, 8))
    for warn in (
        lambda: make_recommender(unconverged()).fit(LISTENS),
        lambda: make_pipeline(LogCountTransformer(), unconverged()).fit(X),
        lambda: GridSearchCV(unconverged(), {"batch_size": [6]}, cv=2).fit(X),
        lambda: cross_validate(unconverged(), X, cv=2),
    ):
        with pytest.warns(ConvergenceWarning) as caught:
            warn()
        line = warn.__code__.co_firstlineno
        assert {(one.filename, one.lineno) for one in caught} == {(__file__, line)}


@pytest.mark.parametrize("file", ["<stdin>", f"{Path(shallow_ae.__file__).parent}_trial/ask.py"])
def test_warnings_point_to_a_prompt_and_to_a_folder_named_like_the_package(file):
    names = {"__name__": "__main__", "mapper": IdMapper().fit(LISTENS)}
    with pytest.warns(UserWarning, match="not seen in fit") as caught:
        exec(compile("\nmapper.transform([('ann', '?')])", file, "exec"), names)
    assert (caught[0].filename, caught[0].lineno) == (file, 2)


@pytest.mark.parametrize(
    "asked", [["ann", "bob"], "ann", 1005, [1005], np.array(["ann"])], ids=repr
)
def test_ids_of_users_where_interactions_belong(recommender, asked):
    with pytest.raises(
        (TypeError, ValueError, OSError), match=r"ids of users, pass the rows .*`users="
    ):
        recommender.recommend(asked)


def test_strings_of_two_letters_are_not_read_as_pairs():
    with pytest.raises(TypeError, match=r"\(user, item\) .* row 0 is 'ab'"):
        IdMapper().fit(["ab", "cd"])


def test_swapped_users_and_items(recommender):
    swapped = LISTENS.rename(columns={"user": "item", "item": "user"})
    with pytest.warns(UserWarning, match=r"'ann' is a user of fit: .* may be swapped"):
        recommender.recommend(swapped)


@pytest.mark.parametrize(
    ("learned", "asked", "told"),
    [
        ([5, 6], ["6", "7"], r"'6' is a str, and fit saw the int 6: convert the ids"),
        (["5", "6"], [7, 6], r"6 is a int, and fit saw the str '6': convert the ids"),
    ],
)
def test_ids_of_another_type_than_in_fit(learned, asked, told):
    mapper = IdMapper().fit(pd.DataFrame({"user": ["ann", "bob"], "item": learned}))
    with pytest.warns(UserWarning, match=told):
        mapper.transform(pd.DataFrame({"user": ["ann", "bob"], "item": asked}))


def test_counts_that_are_all_zero():
    with pytest.raises(ValueError, match=r"All 6 counts in column 'count' are 0.*leave the column"):
        make_recommender().fit(LISTENS.assign(count=0))


def test_lengths_of_time_as_counts():
    times = pd.to_timedelta(LISTENS["count"], unit="s")
    for listens in (LISTENS.assign(count=times), [("ann", "Kashmir", timedelta(seconds=3))]):
        with pytest.raises(ValueError, match=r"timedelta.*`column\.dt\.total_seconds\(\)`"):
            IdMapper().fit(listens)


def test_one_column_for_users_and_items():
    with pytest.raises(
        ValueError, match=r"`user`='user', `item`='user' .* three different columns"
    ):
        IdMapper("user", "user").fit(LISTENS)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_text_as_counts(library):
    with pytest.warns(UserWarning, match=r"'count' holds text such as '3', .*`pandas\.to_numeric"):
        mapper = IdMapper().fit(library(LISTENS.astype({"count": str})))
    assert mapper.transform(LISTENS).sum() == 14


def test_named_column_of_counts_that_is_missing():
    with pytest.raises(ValueError, match=r"no column 'plays', only \['user', .*column of ones"):
        make_recommender(count="plays").fit(LISTENS)
    plays = LISTENS.rename(columns={"count": "plays"})
    learned = make_recommender(PopularityRecommender(), count="plays").fit(plays)
    assert learned.score(plays[:1], plays.loc[1:1, ["user", "item"]]) == 1  # needs no counts


@pytest.mark.parametrize("name", ["plays", "play_count", "numberOfViews", "Listens", "n_clicks"])
def test_column_of_counts_that_is_not_named(name):
    with pytest.warns(UserWarning, match=rf"Each row counts 1.*pass `count`='{name}'"):
        IdMapper().fit(LISTENS.rename(columns={"count": name}))


@pytest.mark.parametrize("name", ["timestamp", "rating", "year", "age", "playlist_id", "viewed_at"])
def test_numbers_that_are_no_counts_are_ignored_silently(name):
    assert IdMapper().fit_transform(LISTENS.rename(columns={"count": name})).max() == 1


def test_messages_show_plain_values(recommender):
    mapper = IdMapper().fit(NUMBERED)
    frame = pd.DataFrame({"user": [1], "item": [77]})
    with pytest.warns(UserWarning, match=r"such as 77;"):
        mapper.transform(frame)
    with pytest.raises(ValueError, match=r"the first is 77\."):
        make_recommender(PopularityRecommender()).fit(NUMBERED).similar_items(np.array([77]))
    with pytest.raises(ValueError, match=r"`k`=0 must"):
        recommender.recommend(LISTENS, k=np.int64(0))


def test_dict_and_frame_passed_to_evaluate():
    recommended = pd.DataFrame({"user": ["ann"], "item": ["Clocks"]})
    with pytest.raises(
        TypeError, match=r"DataFrame.*`shallow_ae\.evaluation\.item_lists\(frame\)`"
    ):
        evaluate({"ann": ["Clocks"]}, recommended)


def written(path):
    """Write the listens to a file whose format its suffix names, and return the path."""
    separator = {".csv": ",", ".tsv": "\t", ".txt": " "}
    if path.suffix == ".parquet":
        LISTENS.to_parquet(path)
    else:
        last = path.suffixes[0].lower()
        table = LISTENS.replace("Hey Jude", "Hey_Jude") if last == ".txt" else LISTENS
        table.to_csv(path, sep=separator[last], header=last != ".txt", index=False)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.CSV.gz", "a.parquet"])
def test_a_path_where_interactions_belong(recommender, tmp_path, name):
    pytest.importorskip("duckdb", reason="duckdb is not installed")
    path = written(tmp_path / name)
    for own in (path, str(path)):
        learned = make_recommender(PopularityRecommender()).fit(own)
        assert learned[0].transform(own).sum() == 14
    assert learned.recommend(own, k=1)["user"].tolist() == ["ann", "cleo"]
    visible, hidden = hold_out_items(own, random_state=0)
    assert (len(visible), len(hidden)) == (4, 2)
    frames = learned.recommend_batches(own, k=1, batch_size=2)
    assert pd.concat(frames)["user"].tolist() == ["ann", "cleo"]
    assert learned.score(visible, own) >= 0
    other = make_recommender(PopularityRecommender(), user="listener", item="song", count="plays")
    if ".txt" in name:
        assert len(other.fit(own)[0].items_) == 3
    else:
        with pytest.raises(ValueError, match=r"no column 'listener' and no 'song', only \['user'"):
            other.fit(own)


def test_a_folder_of_parquet_files_where_interactions_belong(tmp_path):
    LISTENS[:4].to_parquet(tmp_path / "a.parquet")
    LISTENS[4:].to_parquet(tmp_path / "b.parquet")
    assert IdMapper().fit_transform(tmp_path).sum() == 14


def test_a_relation_and_arrow_streams_where_interactions_belong():
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    table = pa.Table.from_pandas(LISTENS)
    batch = table.to_batches()[0]
    for make in (
        lambda: duckdb.from_arrow(table).aggregate("user, item, sum(count) AS count"),
        lambda: table,
        lambda: batch,
        lambda: table.to_reader(),
    ):
        learned = make_recommender(PopularityRecommender(), keep_interactions=True).fit(make())
        assert learned[0].transform(make()).sum() == 14
        assert learned.partial_fit(make()).recommend(make(), k=3).shape == (3, 5)
        assert len(hold_out_items(make(), 1, random_state=0)[1]) == 2
        assert sum(map(len, learned.recommend_batches(make(), k=3))) == 3


def test_a_path_that_is_not_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder 'nothing\.csv'"):
        make_recommender().fit("nothing.csv")
    for name in ("listens.xlsx", "listens"):
        path = tmp_path / name
        path.write_text("ann Kashmir 1")
        with pytest.raises(ValueError, match=r"\.csv and \.tsv with a header; \.txt with lines"):
            IdMapper().fit(path)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match=r"empty\.csv is empty\. Expected a header"):
        IdMapper().fit(tmp_path / "empty.csv")


@pytest.mark.parametrize("form", ["pandas", "polars"])
@pytest.mark.parametrize("between", [LogCountTransformer(), Normalizer(), MaxAbsScaler()], ids=repr)
def test_frames_as_output_of_transformers(form, between):
    listens, _ = make_listens(30, 12, random_state=0)
    plain = make_recommender(between, ShallowAutoEncoder(solver="exact"), keep_interactions=True)
    expected = clone(plain).fit(listens).recommend(listens, k=2)
    grid = {"shallowautoencoder__regularization": [1.0]}
    search = GridSearchCV(plain, grid, cv=GroupKFold(2), scoring=make_ranking_scorer(k=5))
    with config_context(transform_output=form):
        learned = clone(plain).fit(listens)
        pd.testing.assert_frame_equal(learned.recommend(listens, k=2), expected)
        learned.partial_fit(listens[:3]).forget(listens[:3])
        ServingRecommender.from_pipeline(learned).recommend([listens["item"][0]], k=2)
        search.fit(listens, groups=listens["user"]).score(listens)
        assert sp.issparse(IdMapper().fit_transform(listens))
    learned = clone(plain).set_output(transform=form).fit(listens)
    pd.testing.assert_frame_equal(learned.recommend(listens, k=2), expected)


def reversed_columns(X):
    return X[:, ::-1]


def rotated_columns(X):
    return X[:, np.roll(np.arange(X.shape[1]), 1)]


@pytest.mark.parametrize("reorder", [reversed_columns, rotated_columns])
def test_steps_that_reorder_the_columns(reorder):
    step, model = FunctionTransformer(reorder, accept_sparse=True), PopularityRecommender()
    with pytest.raises(ValueError, match=r"keep the order of the items: column \d, the item '"):
        make_recommender(step, model).fit(LISTENS)
    for honest in (TfidfTransformer(), Normalizer(), Binarizer(threshold=2), MaxAbsScaler()):
        make_recommender(honest, model).fit(LISTENS)


def test_users_in_the_training_and_in_the_test_part():
    listens, _ = make_listens(40, 12, random_state=0)
    shuffled = listens.sample(frac=1, random_state=0)
    model = make_recommender(PopularityRecommender())
    for split in (
        lambda: cross_validate(model, shuffled, cv=3),
        lambda: cross_validate(model, shuffled, cv=3, scoring=make_ranking_scorer(k=5)),
    ):
        with pytest.warns(
            UserWarning, match=r"`cv=GroupKFold\(\)` and `groups=X\['user'\]`"
        ) as told:
            split()
        assert {(one.filename, str(one.message)) for one in told} == {
            (__file__, str(told[0].message))
        }


def test_users_in_one_part_only_and_held_out_items_are_no_mistake():
    listens, _ = make_listens(40, 12, random_state=0)
    model = make_recommender(PopularityRecommender())
    users = {"groups": listens["user"], "cv": GroupKFold(3)}
    cross_validate(model, listens, **users, return_train_score=True)
    visible, hidden = hold_out_items(listens, random_state=0)
    model.fit(visible).score(visible, hidden)
    train, fold_in, target = hold_out_users(listens, random_state=0)
    model.fit(train).score(fold_in, target)
    model.fit(listens).score(listens)


def test_search_that_begins_with_few_interactions():
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    listens, _ = make_listens(40, 12, random_state=0)
    model = make_recommender(SparseShallowAutoEncoder())
    grid = {"sparseshallowautoencoder__regularization": [0.1, 1.0]}
    search = HalvingRandomSearchCV(
        model, grid, min_resources=6, cv=3, n_candidates=2, random_state=0, error_score="raise"
    )
    with pytest.raises(ValueError, match=r"Nothing to measure: .*raise `min_resources`"):
        search.fit(listens)
    with pytest.raises(ValueError, match=r"Nothing to measure: .*raise `min_resources`"):
        make_ranking_scorer()(PopularityRecommender().fit(np.eye(3)), np.eye(3))


def test_unknown_users_are_not_the_last_row():
    mapper = IdMapper()
    X = mapper.fit_transform(LISTENS)
    model = ShallowAutoEncoder(solver="exact").fit(X)
    with pytest.raises(
        ValueError, match=r"1 of 2 users .* the first is 'nobody'.*`unknown`='ignore'"
    ):
        model.forget(X[mapper.user_index(["ann", "nobody"])])
    assert mapper.user_index(["nobody"], unknown="ignore").tolist() == [-1]


IDS = [("ann", "Clocks"), ("ann", "Help!"), ("bob", "Help!")]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: (
                ShallowAutoEncoder().fit(np.eye(4)).recommend(np.eye(4), candidates=np.array(5))
            ),
            TypeError,
            "`candidates` must be a list",
        ),
        (
            lambda: IdMapper().fit([(["ann"], "Clocks")]),
            TypeError,
            "Column 'user' holds values that cannot be ids.*must be hashable",
        ),
        (
            lambda: (
                make_recommender(ShallowAutoEncoder())
                .fit(IDS)
                .recommend(IDS, candidates=[["Clocks"], ["Help!"]])
            ),
            TypeError,
            r"`candidates`.*found \['Clocks'\] in it.*dict from users to lists",
        ),
        (lambda: ndcg_score(None, [[1]]), TypeError, "Expected a list of items for each user"),
        (
            lambda: IdMapper(user=["user"]).fit(IDS),
            TypeError,
            r"`user`=\['user'\] must be the name of a column",
        ),
    ],
)
def test_values_of_the_wrong_kind_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_cutoff_beyond_all_lists_is_no_cutoff():
    assert ndcg_score([[1, 2]], [[2, 3]], k=10**30) == ndcg_score([[1, 2]], [[2, 3]])


def test_ids_that_arrow_cannot_hold_are_recommended():
    name = "song\udce9.mp3"  # as `os.listdir` reads a name that is not UTF-8
    recommender = make_recommender(ShallowAutoEncoder(0.5, solver="exact"))
    answer = recommender.fit([("ann", name), ("ann", "Help!"), ("bob", "Help!")]).recommend(
        [("bob", "Help!")], k=1
    )
    assert answer["item"].tolist() == [name]


def test_ids_of_another_type_are_told_beside_ids_that_are_no_numbers():
    recommender = make_recommender(ShallowAutoEncoder()).fit([("ann", 1), ("ann", 2), ("bob", 2)])
    with pytest.warns(UserWarning, match="'1' is a str, and fit saw the int 1"):
        recommender.recommend([("bob", "1"), ("bob", "Help!")])


def test_an_id_has_one_type_in_a_large_file(tmp_path):
    path = tmp_path / "plays.csv"
    lines = [f"{row % 1000},{row % 50},1" for row in range(300_000)]
    path.write_text("\n".join(["user,item,count", *lines, "guest,1,1", "7,2,1"]))
    assert len(IdMapper().fit(path).users_) == 1001


def test_lines_with_more_fields_than_the_header(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user,item,count\nann,Help!,1,9\nbob,Clocks,1,7\n")
    with pytest.raises(ValueError, match=r"plays\.csv has lines with more fields than its header"):
        IdMapper().fit(path)


@pytest.mark.parametrize("parts", [("exact", "popular"), ("near", "nearer")])
def test_a_weight_of_a_sum_that_is_too_large(parts):
    models = {
        "exact": ShallowAutoEncoder(0.5, solver="exact"),
        "popular": PopularityRecommender(),
        "near": SparseShallowAutoEncoder(0.5),
        "nearer": SparseShallowAutoEncoder(0.5, n_neighbors=2),
    }
    X = (np.random.default_rng(0).random((60, 10)) < 0.4).astype(np.float32)
    model = BlendedRecommender([(name, models[name]) for name in parts], weights=[1e300, 1])
    model.fit(X)
    for call in (model.predict, model.recommend):
        with pytest.raises(ValueError, match="`weights` holds a number that is too large"):
            call(X)


@pytest.mark.parametrize(
    ("times", "n_splits", "size", "message"),
    [
        (2**63 - np.array([5, 3, 2, 1], dtype=object), 2, 1, "cannot be told apart"),
        ([0.0, 1.0, 2.0, 3.0], 2, 1e-20, "cannot be told apart"),
        ([0, 1, 2, 3], 10**12, 1, "No row is before the first window"),
    ],
)
def test_windows_that_cannot_be_told_apart_or_counted(times, n_splits, size, message):
    frame = pd.DataFrame({"user": 1, "item": range(4), "time": np.array(times)})
    frame["time"] = frame["time"].infer_objects()
    with pytest.raises(ValueError, match=message):
        TimeWindowSplit(n_splits, test_size=size).windows_of(frame)
