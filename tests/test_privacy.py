"""What a model and its files hold of a user, what `min_users` leaves out, what `forget` erases."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.preprocessing import Normalizer

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ServingRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    load_model,
    make_recommender,
    save_model,
)
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram

NEAREST = SparseShallowAutoEncoder(0.3, n_neighbors=20)
MODELS = {
    "exact": ShallowAutoEncoder(0.3, solver="exact"),
    "exact, auto": ShallowAutoEncoder("auto", solver="exact", user_exponent=0.5),
    "sgd": ShallowAutoEncoder(max_iter=5, random_state=0),
    "nearest": NEAREST,
    "low rank": LowRankAutoEncoder(3, random_state=0),
    "popularity": PopularityRecommender(),
    "sum": BlendedRecommender([("near", NEAREST), ("popular", PopularityRecommender())]),
    "search": ShallowAutoEncoderCV([0.1, 1.0], cv=2),
}
NAMES = [pytest.param(n, marks=[pytest.mark.slow] * (n == "search")) for n in MODELS]
EQUAL = {"rtol": 0, "atol": 1e-8}  # in float64


def events_of(n_users, n_items, n_events, seed=0, first_user=0):
    """Return made-up events with float64 counts, in which some items are rare."""
    rng = np.random.default_rng(seed)
    users = first_user + rng.integers(n_users, size=n_events)
    items = (n_items * rng.random(n_events) ** 2).astype(int)
    names = {"user": [f"u{n}" for n in users], "item": [f"s{n}" for n in items]}
    return pd.DataFrame(names | {"count": rng.integers(1, 4, n_events) * 0.5})


def with_secret(events):
    """Return the events with one user more, who also has an item that nobody else has."""
    own = pd.DataFrame({"user": "secret_user", "item": ["s0", "s2", "secret_item"], "count": 1.0})
    return pd.concat([events.iloc[:40], own, events.iloc[40:]])


def users_of_items(events):
    return events[events["count"] > 0].groupby("item")["user"].nunique()


def frequent(events, min_users):
    """Return the events with items of at least `min_users` users."""
    n_users = users_of_items(events)
    return events[events["item"].isin(n_users.index[n_users >= min_users])]


def learned(model):
    """Return all numbers that a fitted model shows."""
    names = ("item_weights_", "item_counts_", "n_samples_seen_", "loss_curve_", "residual_")
    found = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return {name: own.toarray() if hasattr(own, "toarray") else own for name, own in found.items()}


def assert_same(recommender, interactions):
    """Check that the recommender equals one that is fitted to the interactions."""
    whole = clone(recommender).fit(interactions)
    assert_array_equal(recommender[0].items_, whole[0].items_)
    assert_array_equal(recommender[0].users_, whole[0].users_)
    assert_array_equal(recommender[-1].feature_names_in_, whole[0].items_)
    found, expected = learned(recommender[-1]), learned(whole[-1])
    assert found.keys() == expected.keys()
    for name, own in found.items():
        np.testing.assert_allclose(own, expected[name], err_msg=name, **EQUAL)


# What weights show


def test_the_exact_weights_alone_show_the_row_of_the_only_user_of_an_item():
    own = pd.DataFrame({"user": "secret_user", "item": ["s0", "s2", "secret_item"]})
    events = pd.concat([events_of(60, 12, 500), own.assign(count=[2.0, 5.0, 3.0])])
    recommender = make_recommender(MODELS["exact"]).fit(events)
    P, items = recommender[-1].item_weights_, recommender[0].items_
    # P_ij = -C_ij / C_jj with a symmetric C, so that P_ij / P_ji = C_ii / C_jj gives C up to a
    # factor. Its inverse is G + n * regularization * I, and column j of the Gram matrix G is the
    # row of the only user of j, times a number.
    C = (np.eye(len(P)) - P) * np.append(1, P[1:, 0] / P[0, 1:])
    column = np.linalg.inv(C)[:, recommender[0].item_index(["secret_item"])[0]]
    found = pd.Series(column, items).drop("secret_item")
    shown = found[found > 1e-6 * found.max()]
    assert set(shown.index) == {"s0", "s2"}
    assert shown["s2"] / shown["s0"] == pytest.approx(5 / 2, rel=1e-6)


def test_the_nearest_items_of_an_item_show_the_row_of_its_only_user():
    events = with_secret(events_of(60, 12, 500))
    recommender = make_recommender(clone(NEAREST).set_params(n_neighbors=2)).fit(events)
    P = recommender[-1].item_weights_.toarray()
    of_secret = P[:, recommender[0].item_index(["secret_item"])[0]]
    assert set(recommender[0].items_[of_secret != 0]) == {"s0", "s2"}


@pytest.mark.parametrize("name", NAMES)
def test_no_number_depends_on_an_item_with_fewer_users(name):
    events = with_secret(events_of(60, 60, 400)).sort_values("user")  # rows in the same order
    n_users = users_of_items(events)
    assert (n_users < 5).sum() > 2
    recommender = make_recommender(LogCountTransformer(), MODELS[name], min_users=5)
    fitted = recommender.fit(events)
    expected = clone(recommender).set_params(idmapper__min_users=1).fit(frequent(events, 5))
    assert_array_equal(fitted[0].items_, expected[0].items_)
    assert set(fitted[0].items_) == set(n_users.index[n_users >= 5])
    found, wanted = learned(fitted[-1]), learned(expected[-1])
    assert found.keys() == wanted.keys()
    for name, own in found.items():
        assert_array_equal(own, wanted[name])


def test_decay_is_measured_from_the_last_interaction_that_is_not_left_out():
    events = events_of(30, 6, 200).assign(day=np.arange(200.0))
    late = pd.DataFrame({"user": "u1", "item": "rare", "count": 1.0, "day": [900.0]})
    mapper = IdMapper(time="day", half_life=50.0, min_users=3)
    X = mapper.fit_transform(pd.concat([events, late]))
    assert mapper.reference_time_ == frequent(events, 3)["day"].max()
    assert_array_equal(X.toarray(), clone(mapper).fit_transform(events).toarray())


# min_users


def test_users_are_counted_once_and_with_a_count_above_0():
    events = [("ann", "often", 9), ("ann", "often", 9), ("ann", "two", 1), ("bob", "two", 2)]
    events += [("ann", "none", 1), ("bob", "none", 0), ("bob", "none", 0), ("cleo", "often", 0)]
    mapper = IdMapper(min_users=2)
    assert_array_equal(mapper.fit_transform(events).toarray(), [[1], [2], [0]])
    assert mapper.items_.tolist() == ["two"]
    assert mapper.users_.tolist() == ["ann", "bob", "cleo"]
    assert IdMapper().fit(events).items_.tolist() == ["often", "two", "none"]


def test_fit_is_silent_and_later_the_items_are_unknown():
    events = [("ann", "one", 1), ("ann", "two", 1), ("bob", "two", 2)]
    mapper = IdMapper(min_users=2).fit(events)
    message = "1 items that were not seen in fit or had fewer than `min_users`=2 users"
    with pytest.warns(UserWarning, match=message):
        assert_array_equal(mapper.transform(events).toarray(), [[1], [2]])
    with pytest.raises(ValueError, match=message):
        mapper.set_params(unknown="error").transform(events)
    assert mapper.fit_transform(events).shape == (2, 1)
    assert mapper.item_index(["one"]).tolist() == [-1]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "`min_users`=0"),
        (2.5, TypeError, "`min_users`=2.5"),
        (True, TypeError, "`min_users`=True"),
        (4, ValueError, "No item has `min_users`=4 users or more, and at most 2 users .* Lower"),
    ],
)
def test_values_that_min_users_cannot_have(value, error, message):
    events = [("ann", "Help!", 1), ("bob", "Help!", 1), ("cleo", "Clocks", 1)]
    with pytest.raises(error, match=message):
        IdMapper(min_users=value).fit(events)


def test_min_users_is_a_parameter_like_the_others(tmp_path):
    recommender = make_recommender(NEAREST, min_users=3)
    assert "min_users=3" in repr(recommender)
    assert clone(recommender)[0].min_users == 3
    with pytest.raises(ValueError, match="in the IdMapper that is the first step"):
        make_recommender(IdMapper(), NEAREST, min_users=3)
    save_model(recommender.fit(events_of(30, 8, 150)), tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors")[0].min_users == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*not seen in fit")  # of a part of the listens
def test_a_search_chooses_min_users():
    events = events_of(40, 20, 500)
    search = GridSearchCV(
        make_recommender(NEAREST), {"idmapper__min_users": [1, 10]}, cv=GroupKFold(2)
    ).fit(events, groups=events["user"])
    assert set(search.cv_results_["param_idmapper__min_users"]) == {1, 10}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_items_of_a_dask_frame_have_as_many_users_as_in_memory():
    dd = pytest.importorskip("dask.dataframe")
    events = with_secret(events_of(40, 15, 300))
    frame = dd.from_pandas(events.reset_index(drop=True), npartitions=3)
    mapper, expected = IdMapper(min_users=5, unknown="error"), IdMapper(min_users=5).fit(events)
    X = mapper.fit_transform(frame).compute(scheduler="sync")
    assert mapper.items_.tolist() == expected.items_.tolist()
    assert X.sum() == frequent(events, 5)["count"].sum()
    with pytest.raises(ValueError, match="No item has `min_users`=99 users"):
        IdMapper(min_users=99).fit(frame)


# Updates


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("sgd", "search")])
@pytest.mark.parametrize("between", [(LogCountTransformer(),), (Normalizer(),)], ids=str)
def test_items_enter_with_enough_users_and_leave_with_too_few(name, between):
    first, second = events_of(30, 14, 120, seed=1), events_of(33, 18, 60, seed=2)
    recommender = make_recommender(*between, MODELS[name], keep_interactions=True, min_users=7)
    recommender.fit(first)
    on_day_1 = set(recommender[0].items_)
    recommender = pickle.loads(pickle.dumps(recommender)).partial_fit(second)
    both, on_day_2 = pd.concat([first, second]), set(recommender[0].items_)
    assert_same(recommender, both)
    gone = both["user"].value_counts().index[:4]
    recommender = pickle.loads(pickle.dumps(recommender)).forget(users=gone)
    assert_same(recommender, both[~both["user"].isin(gone)])
    assert on_day_1 < on_day_2
    assert (on_day_2 & set(first["item"])) - on_day_1  # these had users on day 1
    assert on_day_2 - set(recommender[0].items_)


@pytest.mark.parametrize("user_exponent", [0.0, 0.5])
def test_a_gram_matrix_gains_and_loses_the_rows_of_users_without_new_interactions(user_exponent):
    events = events_of(300, 6, 2000, seed=1)
    rare = [("u1", "rare", 1.0), ("u2", "rare", 2.0)]
    first = pd.concat([events, pd.DataFrame(rare, columns=events.columns)])
    model = ShallowAutoEncoder(0.3, solver="exact", user_exponent=user_exponent)
    recommender = make_recommender(
        LogCountTransformer(), model, keep_interactions=True, min_users=3
    ).fit(first)
    assert "rare" not in recommender[0].items_
    third = pd.DataFrame([("u3", "rare", 1.5)], columns=events.columns)
    recommender.partial_fit(third)
    assert "rare" in recommender[0].items_
    both = pd.concat([first, third])
    assert_same(recommender, both)
    recommender.forget(third)
    assert "rare" not in recommender[0].items_
    assert isinstance(recommender[-1]._fitted.training_data, TrainingGram)
    assert_same(recommender, first)
    recommender.partial_fit(third).forget(users=["u1", "u9"])
    assert_same(recommender, both[~both["user"].isin(["u1", "u9"])])


def test_gradient_descent_goes_on_with_items_that_enter():
    first, second = events_of(30, 14, 120, seed=1), events_of(33, 18, 60, seed=2)
    recommender = make_recommender(
        LogCountTransformer(), MODELS["sgd"], keep_interactions=True, min_users=7
    ).fit(first)
    before, both = set(recommender[0].items_), pd.concat([first, second])
    recommender.partial_fit(second)
    whole = clone(recommender).fit(both)
    assert set(recommender[0].items_) > before
    assert_array_equal(recommender[0].items_, whole[0].items_)
    assert_array_equal(recommender[-1].item_counts_, whole[-1].item_counts_)
    gone = both["user"].value_counts().index[:4]
    assert_same(recommender.forget(users=gone), both[~both["user"].isin(gone)])


def test_known_users_are_answered_without_the_items_that_are_left_out(tmp_path):
    events = with_secret(events_of(30, 10, 200))
    mapper = IdMapper(min_users=2, unknown="error")
    recommender = make_recommender(mapper, NEAREST, keep_interactions=True).fit(events)
    users = ["secret_user", "u1"]
    best = recommender.recommend(users=users, k=3)
    known = frequent(events, 2)
    expected = recommender.recommend(known, users=users, k=3)
    pd.testing.assert_frame_equal(best, expected)
    save_model(recommender, tmp_path / "all.safetensors", keep="all")
    loaded = load_model(tmp_path / "all.safetensors")
    pd.testing.assert_frame_equal(loaded.recommend(users=users, k=3), best)
    more = pd.DataFrame({"user": ["u1"], "item": ["secret_item"], "count": [1.0]})
    assert "secret_item" in loaded.partial_fit(more)[0].items_
    assert_same(loaded, pd.concat([events, more]))


# What is erased, and what remains


@pytest.mark.parametrize("min_users", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_after_forget_nothing_is_left_of_a_user(name, min_users, tmp_path):
    events = events_of(60, 12, 400)
    everything = with_secret(events)
    recommender = make_recommender(
        LogCountTransformer(), MODELS[name], keep_interactions=True, min_users=min_users
    )
    recommender.fit(everything)
    path = tmp_path / "all.safetensors"
    save_model(recommender, path, keep="all")
    for held in (path.read_bytes(), pickle.dumps(recommender)):
        assert b"secret_user" in held
        assert b"secret_item" in held  # also where it is no column: the interactions are kept
    recommender.forget(users=["secret_user"])
    assert_same(recommender, events)
    fresh = clone(recommender).fit(events)
    for mine, theirs in zip(recommender._kept, fresh._kept, strict=True):
        assert_array_equal(mine, theirs)
    save_model(recommender, path, keep="all")
    assert b"secret" not in path.read_bytes()
    assert b"secret" not in pickle.dumps(recommender)


def test_a_pass_of_gradient_descent_remains_until_forget_fits_again():
    events = events_of(60, 12, 400)
    own = pd.DataFrame({"user": "secret_user", "item": ["s0", "s9"], "count": 5.0})
    recommender = make_recommender(MODELS["sgd"], keep_interactions=True).fit(events)
    recommender.partial_fit(own)
    assert_same(recommender.forget(users=["secret_user"]), events)
    assert len(recommender[-1].loss_curve_) == 5  # no value of the pass over the user's row


@pytest.mark.parametrize("name", NAMES)
def test_a_file_for_serving_holds_no_users_and_no_rows(name, tmp_path):
    events = with_secret(events_of(20, 12, 150))
    events["user"] = "listener_" + events["user"]
    recommender = make_recommender(
        LogCountTransformer(), MODELS[name], keep_interactions=True, min_users=2
    ).fit(events)
    path = tmp_path / "serving.safetensors"
    save_model(recommender, path, keep="all")
    assert b"listener_u1" in path.read_bytes()
    save_model(recommender, path)
    held = path.read_bytes()
    assert b"listener_" not in held
    assert b"secret" not in held
    loaded = load_model(path)
    assert not {"users_", "_kept"} & (set(vars(loaded)) | set(vars(loaded[0])))
    rows = recommender[:-1].set_params(idmapper__unknown="ignore")
    with pytest.warns(UserWarning, match="min_users"):
        X = rows.transform(events)
    for values in (X.data, X.toarray(), recommender._kept.counts):  # as rows or as a list
        assert values.astype(np.float32).tobytes() not in held
        assert values.astype(np.float64).tobytes() not in held


def test_a_file_with_everything_can_be_served(tmp_path):
    recommender = make_recommender(NEAREST, keep_interactions=True).fit(events_of(20, 9, 90))
    save_model(recommender, tmp_path / "all.safetensors", keep="all")
    serving = ServingRecommender.load(tmp_path / "all.safetensors")
    assert (
        serving.recommend(["s1"], k=3).items
        == recommender.recommend([("n", "s1")], k=3)["item"].tolist()
    )


def test_an_estimator_that_forgets_keeps_the_columns_and_the_mapper_keeps_the_ids():
    events = with_secret(events_of(60, 12, 400))
    mapper = IdMapper()
    X = mapper.fit_transform(events)
    model = ShallowAutoEncoder(0.3, solver="exact").fit(X)
    model.forget(X[mapper.user_index(["secret_user"])])
    place = mapper.item_index(["secret_item"])[0]
    assert isinstance(model._fitted.training_data, TrainingRows | TrainingGram)
    assert model.n_features_in_ == X.shape[1]
    assert (model.item_weights_[place] == 0).all()
    assert (model.item_weights_[:, place] == 0).all()
    assert model.item_counts_[place] == 0
    assert "secret_user" in mapper.users_
