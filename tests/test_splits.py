"""Hiding some of each user's items, what has happened since, or users whole."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shallow_ae import hold_out_after, hold_out_items, hold_out_users


@given(
    X=arrays(np.float32, (6, 9), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])),
    holdout=st.sampled_from([0.01, 0.2, 0.5, 1.0]),
    layout=st.sampled_from([np.asarray, sp.csr_array, sp.csc_matrix]),
)
def test_visible_and_hidden_part_the_interactions(X, holdout, layout):
    visible, hidden = hold_out_items(layout(X), holdout, random_state=0)
    np.testing.assert_array_equal((visible + hidden).toarray(), X)
    assert not visible.multiply(hidden).nnz
    assert visible.nnz + hidden.nnz == np.count_nonzero(X)
    per_user = np.count_nonzero(X, axis=1)
    n_hidden = np.clip(np.rint(holdout * per_user), 1, np.maximum(per_user - 1, 0))
    np.testing.assert_array_equal(hidden.count_nonzero(axis=1), np.where(per_user < 2, 0, n_hidden))


def test_a_seed_gives_the_same_split_and_another_another():
    X = np.ones((20, 30))
    first, again, other = (hold_out_items(X, random_state=s)[1].toarray() for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_every_item_is_as_likely_to_be_hidden():
    _, hidden = hold_out_items(np.ones((4000, 10)), 0.2, random_state=0)
    share = hidden.toarray().mean(axis=0)
    # Four standard deviations of a mean of 4000 draws with probability 0.2, of one seed.
    np.testing.assert_allclose(share, 0.2, atol=4 * np.sqrt(0.2 * 0.8 / 4000))


@pytest.mark.parametrize("holdout", [0, 1.5, -1, np.nan])
def test_a_fraction_out_of_range_is_refused(holdout):
    with pytest.raises(
        ValueError, match=r"`holdout`=.* must be an? (integer >= 1|finite number > 0 and <= 1)"
    ):
        hold_out_items(np.ones((2, 2)), holdout)


@given(
    X=arrays(np.float32, (6, 9), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])),
    holdout=st.sampled_from([1, 2, 5]),
)
def test_a_number_of_items_is_hidden_where_users_have_more(X, holdout):
    _, hidden = hold_out_items(X, holdout, random_state=0)
    per_user = np.count_nonzero(X, axis=1)
    expected = np.minimum(holdout, np.maximum(per_user - 1, 0))
    np.testing.assert_array_equal(hidden.count_nonzero(axis=1), expected)


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=30
)


def pairs(frame):
    return set(zip(frame["user"], frame["item"], strict=True))


@given(ROWS, st.sampled_from([0.2, 0.5, 1.0, 1, 3]), st.sampled_from([None, "time"]))
def test_frames_are_split_by_item_and_nobody_loses_all(rows, holdout, time):
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    before = frame.copy()
    visible, hidden = hold_out_items(frame, holdout, time=time, random_state=0)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(pd.concat([visible, hidden]).sort_index(), frame)
    assert not pairs(visible) & pairs(hidden)
    assert set(visible["user"]) == set(frame["user"])
    for user, own in frame.groupby("user")["item"].nunique().items():
        n_hidden = hidden.loc[hidden["user"] == user, "item"].nunique()
        wanted = holdout if isinstance(holdout, int) else max(1, np.rint(holdout * own))
        assert n_hidden == min(wanted, own - 1)
    if time is not None:
        first = frame.groupby(["user", "item"])["time"].min()
        for user in set(hidden["user"]):
            met = {item: first[user, item] for item in frame.loc[frame["user"] == user, "item"]}
            theirs = set(hidden.loc[hidden["user"] == user, "item"])
            assert min(met[i] for i in theirs) >= max(met[i] for i in set(met) - theirs)


@given(ROWS, st.integers(1, 9))
def test_a_split_by_time_has_a_past_and_new_items_to_find(rows, start):
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    if not (frame["time"] < start).any() or (frame["time"] < start).all():
        with pytest.raises(
            ValueError, match="leaves no rows before it or no rows after it: the times"
        ):
            hold_out_after(frame, start)
        return
    past = frame[frame["time"] < start]
    first = frame.sort_values("time", kind="stable").drop_duplicates("user")
    if pairs(frame) == pairs(past) | pairs(first):
        with pytest.raises(ValueError, match="Nothing is hidden: from"):
            hold_out_after(frame, start)
        return
    visible, hidden = hold_out_after(frame, start)
    assert (hidden["time"] >= start).all()
    assert not pairs(visible) & pairs(hidden)
    late = visible[visible["time"] >= start]  # the first of users who have come since
    assert not set(late["user"]) & set(frame.loc[frame["time"] < start, "user"])
    assert late["user"].is_unique
    assert set(visible["user"]) == set(frame["user"])
    assert pairs(visible) | pairs(hidden) == pairs(frame)


@pytest.mark.parametrize("kind", ["matrix", "frame"])
def test_users_are_held_out_whole(kind):
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.poisson(0.3, (50, 12)))
    if kind == "frame":
        users, items = X.nonzero()
        frame = pd.DataFrame({"user": users, "item": items})
        parts = hold_out_users(frame, 0.3, 2, random_state=0)
        train, fold_in, target = (set(part["user"]) for part in parts)
        assert sum(map(len, parts)) == len(frame)
        assert not train & fold_in
        assert target == fold_in
        assert len(fold_in) == round(0.3 * len(set(users)))
        assert not pairs(parts[1]) & pairs(parts[2])
        return
    train, fold_in, target = hold_out_users(X, 15, 2, random_state=0)
    assert train.shape == (35, 12)
    assert fold_in.shape == target.shape == (15, 12)
    assert (target.count_nonzero(axis=1) >= 1).all()
    assert not fold_in.multiply(target).nnz
    rows = {tuple(row) for row in X.toarray()}
    assert {tuple(row) for row in train.toarray()} <= rows
    assert {tuple(row) for row in (fold_in + target).toarray()} <= rows
    assert train.sum() + fold_in.sum() + target.sum() == X.sum()
    again = hold_out_users(X, 15, 2, random_state=0)
    np.testing.assert_array_equal(again[2].toarray(), target.toarray())


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"user": [1, 1, 1, 2], "item": [5, 6, 7, 5], "time": [3, 1, 2, 1]}),
        pa.table({"user": [1, 1, 1, 2], "item": [5, 6, 7, 5], "time": [3, 1, 2, 1]}),
    ],
    ids=["polars", "pyarrow"],
)
def test_other_frames_come_back_as_such(frame):
    for parts in (
        hold_out_items(frame, 1, time="time"),
        hold_out_after(frame, 3),
        hold_out_users(frame, 1, 1, random_state=0),
    ):
        assert all(type(part) is type(frame) for part in parts)
    _, hidden = hold_out_items(frame, 1, time="time")
    assert list(hidden["item"].to_numpy()) == [5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: hold_out_items(f, item="song"), "The frame has no column 'song'"),
        (lambda f: hold_out_items(f, time="when"), "The frame has no column 'when', only"),
        (lambda _: hold_out_items(np.ones((2, 2)), time="when"), "a matrix has no times"),
        (lambda f: hold_out_after(f.assign(time=[1, None]), 1), "'time' holds missing values"),
        (lambda f: hold_out_users(f, 2), "would hold out 2 of 2 users, of whom 0 have two items"),
        (lambda _: hold_out_users(np.ones((2, 2)), 1.0), "`users`=1.0 must be a finite number > 0"),
        (lambda _: hold_out_users(np.ones((2, 2)), 2), "choose fewer"),
    ],
)
def test_what_cannot_be_split_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(pd.DataFrame({"user": ["a", "b"], "item": ["x", "x"], "time": [1, 2]}))


def test_what_was_met_no_times_is_not_hidden():
    rows = [("a", 1, 2), ("a", 2, 0), ("a", 3, 0), ("b", 1, 1), ("b", 2, 0)]
    frame = pd.DataFrame(rows, columns=["user", "item", "count"])
    visible, hidden = hold_out_items(frame, 1, random_state=0)
    assert hidden.empty
    assert len(visible) == 5
    listed = hold_out_items([*rows, ("b", 4, 1)], 1, random_state=0)
    assert len(listed[1]) == 1
    assert listed[1][0] in [("b", 1, 1), ("b", 4, 1)]


def test_a_row_with_a_count_of_0_is_no_first_interaction():
    rows = [("ann", "Clocks", 0, 1), ("ann", "Kashmir", 1, 3), ("ann", "Clocks", 1, 5)]
    frame = pd.DataFrame(rows, columns=["user", "item", "count", "day"])
    for part in (frame, frame[frame["count"] > 0]):
        assert set(hold_out_items(part, 1, time="day")[1]["item"]) == {"Clocks"}


def test_a_row_with_a_count_of_0_is_not_hidden_with_its_item():
    rows = [("ann", "a", 1), ("ann", "a", 0), ("ann", "b", 1), ("ann", "b", 0)]
    visible, hidden = hold_out_items(
        pd.DataFrame(rows, columns=["user", "item", "count"]), 1, random_state=0
    )
    assert hidden["count"].tolist() == [1]
    assert sorted(visible["count"]) == [0, 0, 1]


def test_what_was_met_no_times_decides_nothing():
    rows = [("a", 1, 1), ("a", 2, 0), ("b", 1, 1), ("b", 2, 1), ("c", 1, 1), ("c", 2, 0)]
    plays = pd.DataFrame(rows, columns=["user", "item", "plays"])
    for seed in range(5):  # b alone has two items
        train, fold_in, target = hold_out_users(plays, 1, 1, count="plays", random_state=seed)
        assert set(train["user"]) == {"a", "c"}
        assert list(fold_in["user"]) == list(target["user"]) == ["b"]
    with pytest.raises(ValueError, match="of whom 1 have two items"):
        hold_out_users(plays, 2, 1, count="plays")
    rows = [("a", 1, 0, 1), ("a", 2, 1, 5), ("a", 3, 1, 6), ("b", 1, 1, 1), ("b", 3, 0, 6)]
    plays = pd.DataFrame(rows, columns=["user", "item", "plays", "time"])
    visible, hidden = hold_out_after(plays, 4, count="plays")
    assert visible.index.tolist() == [0, 1, 3]  # the first that a has met is still there
    assert hidden.index.tolist() == [2]


@pytest.mark.parametrize("kind", ["datetimes", "zoned", "dates", "pandas", "zoned pandas"])
@pytest.mark.parametrize("start", ["2021-02-01", "2021-02", "2021-01-31 12:00"])
def test_a_moment_may_be_a_text(kind, start):
    texts = ["2020-05-01", "2021-01-31", "2021-02-01", "2021-03-01"]
    listens = pl.DataFrame({"user": ["a"] * 4, "item": [1, 2, 3, 4], "time": texts})
    listens = listens.with_columns(pl.col("time").str.to_date())
    if kind in ("datetimes", "zoned", "zoned pandas", "pandas"):
        listens = listens.with_columns(pl.col("time").cast(pl.Datetime))
    if "zoned" in kind:
        zone = "Europe/Paris"
        listens = listens.with_columns(pl.col("time").dt.replace_time_zone(zone))
    if "pandas" in kind:
        listens = listens.to_pandas()
    visible, hidden = hold_out_after(listens, start)
    assert (list(visible["item"]), list(hidden["item"])) == ([1, 2], [3, 4])


def test_a_text_that_is_no_date_is_refused():
    listens = pl.DataFrame({"user": ["a", "a"], "item": [1, 2], "time": [1, 2]})
    listens = listens.with_columns(pl.col("time").cast(pl.Date))
    with pytest.raises(
        ValueError, match="`start`='soon' is not a date, and column 'time' has Date"
    ):
        hold_out_after(listens, "soon")


def test_a_lazy_frame_is_refused():
    lazy = pl.DataFrame({"user": ["a", "a"], "item": [1, 2]}).lazy()
    for split in (hold_out_items, hold_out_users, lambda given: hold_out_after(given, 1)):
        with pytest.raises(TypeError, match=r"got LazyFrame: call its `collect\(\)`"):
            split(lazy)


def test_times_that_are_not_known_are_refused():
    frame = pl.DataFrame({"user": [1, 1], "item": [1, 2], "time": [1.0, float("nan")]})
    with pytest.raises(ValueError, match="'time' holds missing values"):
        hold_out_items(frame, time="time")


@pytest.mark.parametrize(
    "times",
    [["12/31/2020", "1/2/2021"], ["9", "10"], pd.Categorical(["low", "high"], ["low", "high"])],
)
def test_text_is_no_time(times):
    frame = pd.DataFrame({"user": [1, 1], "item": [1, 2], "time": times})
    for call in (lambda: hold_out_items(frame, 1, time="time"), lambda: hold_out_after(frame, "5")):
        with pytest.raises(ValueError, match="'time' must hold dates or numbers"):
            call()


def test_columns_may_be_named_by_numbers():
    rows = [("a", "x", 1.0, 1), ("a", "y", 2.0, 2), ("b", "y", 3.0, 3), ("b", "z", 1.0, 4)]
    named = pd.DataFrame(rows, columns=["user", "item", "count", "time"])
    numbered, names = pd.DataFrame(rows), {"user": 0, "item": 1, "count": 2}
    for found, expected in (
        (hold_out_items(numbered, 1, time=3, **names), hold_out_items(named, 1, time="time")),
        (hold_out_after(numbered, 2, time=3, **names), hold_out_after(named, 2)),
        (
            hold_out_users(numbered, 1, 1, random_state=0, **names),
            hold_out_users(named, 1, 1, random_state=0),
        ),
    ):
        for part, wanted in zip(found, expected, strict=True):
            assert part.to_numpy().tolist() == wanted.to_numpy().tolist()


@pytest.mark.parametrize(
    ("times", "start"),
    [
        (pd.to_datetime(["2021-01-01", "2022-01-01"]), "nonsense"),
        (pd.to_datetime(["2021-01-01", "2022-01-01"]), 7),
        (pd.to_datetime(["2021-01-01", "2022-01-01"]).tz_localize("UTC"), pd.Timestamp("2021-06")),
        ([1, 2], "2021"),
    ],
)
def test_a_start_that_is_no_such_time_is_refused(times, start):
    frame = pd.DataFrame({"user": [1, 1], "item": [1, 2], "time": times})
    with pytest.raises(ValueError, match=r"`start`=.* cannot be compared with column 'time'"):
        hold_out_after(frame, start)
