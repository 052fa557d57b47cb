"""Updates of pipelines: each equals a fit to all interactions so far."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from updates import assert_same, learner, weights_by_id

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    hold_out_items,
    make_recommender,
)
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._solvers import costs
from shallow_ae.models import autoencoder_updates

EXACT = ShallowAutoEncoder(0.3, solver="exact")
NEAREST = SparseShallowAutoEncoder(0.3, n_neighbors=5)
MODELS = {
    "exact": EXACT,
    "nearest": NEAREST,
    "exact, auto": ShallowAutoEncoder("auto", solver="exact"),
    "nearest, auto": SparseShallowAutoEncoder("auto", n_neighbors=5),
    "low rank": LowRankAutoEncoder(3, random_state=0),
    "sum": BlendedRecommender([("near", NEAREST), ("tastes", LowRankAutoEncoder(2))]),
}


def events_of(n_users, n_items, n_events, seed=0, first_user=0, first_item=0):
    """Return made-up events with float64 counts."""
    rng = np.random.default_rng(seed)
    users = first_user + rng.integers(n_users, size=n_events)
    items = first_item + (n_items * rng.random(n_events) ** 2).astype(int)
    names = {"user": [f"u{n}" for n in users], "item": [f"s{n}" for n in items]}
    return pd.DataFrame(names | {"count": rng.integers(1, 4, n_events) * 0.5})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("between", [(), (LogCountTransformer(),), (TfidfTransformer(),)])
def test_three_days(name, between):
    first = events_of(30, 9, 300, seed=1)
    second = pd.concat(
        [
            events_of(30, 9, 20, seed=2),  # new plays of known users
            events_of(5, 9, 20, seed=3, first_user=30),  # new users
            events_of(35, 3, 25, seed=4, first_item=9),  # new items
        ]
    ).sample(frac=1, random_state=0)
    recommender = learner(MODELS[name], *between).fit(first)
    assert_same(recommender, first)
    recommender = pickle.loads(pickle.dumps(recommender)).partial_fit(second)
    both = pd.concat([first, second])
    assert {"s9", "s10"} <= set(recommender[0].items_)
    assert_same(recommender, both)
    gone = ["u4", "u31"]
    recommender = pickle.loads(pickle.dumps(recommender)).forget(users=gone)
    assert_same(recommender, both[~both["user"].isin(gone)])


def events():
    one = st.tuples(
        st.sampled_from(["ann", "bob", "cleo", "dan", "eve"]),
        st.sampled_from(["Help!", "Clocks", "Yellow", "Kashmir"]),
        st.sampled_from([0.5, 1.0, 2.0]),
    )
    return st.lists(one, min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["exact", "nearest"])
@given(data=st.data())
def test_any_events_in_any_order(name, data):
    left = [("ann", "Help!", 1.0), ("bob", "Clocks", 1.0), ("bob", "Help!", 2.0)]
    recommender = learner(MODELS[name], LogCountTransformer()).fit(left)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["learn", "forget users", "forget events"]))
        if kind == "learn":
            added = data.draw(events())
            left = left + added
            recommender.partial_fit(added)
        elif kind == "forget users":
            users = sorted({user for user, _, _ in left})
            gone = data.draw(st.lists(st.sampled_from(users), max_size=len(users) - 1, unique=True))
            left = [event for event in left if event[0] not in gone]
            recommender.forget(users=gone)
        else:
            rows = data.draw(st.sets(st.integers(0, len(left) - 1), max_size=len(left) - 1))
            gone = data.draw(st.permutations([left[row] for row in sorted(rows)]))
            if gone:
                recommender.forget(gone)
            for event in gone:  # the last of equal events
                del left[len(left) - 1 - left[::-1].index(event)]
        if data.draw(st.booleans()):
            recommender = pickle.loads(pickle.dumps(recommender))
    assert_same(recommender, left)


@pytest.mark.parametrize("model", [EXACT, NEAREST], ids=["exact", "nearest"])
def test_a_kept_gram_matrix_is_updated_and_rows_are_fitted_again(model, monkeypatch):
    first, second = events_of(200, 6, 3000, seed=1), events_of(8, 8, 30, seed=2)
    model = clone(model).set_params(regularization="auto")
    recommender = learner(model, LogCountTransformer()).fit(first)
    is_gram = isinstance(recommender[-1]._fitted.training_data, TrainingGram)
    fits = []
    fit = type(model).fit
    monkeypatch.setattr(type(model), "fit", lambda *args, **kw: fits.append(1) or fit(*args, **kw))
    recommender.partial_fit(second)
    recommender.forget(users=["u3"])
    recommender.forget(second[second["user"] != "u3"].iloc[:4])
    assert is_gram == isinstance(model, ShallowAutoEncoder)
    assert len(fits) == (0 if is_gram else 3)
    monkeypatch.undo()
    left = pd.concat([first, second])
    left = list(left[left["user"] != "u3"].itertuples(index=False, name=None))
    for event in second[second["user"] != "u3"].iloc[:4].itertuples(index=False, name=None):
        del left[len(left) - 1 - left[::-1].index(event)]  # the last of equal events
    assert_same(recommender, left)


def test_rounding_that_loses_digits_leads_to_a_fit():
    first = events_of(100, 5, 1500, seed=1).assign(count=0.3)
    huge = pd.DataFrame({"user": "huge", "item": ["s0", "s1"], "count": [1e6, 1e6]})
    model = ShallowAutoEncoder(1e4, solver="exact")
    recommender = learner(model).fit(pd.concat([first, huge]))
    assert isinstance(recommender[-1]._fitted.training_data, TrainingGram)
    recommender.forget(users=["huge"])
    expected = learner(model).fit(first)
    np.testing.assert_array_equal(weights_by_id(recommender), weights_by_id(expected))


def test_an_item_without_users_has_no_weights():
    first = events_of(100, 5, 1500, seed=1).assign(count=0.1)
    gone = [f"gone{n}" for n in range(40)]
    counts = np.random.default_rng(0).random(40)
    odd = pd.DataFrame({"user": gone, "item": "odd", "count": counts})
    seen = pd.DataFrame({"user": ["u1"], "item": ["odd"], "count": [0.0]})
    recommender = learner(EXACT).fit(pd.concat([first, odd[:20], seen])).partial_fit(odd[20:])
    recommender.forget(users=gone)  # sums of two parts, of which their common sum is subtracted
    weights = weights_by_id(recommender)
    assert (weights["odd"] == 0).all()
    assert (weights.loc["odd"] == 0).all()


def test_gradient_descent_continues_with_new_items_and_forgets_by_a_fit():
    first, second = events_of(60, 9, 900, seed=1), events_of(80, 12, 400, seed=2)
    model = ShallowAutoEncoder(max_iter=30, random_state=0)
    recommender = learner(model, LogCountTransformer()).fit(first)
    before = weights_by_id(recommender)
    recommender.partial_fit(second)
    both, after = pd.concat([first, second]), weights_by_id(recommender)
    assert recommender[-1].n_samples_seen_ == both["user"].nunique()
    whole = learner(model, LogCountTransformer()).fit(both)
    np.testing.assert_array_equal(recommender[-1].item_counts_, whole[-1].item_counts_)
    new = sorted(set(after) - set(before))
    assert new
    assert (after.loc[new] != 0).any(axis=None)
    moved = np.abs(after.loc[before.index, before.columns] - before)
    assert 0 < moved.max(axis=None) < np.abs(before).max(axis=None)
    recommender.forget(users=["u2", "u70"])
    assert_same(recommender, both[~both["user"].isin(["u2", "u70"])])


@pytest.mark.parametrize("chosen", ["sgd", "exact"])
def test_an_automatic_solver_goes_on(chosen, monkeypatch):
    first, second = events_of(200, 6, 3000, seed=1), events_of(8, 8, 30, seed=2)
    monkeypatch.setattr(autoencoder_updates, "quicker_solver", lambda *_: chosen)
    model = ShallowAutoEncoder("auto", solver="auto", max_iter=5, random_state=0)
    recommender = learner(model).fit(first)
    assert recommender[-1].solver_ == chosen
    n_steps = recommender[-1].n_iter_
    recommender.partial_fit(second)
    assert recommender[-1].solver_ == chosen
    if chosen == "sgd":
        assert recommender[-1].n_iter_ == n_steps + 1
    else:
        assert_same(recommender, pd.concat([first, second]))


def test_a_warm_start_does_not_keep_what_is_forgotten():
    first = events_of(30, 6, 300)
    model = ShallowAutoEncoder(max_iter=5, warm_start=True, random_state=0)
    recommender = learner(model).fit(first).forget(users=["u1"])
    assert_same(recommender, first[first["user"] != "u1"])


def test_popularity_learns_on():
    first, second = events_of(30, 6, 100, seed=1), events_of(40, 8, 30, seed=2)
    recommender = learner(PopularityRecommender()).fit(first).partial_fit(second)
    expected = learner(PopularityRecommender()).fit(pd.concat([first, second]))
    np.testing.assert_array_equal(recommender[-1].item_counts_, expected[-1].item_counts_)


def test_with_decay_later_interactions_move_the_reference():
    first, second = events_of(40, 6, 500, seed=1), events_of(44, 7, 60, seed=2)
    first["year"] = 2020 + np.linspace(0, 3, 500)
    second["year"] = 2024 + np.linspace(0, 1, 60)
    recommender = learner(EXACT, LogCountTransformer(), time="year", half_life=0.5).fit(first)
    assert_same(recommender.partial_fit(second), pd.concat([first, second]))
    recommender.forget(users=["u3"]).forget(second[second["user"] != "u3"].iloc[-3:])
    left = pd.concat([first, second])
    left = left[left["user"] != "u3"].iloc[:-3]
    assert_same(recommender, left)


def test_steps_that_look_at_all_rows_are_fitted_again():
    first, second = events_of(40, 6, 500, seed=1), events_of(44, 7, 60, seed=2)
    recommender = learner(EXACT, LogCountTransformer(), Normalizer()).fit(first)
    recommender[2].set_params(norm="max")
    recommender.partial_fit(second)
    assert_same(recommender, pd.concat([first, second]))


def test_without_an_earlier_fit_it_is_a_fit():
    first = events_of(10, 4, 50)
    assert_same(learner(EXACT).partial_fit(first), first)


# What is kept


def test_nothing_is_kept_unless_asked(tmp_path):
    recommender = make_recommender(EXACT).fit(events_of(10, 4, 50))
    assert "_kept" not in vars(recommender)
    for call in (
        lambda: recommender.partial_fit([("ann", "s1")]),
        lambda: recommender.forget(users=["u1"]),
        lambda: recommender.recommend(users=["u1"]),
        lambda: make_recommender(EXACT).partial_fit([("ann", "s1")]),
    ):
        with pytest.raises(ValueError, match="`keep_interactions`=True before `fit`"):
            call()
    recommender.set_params(keep_interactions=True)
    with pytest.raises(ValueError, match="fitted before `keep_interactions` was set"):
        recommender.partial_fit([("ann", "s1")])


def test_plan_counts_what_is_kept():
    first = events_of(40, 6, 500)
    with_it, without = learner(EXACT), make_recommender(EXACT)
    costs, fewer = with_it.plan(first), without.plan(first)
    kept = with_it.fit(first)._kept
    n_bytes = sum(own.nbytes for own in kept if isinstance(own, np.ndarray))
    assert n_bytes == 16 * len(first)
    for solver in ("sgd", "exact"):
        assert costs[solver].kept_bytes - fewer[solver].kept_bytes == n_bytes
        assert costs[solver].bytes - fewer[solver].bytes == n_bytes


def test_ids_and_interactions_of_forgotten_users_are_gone():
    first = events_of(30, 6, 200)
    own = pd.DataFrame({"user": "secret listener", "item": ["secret song", "s1"], "count": 1.0})
    recommender = learner(EXACT, LogCountTransformer()).fit(pd.concat([first, own]))
    assert b"secret" in pickle.dumps(recommender)
    recommender.forget(users=["secret listener"])
    assert b"secret" not in pickle.dumps(recommender)


@pytest.mark.parametrize(
    ("forget", "message"),
    [
        ({"users": ["u1", "nobody"]}, "1 of 2 users are not among the kept .* 'nobody'"),
        ({"X": [("u1", "s1", 77.0)]}, "of 'u1' and 's1' with a count of 77"),
        ({"X": [("nobody", "s1", 1.0)]}, "of 'nobody' and 's1'"),
        ({"users": [f"u{n}" for n in range(10)]}, "Nobody would be left"),
        ({"users": "u1"}, "must be a list of users' ids"),
        ({}, "Pass either interactions or `users`"),
    ],
)
def test_an_error_changes_nothing(forget, message):
    recommender = learner(EXACT).fit(events_of(10, 4, 80))
    before = pickle.dumps(recommender)
    with pytest.raises((ValueError, TypeError), match=message):
        recommender.forget(**forget)
    assert pickle.dumps(recommender) == before


def test_an_event_is_taken_back_once():
    listens = [("ann", "Help!"), ("bob", "Help!"), ("ann", "Help!"), ("bob", "Clocks")]
    recommender = learner(EXACT).fit(listens)
    with pytest.raises(ValueError, match=r"1 of 3 interactions .* given more often"):
        recommender.forget([("ann", "Help!")] * 3)
    recommender.forget([("ann", "Help!")])
    assert_same(recommender, listens[:2] + listens[3:])
    recommender.forget([("ann", "Help!")])
    assert list(recommender[0].users_) == ["bob"]


# Asking for people


def test_users_are_asked_for_by_their_ids():
    first = events_of(20, 8, 120)
    recommender = learner(EXACT, LogCountTransformer()).fit(first)
    whole = recommender.recommend(first, k=3)
    asked = ["u7", "u2", "u11"]
    answer = recommender.recommend(users=asked, k=3)
    expected = pd.concat([whole[whole["user"] == user] for user in asked], ignore_index=True)
    pd.testing.assert_frame_equal(answer, expected)
    given = recommender.recommend(first, users=asked, k=3)
    pd.testing.assert_frame_equal(given, expected)
    pd.testing.assert_frame_equal(recommender.recommend(k=3), whole)


def test_a_user_without_history_gets_popularity():
    first = events_of(20, 8, 120)
    recommender = learner(EXACT, LogCountTransformer()).fit(first)
    answer = recommender.recommend(users=["zoe", "u2"], k=3)
    by_user = answer.groupby("user", sort=False)["by_popularity"].all()
    assert by_user.to_dict() == {"zoe": True, "u2": False}
    best = recommender[0].items_[np.argsort(-recommender[-1].item_counts_, kind="stable")[:3]]
    assert list(answer[answer["user"] == "zoe"]["item"]) == list(best)
    assert set(recommender.recommend(users=["zoe", "u2"], no_history="omit")["user"]) == {"u2"}
    alone = make_recommender(EXACT).fit(first).recommend(first, users=["zoe"], k=3)
    assert list(alone["item"]) == list(best)
    with pytest.raises(TypeError, match="list of users' ids"):
        recommender.recommend(users="ann")


def test_all_kept_users_are_answered_and_explained(tmp_path):
    first = events_of(20, 8, 120)
    recommender = learner(EXACT, LogCountTransformer()).fit(first)
    whole = recommender.recommend(first, k=3)
    frames = recommender.recommend_batches(None, k=3, batch_size=7)
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole)
    written = recommender.write_recommendations(None, tmp_path / "answers", k=3)
    assert len(pd.read_parquet(written)) == len(whole)
    some = whole.head(4)
    expected = recommender.explain(first, some)
    pd.testing.assert_frame_equal(recommender.explain(None, some), expected)
    assert recommender.explain(None, some.head(0)).empty
    with pytest.raises(ValueError, match="`keep_interactions`=True"):
        make_recommender(EXACT).fit(first).recommend_batches(None)


# Weights of users


@pytest.mark.parametrize("model", [EXACT, NEAREST], ids=["exact", "nearest"])
def test_weights_by_user(model):
    first, second = events_of(20, 6, 120, seed=1), events_of(26, 7, 40, seed=2)
    weights = {f"u{n}": 1.0 + n % 3 for n in range(26)}
    known = pd.Series(weights)[first["user"].unique()].sample(frac=1, random_state=0)
    recommender = learner(model, LogCountTransformer()).fit(first, sample_weight=known)
    in_order = known[recommender[0].users_].to_numpy()
    plain = make_recommender(LogCountTransformer(), model)
    plain.fit(first, sample_weight=in_order)
    np.testing.assert_array_equal(weights_by_id(recommender), weights_by_id(plain))
    recommender.partial_fit(second, sample_weight=weights)
    assert_same(recommender, pd.concat([first, second]), sample_weight=weights)
    left = pd.concat([first, second])
    for gone in (["u3", "u9"], ["u4"]):
        recommender.forget(users=gone)
        left = left[~left["user"].isin(gone)]
        assert_same(recommender, left, sample_weight=weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"u0": 1.0}, "no weight for .* users"),
        (pd.Series(1.0, index=["u0", "u0"]), "several weights for 'u0'"),
        (pd.Series(-1.0, index=[f"u{n}" for n in range(20)]), "must be >= 0"),
    ],
)
def test_bad_weights_by_user(weights, message):
    with pytest.raises(ValueError, match=message):
        make_recommender(EXACT).fit(events_of(20, 6, 120), sample_weight=weights)


def test_rows_are_kept_as_given():
    first = events_of(12, 40, 60)
    recommender = learner(EXACT).fit(first)
    assert isinstance(recommender[-1]._fitted.training_data, TrainingRows)
    kept = recommender._interactions()
    np.testing.assert_array_equal(kept.counts, first["count"])
    np.testing.assert_array_equal(kept.user_ids[kept.users], first["user"])


# What a reader found


def test_ids_of_several_types_stay_what_they_are():
    large = [2**63 + 1, 2**63 + 2]
    ids = pd.DataFrame({"user": np.array([*large, *large], "uint64"), "item": list("abba")})
    recommender = learner(EXACT).fit(ids).partial_fit([(5, "a")])
    assert recommender[0].users_.tolist() == [*large, 5]
    recommender.partial_fit([("x", "a"), ("x", "c")])
    assert recommender[0].users_.tolist() == [*large, 5, "x"]
    assert not recommender.recommend(users=[5], k=1)["by_popularity"].any()
    recommender.forget(users=[large[0], "x"])
    assert recommender[0].users_.tolist() == [large[1], 5]
    days = pd.DataFrame({"user": pd.to_datetime(["2024-01-01", "2024-01-02"]), "item": ["a", "b"]})
    recommender = learner(EXACT).fit(days).partial_fit([("x", "a")])
    recommender.forget(users=[pd.Timestamp("2024-01-01")])
    assert len(recommender[0].users_) == 2


@pytest.mark.parametrize("change", ["off", "new", "added"])
def test_steps_that_were_changed_after_the_fit(change):
    first, second = events_of(60, 5, 900, seed=1), events_of(62, 6, 30, seed=2)
    recommender = learner(EXACT, LogCountTransformer()).fit(first)
    assert isinstance(recommender[-1]._fitted.training_data, TrainingGram)
    if change == "added":
        recommender.steps.insert(2, ("second", LogCountTransformer()))
    else:
        step = "passthrough" if change == "off" else LogCountTransformer()
        recommender.set_params(logcounttransformer=step)
    recommender.partial_fit(second)
    assert_same(recommender, pd.concat([first, second]))


@pytest.mark.parametrize("new", [ShallowAutoEncoder(2.0, solver="exact"), NEAREST, "sgd"])
def test_a_model_that_was_replaced_learns_from_what_is_kept(new):
    first, second = events_of(60, 5, 900, seed=1), events_of(62, 6, 30, seed=2)
    new = ShallowAutoEncoder(max_iter=3, random_state=0) if new == "sgd" else clone(new)
    recommender = learner(EXACT).fit(first).set_params(shallowautoencoder=new).partial_fit(second)
    assert_same(recommender, pd.concat([first, second]))
    recommender.set_params(idmapper=IdMapper())
    with pytest.raises(ValueError, match="IdMapper was replaced"):
        recommender.partial_fit(second)


def test_a_model_that_was_fitted_or_updated_elsewhere_is_fitted_again():
    first, second = events_of(60, 5, 900, seed=1), events_of(62, 6, 30, seed=2)
    other = learner(EXACT).fit(events_of(70, 8, 2000, seed=3))[-1]
    recommender = learner(EXACT).fit(first).set_params(shallowautoencoder=other)
    assert_same(recommender.partial_fit(second), pd.concat([first, second]))
    recommender = learner(EXACT).fit(first)
    recommender[-1].forget(recommender[:-1].transform(first[first["user"] == "u1"]))
    recommender.forget(users=["u2"])
    assert_same(recommender, first[first["user"] != "u2"])
    other = learner(ShallowAutoEncoder(max_iter=3, random_state=0)).fit(second)[-1]
    recommender = learner(EXACT).fit(first).set_params(shallowautoencoder=other)
    assert_same(recommender.partial_fit(second), pd.concat([first, second]))


def test_nested_steps_are_unchanged_by_an_error():
    first = events_of(30, 5, 200, seed=1)
    nested = make_pipeline(TfidfTransformer(), LogCountTransformer())
    recommender = learner(EXACT, nested).fit(first)
    before = recommender.recommend(k=2)
    recommender.set_params(shallowautoencoder__regularization=-1)
    with pytest.raises(ValueError, match="regularization"):
        recommender.partial_fit([("new", "new item", 1)])
    recommender.set_params(shallowautoencoder__regularization=0.3)
    pd.testing.assert_frame_equal(recommender.recommend(k=2), before)


def test_a_gram_matrix_does_not_outgrow_the_interactions():
    first = events_of(100, 6, 900, seed=1)
    many = pd.DataFrame(
        {"user": [f"u{n}" for n in range(40)], "item": [f"new{n}" for n in range(40)]}
    )
    recommender = learner(EXACT).fit(first)
    assert isinstance(recommender[-1]._fitted.training_data, TrainingGram)
    recommender.partial_fit(many.assign(count=1.0))
    assert isinstance(recommender[-1]._fitted.training_data, TrainingRows)
    assert_same(recommender, pd.concat([first, many.assign(count=1.0)]))


def test_weights_of_zero():
    first = events_of(30, 6, 200)
    recommender = learner(EXACT).fit(first)
    recommender.partial_fit([("bot", "s1", 50.0)], sample_weight={"bot": 0.0})
    weights = {**dict.fromkeys(first["user"], 1.0), "bot": 0.0}
    whole = pd.concat([first, pd.DataFrame([("bot", "s1", 50.0)], columns=first.columns)])
    assert_same(recommender, whole, sample_weight=weights)
    with pytest.raises(ValueError, match="Nobody would be left"):
        recommender.forget(users=first["user"].unique())


def test_a_series_of_weights_of_rows_is_refused():
    listens = events_of(60, 5, 100).assign(user=np.arange(100) % 60)
    weights = pd.Series(np.arange(100) + 1.0)
    with pytest.raises(ValueError, match=r"labels 0 to 99.*must be user ids"):
        make_recommender(EXACT).fit(listens, sample_weight=weights)
    recommender = learner(EXACT).fit(listens)
    with pytest.raises(ValueError, match=r"labels 0 to 99.*must be user ids"):
        recommender.partial_fit(listens, sample_weight=weights)
    make_recommender(EXACT).fit(listens, sample_weight=pd.Series(np.arange(60) + 1.0))


def test_a_half_life_that_was_changed_after_the_fit():
    first = events_of(30, 6, 200).assign(year=2020.0)
    recommender = learner(EXACT, time="year", half_life=1.0).fit(first)
    recommender.set_params(idmapper__half_life=None)
    for call in (
        lambda: recommender.forget(users=["u1"]),
        lambda: recommender.forget(first[:1]),
        lambda: recommender.partial_fit(first[:1]),
        lambda: recommender.recommend(users=["u1"]),
    ):
        with pytest.raises(ValueError, match="was set after `fit`, which kept interactions with t"):
            call()
    recommender = learner(EXACT, time="year").fit(first)
    recommender.set_params(idmapper__half_life=1.0)
    with pytest.raises(ValueError, match="kept interactions without times"):
        recommender.partial_fit(first[:1])


def test_times_in_a_text_file_are_read(tmp_path):
    first = events_of(30, 6, 200)
    first["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(200), "D")
    first.to_csv(tmp_path / "listens.csv", index=False)
    recommender = learner(EXACT, time="day", half_life="30D").fit(tmp_path / "listens.csv")
    expected = learner(EXACT, time="day", half_life="30D").fit(first)
    pd.testing.assert_frame_equal(recommender.recommend(k=2), expected.recommend(k=2))
    assert recommender.score(tmp_path / "listens.csv") == expected.score(first)
    hidden = hold_out_items(tmp_path / "listens.csv", 1, time="day")[1]
    assert list(hidden["item"]) == list(hold_out_items(first, 1, time="day")[1]["item"])
    plain = make_recommender(EXACT, time="day").fit(tmp_path / "listens.csv")
    assert not hasattr(plain[0], "reference_time_")


@pytest.mark.parametrize("users", [b"ab", pd.DataFrame({"user": ["u1"]}), np.array([["u1"]]), 3])
def test_users_are_a_list(users):
    recommender = learner(EXACT).fit(events_of(20, 6, 90))
    for ask in (
        lambda: recommender.recommend(users=users),
        lambda: recommender.forget(users=users),
    ):
        with pytest.raises(TypeError, match="must be a list of users' ids"):
            ask()


def test_nobody_is_asked_for():
    first = events_of(20, 6, 90)
    answer = learner(EXACT, LogCountTransformer()).fit(first).recommend(users=[])
    assert list(answer.columns) == ["user", "item", "score", "rank", "by_popularity"]
    assert len(answer) == 0


def test_an_interrupted_update_changes_nothing(monkeypatch):
    first = events_of(30, 6, 300)
    model = ShallowAutoEncoder(max_iter=5, random_state=0)
    recommender = learner(model).fit(first)
    before = pickle.dumps(recommender)

    def interrupted(*_, **__):
        raise KeyboardInterrupt("The model keeps the weights after step 3 of 5.")

    monkeypatch.setattr(ShallowAutoEncoder, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt, match="The pipeline is unchanged"):
        recommender.forget(users=["u1"])
    assert pickle.dumps(recommender) == before


def test_without_the_option_no_update_discards_what_is_kept():
    recommender = learner(EXACT).fit(events_of(30, 6, 300)).set_params(keep_interactions=False)
    with pytest.raises(ValueError, match="`keep_interactions`=True"):
        recommender.partial_fit([("ann", "s1")])
    with pytest.raises(TypeError, match="`keep_interactions`='yes' must be True or False"):
        recommender.set_params(keep_interactions="yes").plan([("ann", "s1")])


# Estimators alone


@pytest.mark.parametrize("name", ["exact", "exact, rows", "nearest", "low rank", "sgd"])
def test_names_say_which_columns_are_new(name):
    rng = np.random.default_rng(0)
    n_users = 4 if name == "exact, rows" else 60
    first = pd.DataFrame(rng.poisson(0.8, (n_users, 5)).astype(float), columns=list("abcde"))
    second = pd.DataFrame(rng.poisson(0.8, (9, 7)).astype(float), columns=list("axbcdye"))
    sgd = ShallowAutoEncoder(max_iter=20, random_state=0)
    model = {"sgd": sgd, "exact, rows": EXACT, **MODELS}[name]
    model = clone(model).fit(first)
    before = model.item_weights_
    model.partial_fit(second)
    assert list(model.feature_names_in_) == list("abcdexy")
    assert model.n_samples_seen_ == n_users + 9
    if name == "sgd":
        assert (model.item_weights_[5:] != 0).any()
        assert model.item_counts_[5] == (second["x"] > 0).sum()
    else:
        both = pd.concat([first, second]).fillna(0)[list("abcdexy")]
        expected = clone(model).fit(both).item_weights_
        found = model.item_weights_
        as_array = [P.toarray() if hasattr(P, "toarray") else P for P in (found, expected)]
        np.testing.assert_allclose(*as_array, rtol=0, atol=1e-10)
    assert before.shape == (5, 5)
    with pytest.raises(ValueError, match="must be in the same order"):
        model.partial_fit(second[list("yxedcba")])
    with pytest.raises(ValueError, match="now missing"):
        model.partial_fit(second[list("abcd")])


@pytest.mark.parametrize("solver", ["exact", "sgd"])
def test_memory_for_new_items_is_checked_before_it_is_taken(solver, monkeypatch):
    rng = np.random.default_rng(0)
    first = pd.DataFrame(rng.poisson(2.0, (90, 5)).astype(float), columns=list("abcde"))
    model = ShallowAutoEncoder(0.3, solver=solver, max_iter=3, random_state=0).fit(first)
    new = pd.DataFrame(np.ones((2, 300)), columns=[f"new{n}" for n in range(300)])
    wide = pd.concat([first[:2], new], axis=1)
    monkeypatch.setattr(costs, "free_memory", lambda: 4 * 305**2)
    monkeypatch.setattr(autoencoder_updates, "with_items", None)  # which takes the memory
    with pytest.raises(MemoryError, match="for 305 items"):
        model.partial_fit(wide)
    assert model.item_weights_.shape == (5, 5)


def nearby_times():
    moment = 1_700_000_000_000_000_000  # float64 holds every 256th integer of this size
    rows = [("a", "x", 1, moment), ("a", "x", 1, moment + 1), ("b", "y", 1, moment + 500)]
    return pd.DataFrame(rows, columns=["user", "item", "count", "when"])


def test_times_of_another_type_take_back_the_interactions_that_they_equal():
    plays = nearby_times()
    recommender = learner(EXACT, time="when", half_life=1e15).fit(plays)
    as_float = plays.astype({"when": float})
    with pytest.raises(ValueError, match="1 of 2 interactions are not among the kept"):
        recommender.forget(as_float.iloc[:2])  # whose times are equal as floats
    with pytest.raises(ValueError, match="not among the kept interactions"):
        recommender.forget(as_float.iloc[2:])
    recommender.forget(as_float.iloc[:1])
    assert_same(recommender, plays.iloc[1:])


def test_times_of_another_type_are_added_without_rounding():
    plays = nearby_times()
    added = pd.DataFrame([("c", "x", 1, 1.5)], columns=plays.columns)
    recommender = learner(EXACT, time="when", half_life=1e15).fit(plays)
    with pytest.raises(ValueError, match="no type in common that holds all of them exactly"):
        recommender.partial_fit(added)
    recommender.partial_fit(added.assign(when=2.0)).forget(plays.iloc[:1])
    assert_same(recommender, pd.concat([plays.iloc[1:], added.assign(when=2)]))
    low = plays.assign(when=[1, 2, 3])
    recommender = learner(EXACT, time="when", half_life=1.0).fit(low).partial_fit(added)
    assert_same(recommender, pd.concat([low, added]))


def test_a_span_of_times_that_a_fit_refuses_is_refused_in_an_update():
    rows = [("a", "x", "2200-01-01"), ("b", "x", "2200-01-01"), ("b", "y", "2200-01-01")]
    plays = pd.DataFrame(rows, columns=["user", "item", "day"]).assign(
        day=lambda frame: pd.to_datetime(frame["day"])
    )
    old = plays[:1].assign(day=pd.Timestamp("1700-01-01"))
    recommender = learner(EXACT, time="day", half_life="365D").fit(plays)
    with pytest.raises(ValueError, match="whose difference int64 cannot hold"):
        recommender.partial_fit(old)
    with pytest.raises(ValueError, match="whose difference int64 cannot hold"):
        clone(recommender).fit(pd.concat([plays, old]))
