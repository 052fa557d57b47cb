"""Splits over time: which rows are learned from, which are hidden, and how a pipeline is scored.

Scores are means over users of the same lists, which float64 rounds in the last digit: pytest's 1e-6
is far from that, and far from what one item in another place changes.
"""

import datetime as dt

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    TimeWindowSplit,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
)
from shallow_ae.data.holdout import hold_out_window
from shallow_ae.evaluation import item_lists

# A user has a row at each third point of time: no window and no training part is without rows.
FRAMES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.integers(0, 60)), max_size=40
).map(lambda rows: rows + [("a", place % 4, 3 * place) for place in range(21)])
LENGTHS = st.one_of(st.none(), st.integers(3, 12), st.floats(3, 12))
SPLITS = st.builds(
    TimeWindowSplit,
    st.integers(1, 4),
    test_size=LENGTHS,
    max_train_size=LENGTHS,
    gap=st.one_of(st.none(), st.integers(1, 8), st.floats(0.1, 8)),
    new_users=st.sampled_from(["drop", "keep"]),
)


@given(FRAMES, SPLITS)
def test_training_comes_before_each_window_and_windows_share_no_row(rows, cv):
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    windows = cv.windows_of(frame)
    splits = list(cv.split(frame, windows))
    assert len(splits) == cv.n_splits == cv.get_n_splits()
    times, users, tested = frame["time"].to_numpy(), frame["user"].to_numpy(), []
    for place, (train, test) in enumerate(splits):
        window = windows.cat.categories[place]
        earliest = -np.inf if cv.max_train_size is None else cv.max_train_size
        known_until = window.left - (cv.gap or 0)
        assert (times[train] < known_until).all()
        is_train = times < known_until
        if cv.max_train_size is not None:
            is_train &= times >= known_until - earliest
        np.testing.assert_array_equal(train, np.flatnonzero(is_train))

        inside = test[windows.cat.codes[test] == place]
        tested.extend(inside)
        assert ((times[inside] >= window.left) & (times[inside] < window.right)).all()
        in_window = (times >= window.left) & (times < window.right)
        if cv.new_users == "drop":
            in_window &= np.isin(users, users[train])
        np.testing.assert_array_equal(inside, np.flatnonzero(in_window))

        history = np.setdiff1d(test, inside)
        theirs = np.isin(users[train], users[inside])
        np.testing.assert_array_equal(history, train[theirs])
    assert len(set(tested)) == len(tested)
    lengths = windows.cat.categories.right - windows.cat.categories.left
    np.testing.assert_allclose(lengths, lengths[0])
    if cv.test_size is not None:
        np.testing.assert_allclose(lengths, cv.test_size)
    assert windows.cat.categories.is_non_overlapping_monotonic
    latest = windows[times == times.max()]
    assert (latest.cat.codes == cv.n_splits - 1).all()


@given(FRAMES, SPLITS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, cv, random):
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    splits = list(cv.split(frame, cv.windows_of(frame)))
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order]
    again = cv.split(shuffled, cv.windows_of(shuffled))
    for parts, others in zip(splits, again, strict=True):
        for part, other in zip(parts, others, strict=True):
            assert sorted(np.take(order, other)) == part.tolist()


@given(FRAMES, SPLITS)
def test_rows_of_one_time_are_on_one_side(rows, cv):
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    windows = cv.windows_of(frame)
    splits = list(cv.split(frame, windows))
    assert (windows.cat.codes.groupby(frame["time"]).nunique() == 1).all()
    for train, _ in splits:
        rest = frame["time"].drop(index=train)
        assert not set(frame["time"][train]) & set(rest)


DAYS = pd.date_range("2025-01-01", "2025-12-31")


def days(n_users=12, n_items=20, seed=0):
    """Return one interaction a day of a year, with a column of times at midnight."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=len(DAYS)), rng.integers(n_items, size=len(DAYS))
    return pd.DataFrame({"user": users, "item": items, "time": DAYS})


def in_unit(unit):
    return lambda frame: frame.assign(time=frame["time"].astype(f"datetime64[{unit}]"))


KINDS = {
    "pandas ns": in_unit("ns"),
    "pandas s": in_unit("s"),
    "pandas with a zone": lambda frame: frame.assign(time=frame["time"].dt.tz_localize("UTC")),
    "objects": lambda frame: frame.assign(time=frame["time"].dt.date.astype(object)),
    "polars days": lambda frame: pl.from_pandas(frame).with_columns(pl.col("time").cast(pl.Date)),
    "polars ms": lambda frame: pl.from_pandas(frame).with_columns(
        pl.col("time").cast(pl.Datetime("ms"))
    ),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", ["30D", dt.timedelta(30), np.timedelta64(30, "D")])
def test_dates_of_every_kind_are_split_at_midnight(kind, length):
    frame = KINDS[kind](days())
    cv = TimeWindowSplit(3, test_size=length, max_train_size="60D", gap="1D", new_users="keep")
    windows = cv.windows_of(frame)
    starts = ["2025-10-03", "2025-11-02", "2025-12-02"]
    assert windows.cat.categories.left.tolist() == [pd.Timestamp(start) for start in starts]
    assert windows.cat.categories[-1].right == pd.Timestamp("2026-01-01")
    for start, (train, test) in zip(starts, cv.split(frame, windows), strict=True):
        first = DAYS.get_loc(start)
        assert train.tolist() == list(range(first - 61, first - 1))
        assert set(test) >= set(range(first, first + 30))


@pytest.mark.parametrize(
    ("last", "length", "end"),
    [
        ("2025-12-31 17:23:05", "30D", "2026-01-01"),
        ("2025-12-31 17:23:05", "12h", "2025-12-31 18:00"),
        ("2025-12-31 17:23:05", "36h", "2025-12-31 18:00"),
        ("2025-12-31 17:23:05", "90min", "2025-12-31 17:24"),
        ("2025-12-31 17:23:05", "90s", "2025-12-31 17:23:06"),
        ("2025-12-31 17:23:05", "1ms", "2025-12-31 17:23:05.000000001"),
        ("2025-12-31", "2D", "2026-01-01"),
    ],
)
def test_a_window_of_whole_units_ends_on_one(last, length, end):
    times = [pd.Timestamp("2025-01-01"), pd.Timestamp(last)]
    frame = pd.DataFrame({"user": [1, 1], "item": [1, 2], "time": times})
    window = TimeWindowSplit(1, test_size=length).windows_of(frame).cat.categories[0]
    assert window.right == pd.Timestamp(end)
    assert window.length == pd.Timedelta(length)


def test_without_a_length_the_time_is_divided():
    frame = days()
    windows = TimeWindowSplit(4).windows_of(frame)
    assert windows.value_counts(sort=False).tolist() == [72] * 4  # 364 days over five parts
    years = pd.DataFrame({"user": [1] * 6, "item": range(6), "time": range(2020, 2026)})
    assert TimeWindowSplit(2).windows_of(years).cat.categories.left.tolist() == [2022, 2024]
    shares = days().assign(time=np.linspace(0, 1, len(DAYS)))
    lengths = TimeWindowSplit(4).windows_of(shares).cat.categories.length
    np.testing.assert_allclose(lengths, 0.2)


def test_large_integers_stay_exact():
    start = 1_700_000_000_000_000_000
    frame = pd.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "time": [0, 9, 10]})
    frame["time"] += start
    window = TimeWindowSplit(1, test_size=1.0).windows_of(frame).cat.categories[0]
    assert (window.left, window.right) == (start + 10, start + 11)


LISTENS = pd.DataFrame(
    [
        ("ann", "Kashmir", 2019), ("ann", "Help!", 2019), ("bob", "Kashmir", 2019),
        ("bob", "Clocks", 2020), ("cleo", "Clocks", 2020), ("cleo", "Kashmir", 2020),
        ("ann", "Clocks", 2021), ("ann", "Kashmir", 2021), ("bob", "Kashmir", 2021),
        ("dan", "Help!", 2021), ("dan", "Kashmir", 2021),
    ],
    columns=["user", "item", "time"],
)  # fmt: skip


def rows_of(frame, rows):
    return nw.from_native(frame, eager_only=True)[rows.tolist()].to_native()


def remembering():
    """Return a metric, and the held-out items and the recommendations that it has seen."""
    seen = []

    def metric(y_true, y_rec, k):
        seen.append((y_true.toarray() > 0, y_rec))
        return ndcg_score(y_true, y_rec, k=k)

    return metric, seen


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.Table.from_pandas])
@pytest.mark.parametrize("new_users", ["drop", "keep"])
@pytest.mark.parametrize("with_counts", [False, True])
def test_new_items_of_the_window_are_hidden_and_new_users_get_popular_items(
    kind, new_users, with_counts
):
    listens = LISTENS.assign(count=2) if with_counts else LISTENS
    listens = kind(listens)
    cv = TimeWindowSplit(1, test_size=1, new_users=new_users)
    metric, seen = remembering()
    windows = cv.windows_of(listens)
    train, test = next(cv.split(listens, windows))
    recommender = make_recommender(ShallowAutoEncoder(0.1, solver="exact"))
    recommender.fit(rows_of(listens, train))
    scorer = make_ranking_scorer(metric, k=3)
    score = scorer(recommender, rows_of(listens, test), windows[test])
    ((hidden, ranked),) = seen
    # Columns are Kashmir, Help!, Clocks. Kashmir is not new to ann, and bob has no new item.
    assert hidden[0].tolist() == [0, 0, 1]
    assert ranked[0].tolist() == [2, -1, -1]  # seen items are not recommended
    assert hidden[1].tolist() == [0, 0, 0]
    if new_users == "drop":
        assert len(hidden) == 2
        assert score == pytest.approx(1)
    else:
        assert hidden[2].tolist() == [1, 1, 0]
        assert ranked[2].tolist() == [0, 2, 1]  # Kashmir has three users, Clocks two, Help! one
        dan = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
        assert score == pytest.approx((1 + dan) / 2)


def test_users_without_visible_rows_have_a_count_of_0_and_nothing_of_the_window():
    windows = TimeWindowSplit(1, test_size=1).windows_of(LISTENS)
    names = {"user": "user", "item": "item", "count": "count"}
    visible, hidden = hold_out_window(LISTENS, windows, **names)
    assert hidden["user"].tolist() == ["ann", "dan", "dan"]
    assert (visible["time"] < 2021).all()
    assert visible["count"].tolist() == [1] * 6 + [0]
    assert visible["user"].tolist()[-1] == "dan"


def test_a_window_with_new_users_alone_is_scored_by_popularity():
    listens = LISTENS[(LISTENS["time"] < 2021) | (LISTENS["user"] == "dan")]
    cv = TimeWindowSplit(1, test_size=1, new_users="keep")
    windows = cv.windows_of(listens)
    with pytest.raises(ValueError, match=r"No test rows in the window .*2021, 2022.*users with"):
        list(TimeWindowSplit(1, test_size=1).split(listens, windows))
    recommender = make_recommender(PopularityRecommender())
    with pytest.raises(ValueError, match="has 0 rows before the last window"):
        cross_val_score(recommender, listens, windows, cv=cv, error_score="raise")


@pytest.fixture(scope="module")
def listens():
    """Return 3,000 interactions of 60 users with 40 items over two years, some of them repeated."""
    rng = np.random.default_rng(0)
    taste = rng.integers(4, size=60)
    users = rng.integers(60, size=3000)
    own = 4 * rng.integers(10, size=3000) + taste[users]
    items = np.where(rng.random(3000) < 0.7, own, rng.integers(40, size=3000))
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(730 * 86400, size=3000), "s")
    return pd.DataFrame({"user": users, "item": items, "when": times})


def by_hand(recommender, listens, cut, end, k):
    """Return NDCG of one window, in the steps that a reader would write."""
    past = listens[listens["when"] < cut]
    future = listens[(listens["when"] >= cut) & (listens["when"] < end)]
    future = future[future["user"].isin(past["user"])]
    known = set(zip(past["user"], past["item"], strict=True))
    new = [pair not in known for pair in zip(future["user"], future["item"], strict=True)]
    recommender.fit(past)
    answer = recommender.recommend(past[past["user"].isin(future["user"])], k=k)
    return ndcg_score(item_lists(future[new]), item_lists(answer), k=k)


def test_a_search_is_the_loop_by_hand(listens):
    cv = TimeWindowSplit(3, test_size="60D", time="when")
    windows = cv.windows_of(listens)
    search = GridSearchCV(
        make_recommender(LogCountTransformer(), ShallowAutoEncoder(solver="exact")),
        {"shallowautoencoder__regularization": [0.3, 30.0]},
        scoring=make_ranking_scorer(k=10),
        cv=cv,
        error_score="raise",
    ).fit(listens, windows)
    for row, params in enumerate(search.cv_results_["params"]):
        for place, window in enumerate(windows.cat.categories):
            recommender = make_recommender(
                LogCountTransformer(), ShallowAutoEncoder(solver="exact")
            )
            recommender.set_params(**params)
            expected = by_hand(recommender, listens, window.left, window.right, 10)
            found = search.cv_results_[f"split{place}_test_score"][row]
            assert found == pytest.approx(expected)
    assert search.best_estimator_[-1].n_features_in_ == 40  # fitted to all rows


def test_the_pipeline_itself_scores_windows(listens):
    cv = TimeWindowSplit(2, test_size="60D", time="when", max_train_size="200D", gap="3D")
    windows = cv.windows_of(listens)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    alone = cross_val_score(recommender, listens, windows, cv=cv, error_score="raise")
    scoring = {"ndcg": make_ranking_scorer(), "recall": make_ranking_scorer("recall", k=5)}
    several = cross_validate(
        recommender, listens, windows, cv=cv, scoring=scoring, error_score="raise"
    )
    np.testing.assert_allclose(several["test_ndcg"], alone)
    search = RandomizedSearchCV(
        recommender,
        {"shallowautoencoder__regularization": [0.3, 1.0, 3.0]},
        n_iter=2,
        random_state=0,
        cv=cv,
        error_score="raise",
    ).fit(pl.from_pandas(listens), windows)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_val_score(recommender, listens, windows, cv=cv, error_score="raise")
    np.testing.assert_array_equal(routed, alone)


def test_a_pipeline_that_ends_in_a_search_is_scored(listens):
    cv = TimeWindowSplit(2, test_size="60D", time="when")
    windows = cv.windows_of(listens)
    search = make_recommender(ShallowAutoEncoderCV([0.3, 30.0], cv=2))
    scores = cross_val_score(search, listens, windows, cv=cv, error_score="raise")
    for score, (train, test) in zip(scores, cv.split(listens, windows), strict=True):
        best = search.fit(listens.iloc[train])[-1].best_params_
        recommender = make_recommender(ShallowAutoEncoder(solver="exact").set_params(**best))
        recommender.fit(listens.iloc[train])
        assert score == pytest.approx(recommender.score(listens.iloc[test], windows.iloc[test]))


def test_what_comes_after_the_window_changes_nothing(listens):
    cv = TimeWindowSplit(2, test_size="60D", time="when")
    windows = cv.windows_of(listens)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    expected = cross_val_score(recommender, listens, windows, cv=cv)[0]
    is_last = (windows.cat.codes == 1).to_numpy()
    items = np.where(is_last, listens["item"][::-1], listens["item"])
    other = cross_val_score(recommender, listens.assign(item=items), windows, cv=cv)[0]
    assert other == expected


def test_an_estimator_that_scores_by_another_way_is_refused(listens):
    cv = TimeWindowSplit(2, test_size="60D", time="when")
    windows = cv.windows_of(listens)
    steps = Pipeline(make_recommender(ShallowAutoEncoder(solver="exact")).steps)
    # scikit-learn's pipeline would hide items at random, from rows that it was fitted to.
    with pytest.raises(TypeError, match="`y` is the window of each interaction, and X is a users"):
        cross_val_score(steps, listens, windows, cv=cv, error_score="raise")
    scorer = make_ranking_scorer()
    found = cross_val_score(steps, listens, windows, cv=cv, scoring=scorer, error_score="raise")
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    expected = cross_val_score(recommender, listens, windows, cv=cv, scoring=scorer)
    np.testing.assert_array_equal(found, expected)
    X = IdMapper().fit_transform(listens)
    with pytest.raises(TypeError, match=r"TimeWindowSplit needs a DataFrame .*got csr_array"):
        ShallowAutoEncoderCV([1.0], cv=cv).fit(X)


def test_windows_that_are_missing_or_of_other_rows_are_refused(listens):
    cv = TimeWindowSplit(2, test_size="60D", time="when")
    windows = cv.windows_of(listens)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    with pytest.raises(ValueError, match=r"needs `y`.*search.fit\(X, cv.windows_of\(X\)\)"):
        cross_val_score(recommender, listens, cv=cv)
    others = (
        windows.sort_values(),
        windows[:-1],
        windows.astype(str),
        listens["when"],
        windows.to_numpy(),
        TimeWindowSplit(2, test_size="59D", time="when").windows_of(listens),
        windows.cat.as_unordered(),
    )
    for other in others:
        with pytest.raises(ValueError, match="`y` is not the result of `windows_of` for this `X`"):
            next(cv.split(listens, other))
    fitted = recommender.fit(listens)
    _, test = next(cv.split(listens, windows))
    with pytest.raises(ValueError, match=r"and X has [\d,]+ rows"):
        fitted.score(listens.iloc[test[:-1]], windows[test])
    with pytest.raises(ValueError, match="has 0 rows before the last window"):
        fitted.score(listens[windows.cat.codes == 1], windows[windows.cat.codes == 1])
    with pytest.raises(ValueError, match="has 3,000 rows before the last window and 0 in it"):
        fitted.score(listens, windows.where(windows.cat.codes > 5))
    with pytest.raises(TypeError, match="unordered categories and X is a DataFrame"):
        fitted.score(listens, windows.cat.as_unordered())
    with pytest.raises(TypeError, match="ordered categories and X is a list"):
        fitted.score(list(zip(listens["user"], listens["item"], strict=True)), windows)


@pytest.mark.parametrize("cv", [KFold(5, shuffle=True, random_state=0), 5, GroupKFold(5)])
def test_other_splits_of_windows_are_refused(listens, cv):
    windows = TimeWindowSplit(2, test_size="60D", time="when").windows_of(listens)
    recommender = make_recommender(ShallowAutoEncoder(solver="exact"))
    message = r"rows of the window \[2025-11-01.*Pass as `cv` the TimeWindowSplit"
    groups = listens["user"] if isinstance(cv, GroupKFold) else None
    with pytest.raises(ValueError, match=message):
        cross_val_score(recommender, listens, windows, cv=cv, groups=groups, error_score="raise")


def test_repeats_alone_are_nothing_to_measure():
    rows = [("ann", 1, 2019), ("bob", 2, 2019), ("bob", 1, 2019), ("ann", 1, 2020)]
    frame = pd.DataFrame(rows, columns=["user", "item", "time"])
    cv = TimeWindowSplit(1, test_size=1)
    recommender = make_recommender(PopularityRecommender())
    with pytest.raises(ValueError, match=r"Nothing to measure: .*new items"):
        cross_val_score(recommender, frame, cv.windows_of(frame), cv=cv, error_score="raise")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_splits": 0}, ValueError, "`n_splits`=0 must be an integer >= 1"),
        ({"n_splits": 2.5}, TypeError, "`n_splits`=2.5 must be an integer"),
        ({"new_users": "popular"}, ValueError, "`new_users`='popular' must be one of 'drop'"),
        ({"test_size": 30}, TypeError, '`test_size`=30 has no unit.*such as "30D"'),
        ({"test_size": "0D"}, ValueError, "`test_size`='0D' must be a length of time > 0"),
        ({"gap": -dt.timedelta(1)}, ValueError, "`gap`=.* must be a length of time > 0"),
        ({"max_train_size": "soon"}, ValueError, "`max_train_size`='soon' is not a length"),
        ({"time": "when"}, ValueError, "no column 'when'"),
        ({"user": "listener"}, ValueError, "no column 'listener'"),
        (
            {"test_size": "90D"},
            ValueError,
            r"No row is before the first window: `n_splits`=5 .*`test_size`='90D' and `gap`=None "
            r".*from 2025-01-01 00:00:00 to 2025-12-31 00:00:00\. Choose fewer",
        ),
        ({"n_splits": 1, "test_size": "30D", "gap": "335D"}, ValueError, "`gap`='335D' reach"),
        ({"n_splits": 1, "test_size": "1ns", "max_train_size": "1ns"}, ValueError, "No training"),
    ],
)
def test_bad_settings_are_refused(arguments, error, message):
    cv = TimeWindowSplit(**arguments)
    with pytest.raises(error, match=message):
        list(cv.split(days(), cv.windows_of(days())))


@pytest.mark.parametrize("frame", [pd.DataFrame({"user": [], "item": [], "time": []}), days()[:1]])
def test_too_few_rows_are_refused(frame):
    with pytest.raises(ValueError, match=r"0 rows, expected rows before|No row is before"):
        TimeWindowSplit(2).windows_of(frame)


def test_a_lazy_frame_or_an_array_is_refused():
    with pytest.raises(TypeError, match=r"got LazyFrame: call its `collect\(\)`"):
        TimeWindowSplit().windows_of(pl.from_pandas(days()).lazy())
    with pytest.raises(TypeError, match=r"needs a DataFrame .*got ndarray"):
        TimeWindowSplit().windows_of(days().to_numpy())


def test_a_splitter_is_a_value():
    cv = TimeWindowSplit(3, test_size="30D")
    assert cv == TimeWindowSplit(3, test_size="30D")
    assert repr(cv).startswith("TimeWindowSplit(n_splits=3, test_size='30D', max_train_size=None")
