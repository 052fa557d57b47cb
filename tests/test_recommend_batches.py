"""Recommendations in batches of users equal those in one piece, wherever the interactions lie."""

import subprocess
import sys
import tempfile
import uuid
import warnings
from datetime import date
from pathlib import Path

import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_recommender,
)
from shallow_ae._runtime import folders
from shallow_ae.data import stored_interactions, stored_tables
from shallow_ae.datasets import make_listens
from shallow_ae.pipeline import batches

COLUMNS = ["user", "item", "score", "rank", "by_popularity"]
EVERYONE = 10_000


@pytest.fixture(scope="module")
def listens():
    return make_listens(60, 40, items_per_user=8, random_state=0)[0]


@pytest.fixture(scope="module")
def recommender(listens):
    model = SparseShallowAutoEncoder(0.3, n_neighbors=10)
    return make_recommender(LogCountTransformer(), model).fit(listens)


@pytest.fixture
def folder(listens, tmp_path):
    """Return a folder of Parquet files, in which the rows of a user lie in several files."""
    return as_folder(listens, tmp_path / "listens")


def as_folder(frame, path, n_files=5):
    mixed = frame.sample(frac=1, random_state=0)
    for place in range(n_files):
        file = path / f"day={place}" / "plays.parquet"
        file.parent.mkdir(parents=True)
        mixed[place::n_files].to_parquet(file)
    return path


def in_order(frame):
    return frame.sort_values(["user", "rank"]).reset_index(drop=True)


def joined(frames):
    return pd.concat(list(frames), ignore_index=True)


@pytest.mark.parametrize("batch_size", [1, 7, EVERYONE])
def test_frames_of_batches_are_the_rows_of_one_frame(listens, recommender, batch_size):
    frames = list(recommender.recommend_batches(listens, k=5, batch_size=batch_size))
    pd.testing.assert_frame_equal(joined(frames), recommender.recommend(listens, k=5))
    assert len(frames) == -(-60 // batch_size)
    assert {frame["user"].nunique() for frame in frames[:-1]} <= {batch_size}


@pytest.mark.parametrize("batch_size", [1, 7, EVERYONE])
@pytest.mark.parametrize("rows_at_once", [1, 50, 2**17])
def test_users_are_whole_where_their_rows_lie_in_several_files(
    monkeypatch, listens, folder, recommender, batch_size, rows_at_once
):
    monkeypatch.setattr(stored_tables, "_ROWS_AT_ONCE", rows_at_once)
    frames = list(recommender.recommend_batches(folder, k=5, batch_size=batch_size))
    found = joined(frames)
    pd.testing.assert_frame_equal(found, in_order(recommender.recommend(listens, k=5)))
    assert len(frames) == -(-60 // batch_size)
    assert {frame["user"].nunique() for frame in frames[:-1]} <= {batch_size}


def of_folder_like_a_partition(frame, folder):
    return as_folder(frame, folder / "user=nobody")


def of_path(frame, folder):
    file = folder / "some [listens] of *?.parquet"
    frame.to_parquet(file)
    return str(file)


CONNECTION = duckdb.connect()  # relations of DuckDB 1.1 do not keep theirs


def of_own_connection(frame, folder):
    return CONNECTION.from_df(frame).project('item, "user", count')


def of_query(frame, folder):
    frame.assign(one=1).to_parquet(folder / "plays.parquet")
    return duckdb.sql(
        f"""SELECT "user", item, sum(count) AS count FROM '{folder}/plays.parquet' GROUP BY ALL"""
    )


@pytest.mark.parametrize(
    "given", [of_path, of_folder_like_a_partition, of_own_connection, of_query]
)
def test_files_and_relations_are_answered_as_frames(listens, recommender, tmp_path, given):
    found = joined(recommender.recommend_batches(given(listens, tmp_path), k=5, batch_size=7))
    pd.testing.assert_frame_equal(
        found, in_order(recommender.recommend(listens, k=5)), rtol=1e-6
    )  # sums of counts in DuckDB are float64


def test_a_relation_is_computed_once_and_leaves_its_connection_usable(listens, recommender):
    connection = duckdb.connect()
    connection.execute("CREATE SEQUENCE calls")
    plays = connection.from_df(listens[:50])
    before = connection.sql("SELECT current_setting('memory_limit')").fetchall()
    relation = plays.project("""'u' || nextval('calls') AS "user", item, count""")
    seen = []
    for frame in recommender.recommend_batches(relation, k=1, batch_size=10):
        assert connection.sql("SELECT 1").fetchall() == [(1,)]
        seen.extend(frame["user"])
    assert sorted(seen) == sorted(f"u{number}" for number in range(1, 51))
    assert connection.sql("SELECT current_setting('memory_limit')").fetchall() == before


def test_frames_are_of_the_library_of_the_interactions(listens, recommender):
    given = pl.from_pandas(listens)
    frames = list(recommender.recommend_batches(given, k=5, batch_size=7))
    assert {type(frame) for frame in frames} == {pl.DataFrame}
    assert pl.concat(frames).equals(recommender.recommend(given, k=5))
    tuples = list(listens.itertuples(index=False, name=None))
    frames = recommender.recommend_batches(tuples, k=5, batch_size=7)
    pd.testing.assert_frame_equal(joined(frames), recommender.recommend(tuples, k=5))


@pytest.fixture
def odd(listens):
    """Return interactions with users without a known item, and with unknown items."""
    more = [("a", "?", 1), ("b", "!", 0), (listens["user"][0], "?", 2)]
    return pd.concat([listens, pd.DataFrame(more, columns=listens.columns)], ignore_index=True)


@pytest.mark.parametrize("no_history", ["popularity", "omit"])
@pytest.mark.parametrize("in_frame", [True, False])
def test_unknown_items_are_counted_in_one_warning(odd, recommender, tmp_path, no_history, in_frame):
    told = "3 of .* interactions name 2 items that were not seen"
    with pytest.warns(UserWarning, match=told):
        expected = recommender.recommend(odd, k=3, no_history=no_history)
    given = odd if in_frame else as_folder(odd, tmp_path / "odd")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = list(
            recommender.recommend_batches(given, k=3, batch_size=1, no_history=no_history)
        )
    assert len(caught) == 1
    assert str(caught[0].message).startswith(f"3 of {len(odd)} interactions name 2 items")
    assert caught[0].filename == __file__
    assert len(frames) == 62
    expected = expected if in_frame else in_order(expected)
    pd.testing.assert_frame_equal(joined(frames), expected)
    assert set(joined(frames)["by_popularity"]) == (
        {True, False} if "a" in set(expected["user"]) else {False}
    )


def test_unknown_items_are_an_error_where_the_mapper_says_so(odd, listens, tmp_path):
    model = ShallowAutoEncoder(solver="exact")
    recommender = make_recommender(IdMapper(unknown="error"), model).fit(listens)
    given = as_folder(odd, tmp_path / "odd")
    with pytest.raises(ValueError, match="not seen in fit, such as '"):
        list(recommender.recommend_batches(given, batch_size=3))


def filters(listens, recommender):
    users, items = listens["user"].unique(), recommender[0].items_
    some = {user: list(items[place : place + 9]) for place, user in enumerate(users[:30])}
    some |= {"nobody": list(items[:3]), users[5]: []}
    frame = pd.DataFrame(
        [(user, item) for user, own in some.items() for item in own], columns=["user", "item"]
    )
    return {"one list": list(items[:20]), "dict": some, "frame": frame}


@pytest.mark.parametrize("kind", ["one list", "dict", "frame"])
@pytest.mark.parametrize("argument", ["candidates", "exclude"])
@pytest.mark.parametrize("in_frame", [True, False])
def test_lists_apply_to_the_users_of_each_batch(
    listens, folder, recommender, kind, argument, in_frame
):
    lists = {argument: filters(listens, recommender)[kind]}
    expected = recommender.recommend(listens, k=5, exclude_seen=False, **lists)
    given = listens if in_frame else folder
    frames = recommender.recommend_batches(given, k=5, batch_size=7, exclude_seen=False, **lists)
    pd.testing.assert_frame_equal(joined(frames), expected if in_frame else in_order(expected))


def test_unknown_items_of_lists_are_counted_in_one_warning(folder, listens, recommender):
    lists = {user: ["?", listens["item"][0]] for user in listens["user"].unique()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(recommender.recommend_batches(folder, k=2, batch_size=7, exclude=lists))
    assert [str(w.message)[:39] for w in caught] == ["60 of 120 items in `exclude` were not s"]


IDS = {
    "int": lambda n: n + 2**40,
    "small int": lambda n: np.int16(n),
    "float": lambda n: n / 2,
    "string": lambda n: f"u{n:02}",
    "bytes": lambda n: bytes([n]),
    "date": lambda n: date(2020, 1, 1 + n % 28),
    "time": lambda n: pd.Timestamp(2020, 1, 1, n % 24),
    "bool": lambda n: n % 2 == 0,
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_keep_their_types(tmp_path, kind):
    rng = np.random.default_rng(0)
    own = IDS[kind]
    frame = pd.DataFrame(
        {
            "user": [own(n) for n in rng.integers(30, size=200)],
            "item": [own(n) for n in rng.integers(20, size=200)],
        }
    ).drop_duplicates()
    if kind == "small int":
        frame = frame.astype(np.int16)
    given = as_folder(frame, tmp_path / "plays", 2)
    read = pd.read_parquet(next(given.rglob("*.parquet")))
    recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(frame)
    request = {"k": 3, "exclude_seen": False}
    expected = in_order(recommender.recommend(frame, **request))
    found = joined(recommender.recommend_batches(given, batch_size=4, **request))
    pd.testing.assert_frame_equal(found, expected, check_dtype=kind != "time")
    for place, interactions in enumerate((given, frame)):
        out = recommender.write_recommendations(interactions, tmp_path / f"{place}", **request)
        written = pd.read_parquet(out)
        assert type(written["user"][0]) is type(read["user"].iloc[0])
        pd.testing.assert_frame_equal(in_order(written), expected, check_dtype=kind != "time")


def test_ids_of_a_relation_that_pandas_has_no_type_for(tmp_path):
    ids = {name: str(uuid.uuid4()) for name in "abc"}
    rows = ", ".join(f"('{ids[u]}'::UUID, {i}::HUGEINT, 1.5)" for u, i in ("a1", "a2", "b2", "c3"))
    given = duckdb.sql(f"""SELECT * FROM (VALUES {rows}) t("user", item, count)""")
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    recommender.fit([(user, item) for user in ids.values() for item in (1, 2, 3)])
    found = joined(recommender.recommend_batches(given, k=1))
    assert found["user"].tolist() == sorted(ids.values())
    assert found["item"].dtype == np.int64
    moods = given.project("""'a'::ENUM('b', 'a') AS "user", item, count""")
    assert joined(recommender.recommend_batches(moods, k=1, exclude_seen=False))[
        "user"
    ].tolist() == ["a"]


def test_a_folder_holds_the_frames_and_is_readable_everywhere(
    listens, folder, recommender, tmp_path
):
    expected = recommender.recommend(listens, k=5)
    out = recommender.write_recommendations(folder, tmp_path / "out", k=5, batch_size=7)
    assert out == tmp_path / "out"
    assert [file.name for file in sorted(out.iterdir())] == [
        f"part-{place:05}.parquet" for place in range(9)
    ]
    for frame in (
        pd.read_parquet(out),
        pl.read_parquet(out / "*.parquet").to_pandas(),
        duckdb.read_parquet(f"{out}/*.parquet").df(),
        pq.read_table(out).to_pandas(),
    ):
        pd.testing.assert_frame_equal(in_order(frame), in_order(expected), check_dtype=False)
    assert len({str(pq.read_schema(file).remove_metadata()) for file in out.iterdir()}) == 1
    again = recommender.write_recommendations(str(folder), out, k=5, overwrite=True)
    assert [file.name for file in again.iterdir()] == ["part-00000.parquet"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["listens", "out"]


@pytest.mark.parametrize("to_kind", [lambda frame: frame, pl.from_pandas])
def test_frames_in_memory_are_written_in_their_order(listens, recommender, tmp_path, to_kind):
    given = to_kind(listens)
    out = recommender.write_recommendations(given, tmp_path / "out", k=5, batch_size=7)
    expected = recommender.recommend(listens, k=5)
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_dtype=False)


@pytest.mark.parametrize("in_frame", [True, False])
def test_a_result_without_rows_has_a_schema(recommender, tmp_path, in_frame):
    nothing = pd.DataFrame({"user": [7, 8], "item": ["?", "!"]})
    given = nothing if in_frame else as_folder(nothing, tmp_path / "in", 2)
    with pytest.warns(UserWarning, match="2 of 2 interactions"):
        out = recommender.write_recommendations(given, tmp_path / "out", no_history="omit")
    table = pq.read_table(out)
    assert table.num_rows == 0
    assert table.schema.names == COLUMNS
    assert table.schema.types[0] == pa.int64()
    assert pa.types.is_string(table.schema.types[1]) or pa.types.is_large_string(
        table.schema.types[1]
    )
    assert table.schema.types[2:] == [pa.float64(), pa.int64(), pa.bool_()]


@pytest.fixture
def stops(monkeypatch):
    """Return a function that lets an error arise after two batches."""
    given = batches.recommended

    def stops(error):
        n_calls = []

        def recommended(*args, **kwargs):
            n_calls.append(1)
            if len(n_calls) > 2:
                raise error
            return given(*args, **kwargs)

        monkeypatch.setattr(batches, "recommended", recommended)

    return stops


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space left")])
@pytest.mark.parametrize("exists", [True, False])
def test_an_interrupted_write_leaves_what_was_there(
    recommender, folder, tmp_path, stops, monkeypatch, error, exists
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = sorted(file.name for file in tmp_path.iterdir())
    out = tmp_path / "out"
    if exists:
        recommender.write_recommendations(folder, out, k=2, batch_size=30)
        old = {file.name: file.read_bytes() for file in out.iterdir()}
    stops(error)
    with pytest.raises(type(error)):
        recommender.write_recommendations(folder, out, k=5, batch_size=7, overwrite=True)
    assert list(temporary.iterdir()) == []
    if exists:
        assert {file.name: file.read_bytes() for file in out.iterdir()} == old
        before.insert(before.index("temporary"), "out")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(before)


@pytest.mark.parametrize("told", ["Query interrupted", "something else"])
def test_an_interrupt_while_duckdb_sorts_is_one_of_the_keyboard(
    recommender, folder, monkeypatch, told
):
    def interrupted(*_):
        raise RuntimeError(told)

    monkeypatch.setattr(stored_interactions, "_by_users", interrupted)
    expected = KeyboardInterrupt if told == "Query interrupted" else RuntimeError
    with pytest.raises(expected):
        next(recommender.recommend_batches(folder))


def test_a_full_disk_while_duckdb_sorts_names_the_folder(recommender, folder, monkeypatch):
    def full(*_):
        raise duckdb.IOException("Could not write file: No space left on device")

    monkeypatch.setattr(stored_interactions, "_by_users", full)
    with pytest.raises(OSError, match=r"No space left .* set TMPDIR to a folder with more: '/"):
        next(recommender.recommend_batches(folder))


def test_a_folder_that_cannot_be_renamed_is_restored(recommender, listens, tmp_path, monkeypatch):
    out = recommender.write_recommendations(listens, tmp_path / "out", k=2)
    old = (out / "part-00000.parquet").read_bytes()
    rename = Path.rename

    def refused(path, target):
        if path.name == "new":
            raise PermissionError("in use")
        return rename(path, target)

    monkeypatch.setattr(folders, "_exchanged", lambda *_: False)
    monkeypatch.setattr(folders.Path, "rename", refused)
    with pytest.raises(PermissionError, match="in use"):
        recommender.write_recommendations(listens, out, k=5, overwrite=True)
    assert (out / "part-00000.parquet").read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_only_an_empty_folder_is_replaced_without_leave(recommender, listens, tmp_path):
    (tmp_path / "out").mkdir()
    out = recommender.write_recommendations(listens, tmp_path / "out", k=2)
    with pytest.raises(FileExistsError, match=r"is not empty\. Pass another path, or `overwrite"):
        recommender.write_recommendations(listens, out)
    with pytest.raises(FileExistsError, match="is a file, expected a folder"):
        recommender.write_recommendations(listens, out / "part-00000.parquet", overwrite=True)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none\. Make it first"):
        recommender.write_recommendations(listens, tmp_path / "none" / "out")


def test_the_interactions_are_neither_replaced_nor_mixed_with_the_result(
    recommender, folder, tmp_path
):
    with pytest.raises(ValueError, match="would be replaced by the recommendations"):
        recommender.write_recommendations(folder, tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="would be read with them next time"):
        recommender.write_recommendations(folder, folder / "out")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["listens"]


def test_ids_of_several_types_are_refused(tmp_path):
    mixed = pd.DataFrame({"user": [1, "a", 1, "a"], "item": ["b", "b", "c", "d"]}, dtype=object)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(mixed)
    assert len(joined(recommender.recommend_batches(mixed, k=1))) == 2
    with pytest.raises(
        TypeError, match=r"'user' holds ids that no type .* Convert them to strings"
    ):
        recommender.write_recommendations(mixed, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def without_item(folder):
    pd.DataFrame({"user": [1], "song": [2]}).to_parquet(folder / "plays.parquet")
    return folder


def with_count_in_one(folder):
    frame = pd.DataFrame({"user": [1], "item": [2], "count": [3]})
    frame.to_parquet(folder / "a.parquet")
    frame[["user", "item"]].to_parquet(folder / "b.parquet")
    return folder


def damaged(folder):
    (folder / "plays.parquet").write_bytes(b"PAR1 and no more")
    return folder


def hidden(folder):
    for name in ("_metadata.parquet", ".plays.parquet"):
        pd.DataFrame({"user": [1], "item": [2]}).to_parquet(folder / name)
    return folder


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (lambda folder: folder / "none", FileNotFoundError, "There is no file or folder .*none"),
        (lambda folder: folder, FileNotFoundError, r"holds no Parquet files, which end with \.par"),
        (hidden, FileNotFoundError, "holds no Parquet files"),
        (without_item, ValueError, r"plays\.parquet: .* no column 'item', only \['user', 'song'\]"),
        (with_count_in_one, ValueError, "either all files or no file must have .* 'count'"),
        (damaged, ValueError, "is no Parquet file, but damaged"),
        (
            lambda _: duckdb.sql("SELECT 1 AS item"),
            ValueError,
            r"no column 'user', only \['item'\]",
        ),
    ],
)
def test_errors_of_places_come_with_the_call(recommender, tmp_path, given, error, told):
    with pytest.raises(error, match=told):
        recommender.recommend_batches(given(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"k": 0}, "`k`=0 must be an integer >= 1"),
        ({"batch_size": 0}, "`batch_size`=0 must be an integer >= 1"),
        ({"no_history": "?"}, "`no_history`='\\?' must be one of"),
    ],
)
def test_errors_of_arguments_come_with_the_call(recommender, listens, tmp_path, arguments, told):
    with pytest.raises(ValueError, match=told):
        recommender.recommend_batches(listens, **arguments)
    with pytest.raises(ValueError, match=told):
        recommender.write_recommendations(listens, tmp_path / "out", **arguments)


@pytest.mark.parametrize(
    ("column", "bad", "told"),
    [
        ("user", None, r"3 rows have missing .* Column 'user' holds 3 missing ids"),
        ("item", None, "Column 'item' holds 3 missing ids"),
        ("user", np.nan, "Column 'user' holds 3 missing ids"),
        ("count", np.nan, "Column 'count' holds 3 counts that are negative, infinite or NaN"),
        ("count", -1, "Column 'count' holds 3 counts that are negative"),
        ("count", np.inf, "Column 'count' holds 3 counts that are negative"),
    ],
)
def test_missing_and_bad_values_are_told_before_any_work(
    recommender, listens, tmp_path, monkeypatch, column, bad, told
):
    frame = listens.assign(user=listens["user"].str[5:].astype(float))
    frame[column] = frame[column].astype(
        object if bad is None else float if column != "item" else object
    )
    frame.loc[[20, 40, 60], column] = bad
    monkeypatch.setattr(batches, "recommended", None)
    with pytest.raises(ValueError, match=told):
        list(recommender.recommend_batches(as_folder(frame, tmp_path / "in"), batch_size=1))


def test_no_interactions_are_an_error(recommender, listens, tmp_path):
    given = as_folder(listens[:0], tmp_path / "in", 2)
    with pytest.raises(ValueError, match="Found no interactions"):
        next(recommender.recommend_batches(given))
    with pytest.raises(ValueError, match="Found no interactions"):
        recommender.recommend_batches(listens[:0])


def test_counts_as_text_are_read_as_in_a_frame(recommender, listens, tmp_path):
    text = listens.assign(count=listens["count"].astype(str))
    found = joined(recommender.recommend_batches(as_folder(text, tmp_path / "in"), k=3))
    pd.testing.assert_frame_equal(found, in_order(recommender.recommend(text, k=3)))
    text.loc[3, "count"] = "many"
    with pytest.raises(ValueError, match="Column 'count' must hold numbers"):
        list(recommender.recommend_batches(as_folder(text, tmp_path / "bad"), k=3))


def test_columns_of_ids_have_names_of_their_own(tmp_path):
    frame = pd.DataFrame({"user": [1, 1, 2], "rank": ["a", "b", "a"]})
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"), item="rank").fit(frame)
    with pytest.raises(ValueError, match=r"\['rank'\] of the interactions are named as"):
        recommender.recommend_batches(as_folder(frame, tmp_path / "in", 1))


def test_names_of_columns_are_quoted(tmp_path):
    names = {"user": 'the "user"', "item": "item id", "count": "n; plays"}
    frame = pd.DataFrame({"user": [1, 1, 2, 3], "item": [1, 2, 2, 3], "count": 2})
    named = frame.rename(columns=names)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"), **names).fit(named)
    found = joined(recommender.recommend_batches(as_folder(named, tmp_path / "in", 2), k=1))
    pd.testing.assert_frame_equal(found, recommender.recommend(named, k=1))


def test_dask_frames_are_left_to_their_workers(listens, recommender):
    with pytest.raises(TypeError, match="answered by its workers, in partitions: call `recommend`"):
        recommender.recommend_batches(dd.from_pandas(listens, npartitions=2))


@pytest.mark.parametrize("in_frame", [True, False])
def test_a_progress_bar_counts_users_on_request(listens, folder, recommender, capfd, in_frame):
    given = listens if in_frame else folder
    list(recommender.recommend_batches(given, k=2, batch_size=7))
    assert capfd.readouterr() == ("", "")
    list(recommender.recommend_batches(given, k=2, batch_size=7, verbose=1))
    assert "60/60" in capfd.readouterr().err


def test_an_iterator_that_is_left_removes_its_temporary_files(
    folder, recommender, tmp_path, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    frames = recommender.recommend_batches(folder, k=2, batch_size=7)
    next(frames)
    assert len(list(temporary.iterdir())) == 1
    frames.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("package", ["duckdb", "pyarrow.parquet"])
def test_missing_packages_are_told_with_the_extra(
    listens, folder, recommender, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"not installed: pip install 'shallow-ae\[parquet\]'"):
        recommender.recommend_batches(folder)
    assert len(joined(recommender.recommend_batches(listens, k=1))) == 60
    if package == "duckdb":
        recommender.write_recommendations(listens, tmp_path / "out", k=1)
    else:
        with pytest.raises(ImportError, match=r"written as Parquet by pyarrow.*\[parquet\]"):
            recommender.write_recommendations(listens, tmp_path / "out", k=1)


PEAK = """
import sys
import numpy as np
import pandas as pd
sys.path.insert(0, sys.argv[1])
from processes import forget_peak, memory_mib
from shallow_ae import PopularityRecommender, make_recommender

few, many, out = (f"{sys.argv[2]}/{name}" for name in ("few", "many", "out"))
recommender = make_recommender(PopularityRecommender())
recommender.fit(pd.DataFrame({"user": 0, "item": np.arange(100)}))
recommender.write_recommendations(few, out, k=20)  # imports and compiles
before = memory_mib("VmRSS")
for work in (
    lambda: recommender.write_recommendations(many, out, k=20, overwrite=True),
    lambda: recommender.recommend(pd.read_parquet(many), k=20),
):
    forget_peak()
    work()
    print(memory_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_many_users_take_little_memory_in_batches(tmp_path):
    # Seen with 400,000 users: 109 MiB in batches, 678 MiB in one piece.
    for name, n_users in (("few", 100), ("many", 250_000)):
        (tmp_path / name).mkdir()
        duckdb.sql(
            f"""COPY (SELECT hash(i % {n_users}) AS "user", (hash(i + 1) % 100)::BIGINT AS item
            FROM range({5 * n_users}) t(i)) TO '{tmp_path / name}/plays.parquet'"""
        )
    benchmarks = Path(__file__).parents[1] / "benchmarks"
    command = [sys.executable, "-c", PEAK, benchmarks, tmp_path]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    in_batches, in_one_piece = map(float, child.stdout.split())
    assert in_batches < in_one_piece / 3


def test_a_total_that_is_too_large_to_count_is_left_out(folder, recommender, monkeypatch, capfd):
    monkeypatch.setattr(stored_interactions, "_MOST_COUNTED_USERS", 20)
    list(recommender.recommend_batches(folder, k=2, batch_size=7, verbose=1))
    assert "60user" in capfd.readouterr().err
