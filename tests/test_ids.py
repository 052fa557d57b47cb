"""Raw ids to rows and columns and back, from every kind of interactions."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from shallow_ae import IdMapper

LISTENS = [("ann", "x", 3), ("bob", "y", 1), ("ann", "y", 2), ("ann", "x", 4)]
MATRIX = [[7, 2], [0, 1]]
FRAME = pd.DataFrame(LISTENS, columns=["user", "item", "count"])

KINDS = {
    "tuples": LISTENS,
    "lists": [list(listen) for listen in LISTENS],
    "pandas": FRAME,
    "pandas object": FRAME.astype({"user": object, "item": object}),
    "pandas categories": FRAME.astype({"user": "category", "item": "category"}),
    "pandas odd index": FRAME.set_axis([7, 7, 3, 1]),
    "pandas more columns": FRAME.assign(when=0)[["when", "count", "item", "user"]],
    "polars": pl.DataFrame(FRAME.to_dict("list")),
    "pyarrow": pl.DataFrame(FRAME.to_dict("list")).to_arrow(),
    "array of objects": np.array(LISTENS, dtype=object),
    "array of strings": np.array(LISTENS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_interactions_gives_the_same_matrix(kind):
    mapper = IdMapper()
    X = mapper.fit_transform(KINDS[kind])
    np.testing.assert_array_equal(X.toarray(), MATRIX)
    assert X.has_canonical_format
    assert mapper.users_.tolist() == ["ann", "bob"]
    assert mapper.items_.tolist() == ["x", "y"]
    np.testing.assert_array_equal(mapper.transform(KINDS[kind]).toarray(), MATRIX)


@pytest.mark.parametrize(
    "interactions",
    [
        [(10, 7), (20, 8), (10, 7)],
        np.array([[10, 7], [20, 8], [10, 7]]),
        np.array([[10, 7], [20, 8], [10, 7]], dtype=np.uint8),
        pd.DataFrame({"user": [10, 20, 10], "item": [7, 8, 7]}),
        pl.DataFrame({"user": [10, 20, 10], "item": [7, 8, 7]}),
    ],
)
def test_without_counts_every_row_counts_one(interactions):
    mapper = IdMapper()
    assert mapper.fit_transform(interactions).toarray().tolist() == [[2, 0], [0, 1]]
    assert mapper.items_.tolist() == [7, 8]


def test_columns_may_have_other_names():
    frame = FRAME.rename(columns={"user": "uid", "item": "sid", "count": "plays"})
    mapper = IdMapper("uid", "sid", "plays")
    assert mapper.fit_transform(frame).toarray().tolist() == MATRIX
    assert list(mapper.inverse_transform(np.array(MATRIX)).columns) == ["uid", "sid", "plays"]


IDS = [1, "1", 1.5, ("a", 1), ("a", "b"), frozenset({2}), b"1", "ä", pd.Timestamp(0), True]


def test_ids_are_of_any_hashable_kind_and_compare_as_in_python():
    # True == 1 in Python, so the last is the first again.
    mapper = IdMapper()
    X = mapper.fit_transform([(user, item) for user in IDS for item in reversed(IDS)])
    assert X.shape == (len(IDS) - 1, len(IDS) - 1)
    assert mapper.user_index(IDS).tolist() == [*range(9), 0]
    assert mapper.item_index(mapper.items_).tolist() == list(range(9))
    assert mapper.item_ids([3, -1]).tolist() == [mapper.items_[3], None]
    again = mapper.transform([("someone", item) for item in IDS])
    assert again.nnz == 9
    assert again.sum() == 10


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 4), st.integers(0, 5)),
        min_size=1,
        max_size=12,
    )
)
def test_the_matrix_is_what_a_dictionary_counts(listens):
    assume(any(count for _, _, count in listens))
    users = list(dict.fromkeys(user for user, _, _ in listens))
    items = list(dict.fromkeys(item for _, item, _ in listens))
    expected = np.zeros((len(users), len(items)))
    for user, item, count in listens:
        expected[users.index(user), items.index(item)] += count

    mapper = IdMapper()
    X = mapper.fit_transform(listens)
    np.testing.assert_array_equal(X.toarray(), expected)
    assert X.nnz == np.count_nonzero(expected)  # a count of 0 is no interaction
    np.testing.assert_array_equal(mapper.fit(listens).transform(listens).toarray(), expected)

    back = mapper.inverse_transform(X)
    assert list(zip(back["user"], back["item"], back["count"], strict=True)) == [
        (users[u], items[i], expected[u, i]) for u, i in zip(*expected.nonzero(), strict=True)
    ]


def test_transform_has_a_row_for_each_user_of_its_frame_and_the_fitted_columns():
    mapper = IdMapper().fit(LISTENS)
    new = [("cleo", "y", 5), ("bob", "x", 1), ("cleo", "y", 1)]
    assert mapper.transform(new).toarray().tolist() == [[0, 6], [1, 0]]
    assert mapper.users_in(new).tolist() == ["cleo", "bob"]
    back = mapper.inverse_transform(mapper.transform(new), users=mapper.users_in(new))
    assert back.values.tolist() == [["cleo", "y", 6.0], ["bob", "x", 1.0]]


def test_unknown_items_are_left_out_and_their_number_told():
    mapper = IdMapper().fit(LISTENS)
    new = [("cleo", "z"), ("bob", "x"), ("bob", "w"), ("bob", "z")]
    with pytest.warns(UserWarning, match=r"3 of 4 interactions name 2 items .* such as 'z'; they"):
        X = mapper.transform(new)
    assert X.toarray().tolist() == [[0, 0], [1, 0]]  # cleo keeps an empty row


def test_unknown_items_are_an_error_where_asked():
    mapper = IdMapper(unknown="error").fit(LISTENS)
    with pytest.raises(ValueError, match=r"1 of 2 interactions name 1 items .* unknown='ignore'"):
        mapper.transform([("bob", "x"), ("bob", "w")])


def test_indices_of_unknown_ids_are_minus_one():
    mapper = IdMapper().fit(LISTENS)
    assert mapper.user_index(["bob", "nobody", "ann"], unknown="ignore").tolist() == [1, -1, 0]
    assert mapper.item_index(pd.Series(["y", "x", "w"])).tolist() == [1, 0, -1]


def test_item_ids_keep_the_shape_and_name_no_item_for_minus_one():
    mapper = IdMapper().fit(LISTENS)
    assert mapper.item_ids([[1, -1], [0, 1]]).tolist() == [["y", None], ["x", "y"]]
    assert mapper.item_ids([]).shape == (0,)


@pytest.mark.parametrize("indices", [[0.5], [0.0], ["x"], [True], [None], np.array([], float)])
def test_item_ids_refuse_what_is_no_integer(indices):
    mapper = IdMapper().fit(LISTENS)
    if not len(indices):
        assert mapper.item_ids(indices).shape == (0,)
        return
    with pytest.raises(TypeError, match="Item indices must be integers, found"):
        mapper.item_ids(indices)


def test_item_ids_take_integers_of_every_type():
    mapper = IdMapper().fit(LISTENS)
    for kind in (np.uint8, np.int16, np.uint64, object):
        assert mapper.item_ids(np.array([1, 0], kind)).tolist() == ["y", "x"]


@pytest.mark.parametrize("indices", [[2], [-2]])
def test_item_ids_refuse_what_is_no_column(indices):
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
        IdMapper().fit(LISTENS).item_ids(indices)


def test_feature_names_are_the_items_as_strings():
    mapper = IdMapper().fit([("ann", 7), ("ann", 8)])
    assert mapper.get_feature_names_out().tolist() == ["7", "8"]


@pytest.mark.parametrize(
    ("count_type", "matrix_type"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float32),
        (np.int64, np.float32),
        (np.uint8, np.float32),
        (bool, np.float32),
    ],
)
def test_sums_do_not_overflow_and_the_type_follows_the_counts(count_type, matrix_type):
    frame = pd.DataFrame({"user": 1, "item": 2, "count": np.full(600, 1, dtype=count_type)})
    X = IdMapper().fit_transform(frame)
    assert X.dtype == matrix_type
    assert X.toarray() == [[600]]
    large = frame.assign(count=np.full(600, 200 if count_type is not bool else 1, dtype=count_type))
    assert IdMapper().fit_transform(large).sum() == large["count"].astype(float).sum()


def test_sums_of_integers_are_taken_before_they_are_rounded():
    frame = pd.DataFrame({"user": 1, "item": 2, "count": [2**24, 1, 1]})
    assert IdMapper().fit_transform(frame).toarray() == [[2**24 + 2]]


@pytest.mark.parametrize("kind", [">f8", ">f4", ">i8"])
def test_counts_and_ids_may_have_their_bytes_in_another_order(kind):
    table = np.array([[1, 7, 3], [2, 8, 1], [1, 7, 2]])
    names = ["user", "item", "count"]
    for make in (lambda t: t, lambda t: pd.DataFrame(t, columns=names)):
        mapper, expected = IdMapper(), IdMapper()
        X = mapper.fit_transform(make(table.astype(kind)))
        native = expected.fit_transform(make(table.astype(kind[1:])))
        assert X.dtype == native.dtype
        assert X.dtype == (np.float64 if kind == ">f8" else np.float32)
        np.testing.assert_array_equal(X.toarray(), native.toarray())
        assert mapper.items_.tolist() == expected.items_.tolist() == [7, 8]


@pytest.mark.parametrize("user", [[2**53, 2**53 + 1, 0.5], [2**64, 2**64 + 1, -1], [1, "1", 1.5]])
def test_ids_in_a_list_are_as_they_stand_whatever_else_is_in_their_column(user):
    mapper = IdMapper()
    X = mapper.fit_transform(list(zip(user, "abc", strict=True)))
    np.testing.assert_array_equal(X.toarray(), np.eye(3))
    assert list(zip(map(type, mapper.users_), mapper.users_, strict=True)) == [
        (type(u), u) for u in user
    ]


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ([1, 2], np.float32),
        ([1.0, 2.0], np.float64),
        ([1, 2.5], np.float64),  # as pandas has it
        ([True, 2], np.float32),
        ([np.float32(1), np.float32(2.5)], np.float32),
        (["1", "2.5"], np.float32),
        ([Fraction(1, 2), Decimal("2.5")], np.float32),
    ],
)
def test_the_type_of_the_matrix_follows_the_counts_in_a_list(counts, kind):
    rows = [("ann", "x", counts[0]), ("bob", "y", counts[1])]
    X = IdMapper().fit_transform(rows)
    assert X.dtype == kind
    assert X.diagonal().tolist() == [float(count) for count in counts]


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param(
            ["a", "a\0"],
            marks=pytest.mark.skipif(
                int(pd.__version__.partition(".")[0]) < 3,
                reason="pandas 2 compares texts up to a zero character",
            ),
        ),
        pytest.param(
            [2**64, 2**64 + 1],
            marks=pytest.mark.skipif(
                not hasattr(pl, "Int128"), reason="old versions of polars have no such integers"
            ),
        ),
        ["a" * 10**6, *map(str, range(10**5))],
    ],
    ids=["zeros", "128 bits", "one long id"],
)
@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas"])
def test_ids_of_a_frame_are_as_they_stand_whatever_else_is_in_their_column(ids, library):
    if isinstance(ids[0], int) and library == "pyarrow":
        return  # which has no integers of 128 bits
    frame = pl.DataFrame({"user": ids, "item": 1}) if library == "polars" else None
    if frame is None:
        frame = pd.DataFrame({"user": ids, "item": 1})
        frame = pa.Table.from_pandas(frame) if library == "pyarrow" else frame
    assert IdMapper().fit(frame).users_.tolist() == list(dict.fromkeys(ids))


def test_rows_may_be_sequences_of_any_kind():
    frame = pd.DataFrame({"user": ["ann", "bob"], "item": ["x", "y"]})
    for rows in (
        list(frame.itertuples(index=False)),
        [np.array(["ann", "x"]), ["bob", "y"]],
        [row for _, row in frame.iterrows()],
        list(frame.to_records(index=False)),
        (("ann", "x"), ("bob", "y")),
        pl.DataFrame(frame.to_dict("list")).rows(),
    ):
        mapper = IdMapper()
        assert mapper.fit_transform(rows).toarray().tolist() == [[1, 0], [0, 1]]
        assert mapper.users_.tolist() == ["ann", "bob"]


WHEN = np.array(["2020-01-01", "2021-01-01"], "datetime64[s]")
NO_NUMBERS = {
    "complex": np.array([1, 2 + 3j]),
    "complex objects": np.array([1, 2 + 3j], object),
    "complex of NumPy": np.array([1, np.complex64(2)], object),
    "dates": WHEN,
    "time deltas": WHEN - WHEN[0],
    "dates with a zone": pd.Series(WHEN).dt.tz_localize("UTC"),
    "dates in an object array": np.array([1, np.datetime64(1, "s")], object),
    "time deltas in an object array": np.array([1, np.timedelta64(1, "s")], object),
    "dates of Python": np.array([1, date(2020, 1, 1)], object),
    "time deltas of Python": np.array([1, timedelta(1)], object),
    "time stamps": np.array([1, pd.Timestamp(0)], object),
    "time deltas of pandas": np.array([1, pd.Timedelta(1)], object),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
@pytest.mark.parametrize("kind", ["pandas", "polars", "list", "array"])
def test_counts_that_are_no_real_numbers_are_refused(case, kind):
    frame = pd.DataFrame({"user": ["ann", "bob"], "item": ["x", "y"], "count": NO_NUMBERS[case]})
    interactions = frame
    if kind == "polars":
        if frame["count"].dtype == object or "complex" in case:
            return  # polars has no such columns
        interactions = pl.DataFrame({name: pl.Series(frame[name]) for name in frame})
    elif kind == "list":
        interactions = list(zip("ab", "xy", NO_NUMBERS[case], strict=True))
    elif kind == "array":
        interactions = frame.to_numpy(dtype=object)
    with pytest.raises(ValueError, match=r"Column .* must hold numbers"):
        IdMapper().fit(interactions)


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_the_callers_frame_is_not_changed(unknown):
    frame = FRAME.copy()
    IdMapper(unknown=unknown).fit(frame).transform(frame)
    pd.testing.assert_frame_equal(frame, FRAME)


BAD = {
    "empty list": ([], ValueError, "Found no interactions: 0 rows"),
    "empty frame": (FRAME[:0], ValueError, "Found no interactions: 0 rows"),
    "empty array": (np.empty((0, 2)), ValueError, "Found no interactions: 0 rows"),
    "no column": (
        FRAME.drop(columns="item"),
        ValueError,
        r"has no column 'item', only \['user', 'count'\]",
    ),
    "NaN id": (
        FRAME.assign(item=["x", None, "y", None]),
        ValueError,
        "Column 'item' holds 2 missing ids .* the first in row 1",
    ),
    "NaN id in tuples": ([(1, "x"), (np.nan, "y")], ValueError, "Column 'user' holds 1 missing"),
    "NaN id in polars": (
        pl.DataFrame({"user": ["ann", None], "item": [1, 2]}),
        ValueError,
        "Column 'user' holds 1 missing ids .* in row 1",
    ),
    "NaN count": (
        FRAME.assign(count=[1, 2, np.nan, np.nan]),
        ValueError,
        "Column 'count' holds 2 counts .* the first in row 2: nan",
    ),
    "negative count": (FRAME.assign(count=[1, -2, 3, 4]), ValueError, "in row 1: -2"),
    "infinite count": (FRAME.assign(count=[1, 2, 3, np.inf]), ValueError, "in row 3: inf"),
    "count no number": (FRAME.assign(count="many"), ValueError, "Column 'count' must hold numbers"),
    "four columns": ([(1, 2, 3, 4)], ValueError, "have 4 columns, expected 2 or 3"),
    "one column": ([(1,)], ValueError, r"1 feature\(s\) \(shape=\(1, 1\)\)"),
    "1D array": (np.arange(3), ValueError, "Expected 2D array"),
    "sparse": (IdMapper().fit_transform(LISTENS), TypeError, "Sparse input is not supported"),
    "a dict a row": (
        [{"item": "x", "user": "ann"}],
        TypeError,
        r"row 0 is a dict, .* Make a frame of the rows: pandas.DataFrame\(rows\)",
    ),
    "a set a row": ([("ann", "x"), {"bob", "y"}], TypeError, "row 1 is a set"),
    "a text a row": (["ab", "cd"], TypeError, "row 0 is 'ab'"),
    "bytes a row": ([b"ab"], TypeError, "row 0 is b'ab'"),
    "a number a row": ([("ann", "x"), 7], TypeError, "row 1 is 7. If these are ids of users"),
    "ragged": ([("ann", "x"), ("bob", "y", 2)], ValueError, "row 1 has 3 fields, row 0 has 2"),
    "ragged, short": ([("ann", "x", 1), ("bob",)], ValueError, "row 1 has 1 fields, row 0 has 3"),
    "no fields": ([()], ValueError, r"0 feature\(s\) \(shape=\(1, 0\)\)"),
    "a set": ({("ann", "x")}, TypeError, "Interactions must be .* got set"),
    "too large for float32": (
        [("ann", "x", 10**40)],
        ValueError,
        "'ann' and 'x' .* 1e.40, .* float32 .*: pass counts of float64",
    ),
    "a sum too large for float32": (
        FRAME.assign(count=np.float32(3e38)),
        ValueError,
        "'ann' and 'x' .* 6e.38, .* float32 .*: pass counts of float64",
    ),
    "too large for float64": ([("ann", "x", 10**400)], ValueError, "must hold numbers"),
    "a sum too large for float64": (
        FRAME.assign(count=1.5e308),
        ValueError,
        "'ann' and 'x' .* float64 .*: pass smaller counts",
    ),
    "no table": (42, TypeError, "Interactions must be a DataFrame, .* got int"),
    "lazy": (pl.LazyFrame({"user": [1]}), TypeError, "got LazyFrame"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_interactions_get_a_clear_error_and_change_nothing(case):
    interactions, error, message = BAD[case]
    mapper = IdMapper().fit([("eve", "z")])
    for method in (mapper.fit, mapper.fit_transform, mapper.transform):
        with pytest.raises(error, match=message):
            method(interactions)
    assert mapper.users_.tolist() == ["eve"]
    assert mapper.items_.tolist() == ["z"]


def test_a_bad_way_with_unknown_items_is_refused():
    with pytest.raises(ValueError, match="`unknown`='drop' must be one of 'ignore', 'error'"):
        IdMapper(unknown="drop").fit(LISTENS)


def test_rows_of_others_than_the_fitted_users_need_names():
    mapper = IdMapper().fit(LISTENS)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), expected \(2, 2\).* Pass `users`"):
        mapper.inverse_transform(np.ones((1, 2)))


def test_use_before_fit_is_an_error():
    for use in (
        lambda mapper: mapper.transform(LISTENS),
        lambda mapper: mapper.inverse_transform(np.eye(2)),
        lambda mapper: mapper.user_index(["ann"]),
        lambda mapper: mapper.item_ids([0]),
        lambda mapper: mapper.get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError):
            use(IdMapper())


def test_parameters_set_after_construction_win():
    mapper = clone(IdMapper()).set_params(user="uid")
    with pytest.raises(ValueError, match="no column 'uid'"):
        mapper.fit(FRAME)
