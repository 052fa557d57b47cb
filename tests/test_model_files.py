"""Model files: what is saved comes back, and nothing else is ever loaded."""

import copy
import io
import json
import os
import pickle
import re
import stat
import sys
import zipfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import skops.io
from numpy.testing import assert_array_equal
from recommenders import MODELS, PARTS, fitted_recommender, listens_for, made_up_listens
from safetensors import safe_open
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    ModelFileError,
    PopularityRecommender,
    RecommenderPipeline,
    ServingRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    load_model,
    make_ranking_scorer,
    make_recommender,
    save_model,
)
from shallow_ae._model_files import container
from shallow_ae.persistence import states
from shallow_ae.serving import saved as saved_for_serving

FIXTURES = Path(__file__).with_name("model_files")
X = sp.csr_array(np.random.default_rng(0).poisson(0.7, (30, 8)).astype(np.float32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "songs.safetensors"


def saved(model, path, **arguments):
    save_model(model, path, **arguments)
    return load_model(path)


def assert_same(one, other):
    """Two estimators have the same parameters and learned attributes, to the bit."""
    assert type(one) is type(other)
    names = {name for name in dir(one) if name.endswith("_") and not name.startswith("_")}
    assert names == {n for n in dir(other) if n.endswith("_") and not n.startswith("_")}
    for name in names:
        mine, theirs = getattr(one, name), getattr(other, name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
            assert_array_equal(mine, theirs)
        elif isinstance(mine, list | int | float | str):
            assert repr(mine) == repr(theirs)


@pytest.mark.parametrize("keep", ["serving", "all"])
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_recommender_is_the_saved_one(name, keep, path):
    recommender, listens = fitted_recommender(name), listens_for(name)
    loaded = saved(recommender, path, keep=keep)
    assert isinstance(loaded, RecommenderPipeline)
    assert repr(loaded) == repr(recommender)
    mine, theirs = (r.recommend(listens, k=7) for r in (recommender, loaded))
    if (name, keep) == ("exact, few users", "serving"):  # the rows became weights of all pairs
        assert_array_equal(recommender[-1].item_weights_, loaded[-1].item_weights_)
        assert_array_equal(mine["item"], theirs["item"])
        # Seen: 9e-6 of a score of .39, from products in another order.
        np.testing.assert_allclose(mine["score"], theirs["score"], atol=1e-4)
    else:
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    assert_array_equal(recommender[0].items_, loaded[0].items_)
    if keep == "all":
        assert_array_equal(recommender[0].users_, loaded[0].users_)
    assert_same(recommender[-1], loaded[-1])


@pytest.mark.parametrize("model", [*MODELS.values(), IdMapper("a", "b"), LogCountTransformer()])
def test_parameters_are_kept_without_a_fit(model, path):
    assert repr(saved(clone(model), path)) == repr(model)


@pytest.mark.parametrize("name", ["exact, many users", "exact, few users", "nearest", "low rank"])
def test_with_everything_kept_updates_go_on_to_the_same_bits(name, path):
    listens = listens_for(name)
    rows = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens))
    model = clone(MODELS[name]).fit(rows)
    loaded = saved(model, path, keep="all")
    more = rows[:3] * np.float32(2)
    for own in (model, loaded):
        own.partial_fit(more, sample_weight=[1.0, 2.0, 0.5]).forget(rows[4:6])
    assert_same(model, loaded)
    assert_array_equal(model.predict(rows), loaded.predict(rows))


def learner(**params):
    events = made_up_listens(40).sample(frac=1, random_state=0)
    events["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(len(events)), "h")
    model = ShallowAutoEncoder(0.1, solver="exact")
    recommender = make_recommender(
        LogCountTransformer(), model, time="day", keep_interactions=True, **params
    )
    return recommender, events.iloc[:-60], events.iloc[-60:]


@pytest.mark.parametrize(
    "half_life",
    [None, "3D", timedelta(days=2), pd.Timedelta("36h"), np.timedelta64(2, "D")],
    ids=repr,
)
def test_a_pipeline_learns_on_from_a_file(half_life, path):
    recommender, first, second = learner(half_life=half_life)
    weights = pd.Series(1.0 + np.arange(40) % 3, index=[f"listener{n:05}" for n in range(40)])
    recommender.fit(first, sample_weight=weights)
    loaded = saved(recommender, path, keep="all")
    for own in (recommender, loaded):
        own.partial_fit(second).forget(users=["listener00003"]).forget(first.iloc[[5]])
    assert_same(recommender[0], loaded[0])
    assert_same(recommender[-1], loaded[-1])
    answers = [own.recommend(users=["listener00001", "new"]) for own in (recommender, loaded)]
    pd.testing.assert_frame_equal(*answers)


def test_a_pipeline_saved_for_serving_holds_no_interactions(path):
    recommender, first, _ = learner()
    loaded = saved(recommender.fit(first), path)
    assert "_kept" not in vars(loaded)
    assert b"listener" not in path.read_bytes()
    with pytest.raises(ValueError, match=r"holds no interactions.*keep='all'"):
        loaded.recommend(users=["listener00001"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_kept.users", lambda own: own.__setitem__(3, 40)),
        ("_kept.users", lambda own: own.__setitem__(3, -1)),
        ("_kept.items", lambda own: own.__setitem__(3, 20)),
        ("_kept.counts", lambda own: own.__setitem__(3, np.nan)),
        ("_kept.counts", lambda own: own.__setitem__(3, -1)),
        ("_kept.sample_weight", lambda own: own.__setitem__(3, np.inf)),
    ],
)
def test_forged_interactions_are_refused(name, change, path):
    recommender, first, _ = learner()
    weights = pd.Series(1.0, index=first["user"].unique())
    save_model(recommender.fit(first, sample_weight=weights), path, keep="all")
    forged(changed(path.read_bytes(), f"model.{name}", change), path)
    with pytest.raises(ModelFileError):
        load_model(path)


def test_a_file_with_everything_can_serve(path):
    recommender, first, _ = learner()
    save_model(recommender.fit(first), path, keep="all")
    serving = ServingRecommender.load(path)
    history = first[first["user"] == first["user"].iloc[0]]
    expected = recommender.recommend(history, k=4)["item"].tolist()
    counts = history.groupby("item")["count"].sum().to_dict()
    assert serving.recommend(counts, k=4).items == expected
    assert states.READERS.keys() <= saved_for_serving._READERS.keys()


def learner_with_a_local_function():
    def learner(X):
        return X

    return FunctionTransformer(learner)


@pytest.mark.parametrize(
    "step",
    [FunctionTransformer(lambda X: X), learner_with_a_local_function()],
    ids=["lambda", "of the same name as another"],
)
def test_functions_that_cannot_be_imported_cannot_be_saved(step, path):
    recommender = make_recommender(step, SparseShallowAutoEncoder()).fit(made_up_listens(20))
    with pytest.raises(TypeError, match=r"cannot be saved.*Functions must be importable"):
        save_model(recommender, path)
    assert not path.exists()


def test_gradient_descent_goes_on_to_the_same_bits(path):
    model = ShallowAutoEncoder(max_iter=5, random_state=np.random.RandomState(3)).fit(X)
    loaded = saved(model, path)
    for own in (model, loaded):
        own.partial_fit(X[:10])
    assert_array_equal(model.item_weights_, loaded.item_weights_)


def test_a_model_saved_for_serving_cannot_be_updated(path):
    model = saved(SparseShallowAutoEncoder().fit(X), path)
    with pytest.raises(ValueError, match=r"no training rows.*file.*keep='all'"):
        model.partial_fit(X)
    model = saved(ShallowAutoEncoder(0.1, solver="exact").fit(X), path)
    with pytest.raises(ValueError, match=r"keeps its training data.*file.*keep='all'"):
        model.forget(X[:1])


@pytest.mark.parametrize("name", MODELS)
def test_a_serving_file_holds_no_user_and_no_row(name, path):
    listens = listens_for(name).astype({"count": "float64"})
    secret = 7.123456789012345  # a count that only one user has
    listens.loc[listens.index[5], "count"] = secret
    recommender = make_recommender(LogCountTransformer(), clone(MODELS[name])).fit(listens)
    weighted = 1 + np.log1p(secret)
    traces = [
        b"listener",
        *(np.array(own, t).tobytes() for own in (secret, weighted) for t in "fd"),
    ]
    save_model(recommender, path, keep="all")
    everything = path.read_bytes()
    assert b"listener" in everything
    save_model(recommender, path)
    kept = path.read_bytes()
    assert not [trace for trace in traces if trace in kept]
    forms = json.dumps(container.read(path).document)
    assert "Training" not in forms
    assert "Dual" not in forms
    # Without rows, no array is as long as the users, or as the interactions, are many.
    n_users = listens["user"].nunique()
    arrays = container.read(path).arrays
    assert not [name for name, own in arrays.items() if {n_users, len(listens)} & set(own.shape)]


def test_users_that_were_not_kept_are_asked_for(path):
    mapper = IdMapper().fit([("ann", "x"), ("bob", "y")])
    loaded = saved(mapper, path)
    with pytest.raises(ValueError, match="saved for serving"):
        loaded.user_index(["ann"])
    loaded = saved(mapper, path, keep="all")
    assert_array_equal(loaded.user_index(["bob", "cleo"], unknown="ignore"), [1, -1])


@pytest.mark.parametrize(
    "ids",
    [
        ["a", "b\n", "", "ü", "\ud800", "\x00"],
        [1, 2**70, -3, False],
        [1.5, float("inf"), -0.0],
        [("a", 1), ("a", (2, b"\xff")), "a"],
        [b"a", b""],
        [date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 6)],
        [Decimal("1.10"), UUID(int=7)],
        [np.float32(0.1), np.int8(3), np.datetime64("2020-01-01", "D")],
        np.array([3, 1, 2], np.uint8),
        np.array([0.5, 1.5]),
        np.array(["x", "yy", ""]),
        np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"),
        np.array([True, False]),
    ],
    ids=str,
)
def test_ids_of_every_kind_come_back(ids, path):
    mapper = IdMapper()
    mapper.items_ = ids if isinstance(ids, np.ndarray) else np.fromiter(ids, object)
    found = saved(mapper, path).items_
    assert found.dtype == mapper.items_.dtype
    assert list(map(repr, found)) == list(map(repr, mapper.items_))
    assert list(map(type, found)) == list(map(type, mapper.items_))


def test_ids_that_a_file_cannot_hold_are_named(path):
    mapper = IdMapper().fit([("ann", frozenset("x"))])
    with pytest.raises(TypeError, match=r"frozenset\({'x'}\) of type frozenset"):
        save_model(mapper, path)
    assert not list(path.parent.iterdir())


def test_results_of_searches_come_back(path):
    search = ShallowAutoEncoderCV(
        [0.1, 1.0], dropout=[0.0, 0.5], cv=3, scoring=make_ranking_scorer("recall", k=3)
    ).fit(X)
    loaded = saved(search, path)
    assert loaded.scoring == search.scoring
    assert loaded.cv_results_.keys() == search.cv_results_.keys()
    for name, values in search.cv_results_.items():
        assert type(values) is type(loaded.cv_results_[name])
        assert_array_equal(np.array(values), np.array(loaded.cv_results_[name]))
    assert loaded.best_params_ == search.best_params_


def test_steps_of_scikit_learn_are_saved_by_skops(path):
    listens = made_up_listens(20)
    steps = MaxAbsScaler(), FunctionTransformer(np.sqrt), SparseShallowAutoEncoder()
    recommender = make_recommender(*steps).fit(listens)
    loaded = saved(recommender, path)
    mine, theirs = (own.recommend(listens, k=5) for own in (recommender, loaded))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    search = ShallowAutoEncoderCV([0.1], cv=KFold(3, shuffle=True, random_state=1))
    save_model(search, path)
    with pytest.raises(ModelFileError, match=r"KFold'\]"):
        load_model(path)
    loaded = load_model(path, trusted=["sklearn.model_selection._split.KFold"])
    assert repr(loaded.cv) == repr(search.cv)


def test_without_skops_the_step_is_named(path, monkeypatch):
    recommender = make_recommender(MaxAbsScaler(), PopularityRecommender()).fit(made_up_listens(9))
    save_model(recommender, path)
    for module in ("skops", "skops.io"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"`steps.maxabsscaler` is a .*MaxAbsScaler.*\[skops\]"):
        save_model(recommender, path)
    with pytest.raises(ImportError, match=r"holds a .*MaxAbsScaler.*\[skops\]"):
        load_model(path)


def test_without_safetensors_the_extra_is_named(path, monkeypatch):
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"shallow-ae\[files\]"):
        save_model(PopularityRecommender(), path)
    assert not list(path.parent.iterdir())


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that skops does not know."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2


def test_types_that_skops_does_not_know_must_be_trusted(path):
    listens = made_up_listens(9)
    recommender = make_recommender(Doubled(), SparseShallowAutoEncoder()).fit(listens)
    save_model(recommender, path)
    with pytest.raises(ModelFileError, match=r"holds a .*Doubled.*pass `trusted`") as error:
        load_model(path)
    trusted = re.findall(r"`trusted`=\['(.*)'\]", str(error.value))
    loaded = load_model(path, trusted=trusted)
    assert loaded.recommend(listens, k=3).equals(recommender.recommend(listens, k=3))
    serving = ServingRecommender.load(path, trusted=trusted)
    assert serving.recommend(["song00003"], k=2).items
    with pytest.raises(ModelFileError, match="`trusted`"):
        ServingRecommender.load(path)


def test_only_models_of_this_library_are_saved(path):
    class Own(PopularityRecommender):
        pass

    search = GridSearchCV(PopularityRecommender(), {})
    for model in (Own(), search, MaxAbsScaler(), None):
        with pytest.raises(TypeError, match="takes models and pipelines of shallow_ae"):
            save_model(model, path)
    with pytest.raises(TypeError, match=r"`steps.own` is a Own, a subclass"):
        save_model(RecommenderPipeline([("idmapper", IdMapper()), ("own", Own())]), path)
    noted = PopularityRecommender()
    noted.note_ = "mine"
    with pytest.raises(TypeError, match=r"attributes \['note_'\]"):
        save_model(noted, path)
    with pytest.raises(ValueError, match="`keep`='rows' must be one of 'serving', 'all'"):
        save_model(PopularityRecommender(), path, keep="rows")


@pytest.mark.parametrize(
    "model",
    [
        SparseShallowAutoEncoder(np.float64(0.1), n_neighbors=np.int64(3)),
        ShallowAutoEncoderCV(np.logspace(-1, 1, 3), cv=3),
        ShallowAutoEncoder(max_iter=2, random_state=np.int64(3)),
        BlendedRecommender(PARTS, weights=[np.float64(1), np.float32(0.5), 1]),
        BlendedRecommender(PARTS, weights=np.array([1.0, 0.5, 0.25])),
    ],
)
def test_numbers_of_numpy_come_back(model, path):
    model.fit(X)
    loaded = saved(model, path)
    assert repr(loaded) == repr(model)
    assert_array_equal(loaded.recommend(X, k=3), model.recommend(X, k=3))
    for name, value in model.get_params(deep=False).items():
        assert type(loaded.get_params(deep=False)[name]) is type(value)


def test_rows_of_fitted_prototypes_are_left_out(path):
    near = SparseShallowAutoEncoder(n_neighbors=2).fit(X)
    model = BlendedRecommender([("a", near), ("b", PopularityRecommender())]).fit(X)
    save_model(model, path)
    assert "Training" not in json.dumps(container.read(path).document)
    assert_array_equal(load_model(path).recommend(X, k=3), model.recommend(X, k=3))


def test_what_could_not_be_loaded_is_not_saved(path):
    save_model(PopularityRecommender(), path)
    before = path.read_bytes()
    odd = np.random.RandomState(np.random.PCG64(1))
    sum_of_nothing = BlendedRecommender(PARTS).fit(X).set_params(weights=[0.0, 0.0, 0.0])
    for model in (ShallowAutoEncoder(random_state=odd), sum_of_nothing):
        with pytest.raises(TypeError, match="could not be loaded"):
            save_model(model, path)
    assert path.read_bytes() == before


def test_caches_and_requests_for_metadata_are_left_out(path, tmp_path):
    listens = made_up_listens(9)
    cached = make_recommender(SparseShallowAutoEncoder(), memory=joblib.Memory(tmp_path, verbose=0))
    assert saved(cached.fit(listens), path).memory is None
    with sklearn.config_context(enable_metadata_routing=True):
        model = SparseShallowAutoEncoder().set_fit_request(sample_weight=True).fit(X)
        assert_array_equal(saved(model, path).item_counts_, model.item_counts_)


@pytest.mark.parametrize(
    "ids", [[np.str_("a"), "b"], [np.bytes_(b"a")], [pd.Timestamp("2020-01-01", tz="UTC")]]
)
def test_ids_of_subclasses_come_back_as_equal_ids(ids, path):
    mapper = IdMapper()
    mapper.items_ = np.fromiter(ids, object)
    assert saved(mapper, path).items_.tolist() == ids


# What a file promises


def test_any_reader_of_safetensors_opens_a_file(path):
    model = SparseShallowAutoEncoder().fit(X)
    save_model(model, path)
    with safe_open(path, framework="np") as file:
        data = file.get_tensor("model._fitted.weights.P.data")
        versions = json.loads(file.metadata()["shallow_ae"])["versions"]
    assert_array_equal(data, model.item_weights_.data)
    assert versions["numpy"] == np.__version__


def test_arrays_are_mapped_and_the_file_never_changes(path):
    model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
    save_model(model, path)
    before = path.read_bytes()
    mapped, read = load_model(path), load_model(path, memory_map=False)
    for loaded in (mapped, read):
        loaded.item_weights_[0, 1] = 5
    assert path.read_bytes() == before
    assert_array_equal(load_model(path).item_weights_, model.item_weights_)
    assert "mmap" in str(type(base_of(mapped.item_weights_)))
    assert "bytearray" in str(type(base_of(read.item_weights_)))


def base_of(array):
    while getattr(array, "base", None) is not None:
        array = array.base
    return array.obj


def test_a_model_outlives_its_file(path):
    model = SparseShallowAutoEncoder().fit(X)
    save_model(model, path)
    loaded = load_model(path)
    save_model(SparseShallowAutoEncoder().fit(X[:5]), path)
    path.unlink()
    assert_array_equal(loaded.recommend(X, k=3), model.recommend(X, k=3))


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    save_model(SparseShallowAutoEncoder().fit(X), path)
    before = path.read_bytes()

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(container.os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_model(PopularityRecommender().fit(X), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_names_links_and_permissions(tmp_path):
    model = PopularityRecommender().fit(X)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_model(model, tmp_path)
    with pytest.raises(FileNotFoundError):
        save_model(model, tmp_path / "missing" / "songs")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "missing")
    save_model(model, str(tmp_path / "songs"))
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "songs").stat().st_mode) == 0o666 & ~mask
    (tmp_path / "songs").chmod(0o640)
    (tmp_path / "link").symlink_to(tmp_path / "songs")
    save_model(SparseShallowAutoEncoder().fit(X), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert isinstance(load_model(tmp_path / "songs"), SparseShallowAutoEncoder)
    assert stat.S_IMODE((tmp_path / "songs").stat().st_mode) == 0o640


# Damage


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the bytes of a small file of a pipeline."""
    path = tmp_path_factory.mktemp("small") / "songs"
    listens = [("ann", "x", 3), ("bob", "y", 1), ("ann", "y", 2), ("bob", "z", 1)]
    save_model(make_recommender(SparseShallowAutoEncoder(n_neighbors=1)).fit(listens), path)
    return path.read_bytes()


READERS = [load_model, ServingRecommender.load]


def test_a_flip_of_any_byte_is_noticed(small, path):
    rng = np.random.default_rng(0)
    for place, flip in enumerate(rng.integers(1, 256, len(small)).tolist()):
        damaged = bytearray(small)
        damaged[place] ^= flip
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            READERS[place % 2](path)


def test_a_truncation_to_any_length_is_noticed(small, path):
    path.write_bytes(small)
    with open(path, "r+b") as file:
        for length in range(len(small) - 1, -1, -1):
            file.truncate(length)
            with pytest.raises(ModelFileError):
                READERS[length % 2](path)
    path.write_bytes(small + b"\0")
    with pytest.raises(ModelFileError):
        load_model(path)


def test_damage_is_told_apart(small, path):
    def message(data):
        path.write_bytes(data)
        with pytest.raises(ModelFileError) as error:
            load_model(path)
        return str(error.value)

    assert "is not a model file, or truncated" in message(b"")
    assert "is not a model file, or truncated" in message(b"user song count\n" * 9)
    assert "is truncated" in message(small[:-1])
    assert "has changed since it was saved" in message(small[:-1] + bytes([small[-1] ^ 1]))
    assert "was not written by `save_model`" in message(foreign_file())
    assert all(str(path) in message(data) for data in (b"", small[:-1]))


def foreign_file():
    from safetensors.numpy import save

    return save({"weights": np.zeros(3)})


def forged(small, path, *, document=None, fields=None):
    """Write a file whose JSON or header was changed, and whose checksum is right."""
    n = int.from_bytes(small[:8], "little")
    header = json.loads(small[8 : 8 + n])
    own = json.loads(header["__metadata__"]["shallow_ae"])
    if document:
        document(own)
    header["__metadata__"] = {"shallow_ae": json.dumps(own), "sha256": "0" * 64}
    if fields:
        fields(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = len(text).to_bytes(8, "little") + text + small[8 + n :]
    digest = container.hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))


def test_a_forged_file_that_is_right_loads(small, path):
    forged(small, path)
    assert load_model(path).recommend([("cleo", "x")], k=1)["item"].tolist() == ["y"]


def steps_of(document):
    return document["model"]["params"]["steps"]


def model_of(document):
    return steps_of(document)[-1][1]


def state_of(document):
    return model_of(document)["learned"]["_fitted"]


def setter(place, **values):
    return lambda document: place(document).update(values)


BOMBS = {
    "schema": setter(lambda own: own, schema=2),
    "no schema": setter(lambda own: own, schema="1"),
    "no model": setter(lambda own: own, model=3),
    "a class of another library": setter(model_of, kind="os.system"),
    "a parameter that does not exist": lambda own: model_of(own)["params"].update(command="ls"),
    "an attribute that does not exist": lambda own: model_of(own)["learned"].update(predict=1),
    "another model's state": lambda own: model_of(own).update(kind="PopularityRecommender"),
    "a type that does not exist": lambda own: state_of(own).update({"@": "Popen"}),
    "a field that does not exist": lambda own: state_of(own).update(shell=True),
    "more items than weights": lambda own: state_of(own)["item_counts"].update(
        name="model.steps.none"
    ),
    "a sparse matrix of 10^12 columns": lambda own: state_of(own)["weights"]["form"]["P"].update(
        shape=[3, 10**12]
    ),
    "a sparse matrix of 10^12 rows": lambda own: state_of(own)["weights"]["form"]["P"].update(
        shape=[10**12, 3]
    ),
    "weights that are a number": lambda own: state_of(own)["weights"].update(form=3),
    "no state": lambda own: model_of(own)["learned"].update(_fitted=None),
    "an array that does not exist": lambda own: state_of(own)["item_counts"].update(name="x"),
    "steps that are no list": lambda own: own["model"]["params"].update(steps=3),
    "names for fewer items": lambda own: model_of(own)["learned"].update(n_features_in_=2),
    "a fraction of an item": lambda own: model_of(own)["learned"].update(n_features_in_=3.0),
}


# Serving makes no estimators, so that it never looks at these values.
ONLY_OF_ESTIMATORS = {
    "a parameter that does not exist",
    "an attribute that does not exist",
    "another model's state",
    "names for fewer items",
    "a fraction of an item",
    "a field that does not exist",
    "a class of another library",
}


@pytest.mark.parametrize(
    ("read", "name"),
    [(load_model, name) for name in BOMBS]
    + [(ServingRecommender.load, name) for name in BOMBS if name not in ONLY_OF_ESTIMATORS],
)
def test_contents_that_do_not_belong_together_are_refused(read, name, small, path):
    forged(small, path, document=BOMBS[name])
    with pytest.raises(ModelFileError):
        read(path)


def test_a_newer_file_says_which_version_wrote_it(small, path):
    forged(small, path, document=BOMBS["schema"])
    with pytest.raises(ModelFileError, match=r"schema 2, .* up to 1.*'shallow-ae': .*upgrade"):
        load_model(path)


def test_deeply_nested_values_are_refused(small, path):
    n = int.from_bytes(small[:8], "little")
    header = json.loads(small[8 : 8 + n])
    text = header["__metadata__"]["shallow_ae"]
    start = text.index('"model":')
    deep = text[:start] + '"model":' + "[" * 100_000 + "]" * 100_000 + "}"
    forged(small, path, fields=lambda own: own["__metadata__"].update(shallow_ae=deep))
    for read in READERS:
        with pytest.raises(ModelFileError, match="its JSON is invalid"):
            read(path)


P_DATA = "steps.sparseshallowautoencoder._fitted.weights.P.data"
INDPTR = P_DATA.replace("data", "indptr")
FIELDS = {
    "10^12 elements": {"shape": [10**12]},
    "10^12 elements in 10^12 bytes": {"shape": [10**12], "data_offsets": [0, 4 * 10**12]},
    "a negative axis": {"shape": [-1]},
    "an axis that is no number": {"shape": ["3"]},
    "no place": {"data_offsets": [0]},
    "a place before the data": {"data_offsets": [-8, 4]},
    "an unknown type": {"dtype": "F8_E4M3"},
    "an odd place": {"data_offsets": [1, 13]},
    "an impossible shape": {"shape": [0, 2**62, 2**62], "data_offsets": [0, 0]},
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_header_that_lies_is_refused_at_once(name, small, path):
    n = int.from_bytes(small[:8], "little")
    assert P_DATA in json.loads(small[8 : 8 + n])
    forged(small, path, fields=lambda header: header[P_DATA].update(FIELDS[name]))
    for read in READERS:
        with pytest.raises(ModelFileError):
            read(path)


def changed(small, name, change):
    """Return the bytes of a file with other values in an array, and a wrong checksum."""
    n = int.from_bytes(small[:8], "little")
    field = json.loads(small[8 : 8 + n])[name]
    start, stop = (8 + n + place for place in field["data_offsets"])
    dtype = np.dtype(container._DTYPES[field["dtype"]])
    own = np.frombuffer(small[start:stop], dtype).copy()
    change(own)
    return small[:start] + own.tobytes() + small[stop:]


def put(value):
    def change(array):
        array[-1] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (P_DATA, put(np.nan)),
        (P_DATA, put(np.inf)),
        (P_DATA.replace("data", "indices"), put(3)),
        (P_DATA.replace("data", "indices"), put(-1)),
        (P_DATA.replace("data", "indptr"), put(100)),
        (P_DATA.replace("data", "indptr"), lambda own: own.__setitem__(1, 3)),
        ("steps.sparseshallowautoencoder._fitted.item_counts", put(np.nan)),
        ("steps.idmapper.items_.texts.ends", put(100)),
        ("steps.idmapper.items_.texts.ends", put(0)),
        ("steps.idmapper.items_.texts.ends", lambda own: own.__setitem__(0, -1)),
        ("steps.idmapper.items_.texts.bytes", put(ord("x"))),
        ("steps.idmapper.items_.texts.bytes", put(0xFF)),
    ],
)
def test_arrays_that_compiled_code_could_not_trust_are_refused(name, change, small, path):
    forged(changed(small, name, change), path)
    for read in READERS:
        with pytest.raises(ModelFileError):
            read(path)


def test_steps_of_other_features_than_the_items_are_refused(path):
    rows = [("ann", "x", 3), ("bob", "y", 1)]
    save_model(make_recommender(LogCountTransformer(), PopularityRecommender()).fit(rows), path)

    def other_features(own):
        steps_of(own)[1][1]["learned"]["n_features_in_"] = 3

    forged(path.read_bytes(), path, document=other_features)
    with pytest.raises(ModelFileError, match="a LogCountTransformer of other features"):
        load_model(path)


def test_a_mask_of_another_shape_is_refused(path):
    def of_another_shape(own):
        data, mask = ({"@": "array", "name": name} for name in (P_DATA, INDPTR))
        own["model"]["params"]["memory"] = {"@": "masked", "data": data, "mask": mask}

    listens = [("ann", "x", 3), ("bob", "y", 1), ("ann", "y", 2), ("bob", "z", 1)]
    save_model(make_recommender(SparseShallowAutoEncoder(n_neighbors=1)).fit(listens), path)
    forged(path.read_bytes(), path, document=of_another_shape)
    with pytest.raises(ModelFileError, match="mask has another shape"):
        load_model(path)


def test_a_random_state_beyond_its_words_is_refused(path):
    save_model(ShallowAutoEncoder(random_state=np.random.RandomState(1)), path)

    def beyond(own):
        own["model"]["params"]["random_state"]["state"]["pos"] = 10**8

    forged(path.read_bytes(), path, document=beyond)
    with pytest.raises(ModelFileError, match="beyond its words"):
        load_model(path)


def masked(own):
    form = state_of(own)["weights"]["form"]["P"]
    form["indices"] = {"@": "masked", "data": form["indices"], "mask": form["indices"]}


def named_twice(own):
    state = state_of(own)
    state["diagonal"] = state["item_counts"]


def reversed_steps(own):
    steps_of(own).reverse()


def a_number_in_between(own):
    steps_of(own).insert(1, ["odd", 3])


def without_mapper(own):
    steps_of(own).pop(0)


@pytest.mark.parametrize("read", READERS, ids=["load_model", "serving"])
@pytest.mark.parametrize(
    "change", [masked, named_twice, reversed_steps, a_number_in_between, without_mapper]
)
def test_forged_structures_are_refused(change, read, small, path):
    forged(small, path, document=change)
    with pytest.raises(ModelFileError):
        read(path)


def test_damaged_bytes_of_skops_are_refused(path):
    listens = made_up_listens(9)
    recommender = make_recommender(MaxAbsScaler(), SparseShallowAutoEncoder()).fit(listens)
    save_model(recommender, path)
    name = "steps.maxabsscaler.data"
    contents = container.read(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}" + " " * 10**6)
    for data in (b"no archive", packed.getvalue()):
        contents.arrays[name] = np.frombuffer(data, np.uint8)
        container.write(path, contents)
        for read in READERS:
            with pytest.raises(ModelFileError, match="is damaged: skops cannot"):
                read(path)


@pytest.mark.parametrize("model", [IdMapper(), LogCountTransformer(), PopularityRecommender()])
def test_a_file_that_cannot_be_served_is_not_called_damaged(model, path):
    save_model(model, path)
    with pytest.raises(ModelFileError, match="expected a fitted model") as error:
        ServingRecommender.load(path)
    assert "damaged" not in str(error.value)


# Other ways to keep a model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", ["pickle", "joblib", "skops", "copy"])
def test_other_ways_to_keep_a_model(name, way, path):
    recommender, listens = fitted_recommender(name), listens_for(name)
    if way == "pickle":
        loaded = pickle.loads(pickle.dumps(recommender))
    elif way == "joblib":
        joblib.dump(recommender, path)
        loaded = joblib.load(path, mmap_mode="r")
    elif way == "skops":
        data = skops.io.dumps(recommender)
        loaded = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    else:
        loaded = copy.deepcopy(recommender)
    mine, theirs = (own.recommend(listens, k=7) for own in (recommender, loaded))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    mapper = loaded[0]
    assert_array_equal(mapper.item_index(mapper.items_), np.arange(len(mapper.items_)))


# Files of earlier versions


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.safetensors")))
def test_files_of_earlier_versions_load(name):
    path = FIXTURES / f"{name}.safetensors"
    expected = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    for read in READERS:
        recommender = read(path)
        if read is load_model:
            frame = recommender.recommend([("new", item) for item in expected["history"]], k=3)
            items, scores = frame["item"].tolist(), frame["score"].to_numpy()
        else:
            items, scores, _, _ = recommender.recommend(expected["history"], k=3)
        assert items == expected["items"]
        np.testing.assert_allclose(scores, expected["scores"], rtol=1e-5)


def test_there_are_files_of_every_model():
    assert {path.stem for path in FIXTURES.glob("*.safetensors")} >= {
        f"schema1-{name.replace(', ', '-').replace(' ', '-')}" for name in MODELS
    }


def test_json_in_another_encoding_is_refused(small, path):
    n = int.from_bytes(small[:8], "little")
    header = small[8 : 8 + n].decode().encode("utf-32-le")
    path.write_bytes(len(header).to_bytes(8, "little") + header + small[8 + n :])
    for read in READERS:
        with pytest.raises(ModelFileError, match="its JSON is invalid"):
            read(path)
