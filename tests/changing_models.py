"""Models that change while they are asked: the states of each kind, in a cycle, and the questions.

A state is known by the answers that it gives when nothing else runs. The states of a kind differ in
their users, weights, items, number of items and order of columns.
"""

import tempfile
from collections.abc import Callable
from copy import copy, deepcopy
from pathlib import Path
from pickle import dumps, loads
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from recommenders import made_up_listens

from shallow_ae import (
    BlendedRecommender,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    load_model,
    make_recommender,
    save_model,
)
from shallow_ae.serving import ServingRecommender

ITEMS = [f"song{n:05}" for n in range(20)]
NEW = ["song90000", "song90001"]


class Subject(NamedTuple):
    """A model, its changes in the order of a cycle, and the questions that it is asked."""

    changes: list[Callable[[], object]]  # the first leads to the same state from every other
    questions: dict[str, Callable[[], Any]]
    tolerance: float = 0.0  # of numbers, relative to the largest of an answer; 0 means equal bits


def rows(n_users, items, seed, dtype=np.float32):
    """Return a frame of interactions: a column for each item."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.7, (n_users, len(items))) * rng.uniform(0.5, 2, (n_users, len(items)))
    X[:, :2] += 1
    return pd.DataFrame(X.astype(dtype), columns=items)


def model_subject(model, n_users=60, dtype=np.float32, tolerance=0.0):
    """Return a model that is fitted to frames, updated if it can be, and fitted to others."""
    own = rows(n_users, ITEMS, 0, dtype)
    others = rows(n_users, ITEMS[::-1], 1, dtype)  # as many items, in another order
    further = rows(3, ITEMS, 2, dtype)
    with_new = rows(3, [*ITEMS, *NEW], 3, dtype)
    changes = [lambda: model.fit(own)]
    if hasattr(model, "partial_fit"):
        changes += [lambda: model.partial_fit(further), lambda: model.partial_fit(with_new)]
    if hasattr(model, "forget") and getattr(model, "solver", "") != "sgd":
        changes += [lambda: model.forget(with_new)]
    if isinstance(model, BlendedRecommender):
        changes += [lambda: model.set_params(weights=[1.0, 0.2])]
    changes += [lambda: model.fit(others)]
    if isinstance(model, BlendedRecommender):
        changes += [lambda: model.set_params(weights=None)]
    return Subject(changes, model_questions(model, dtype), tolerance)


def model_questions(model, dtype):
    """Return the questions that are asked of a model. Some name items, some count columns."""
    named, unnamed = rows(4, ITEMS, 5, dtype), rows(4, ITEMS, 5, dtype).to_numpy()
    asked = [[0, 3], [1, 2], [4, 19], [-1, 7]]
    names = ("item_counts_", "n_samples_seen_", "n_features_in_", "feature_names_in_")

    def joint(of):
        """Ask for what only one state can have together."""
        learned = [getattr(of, name) for name in names]
        return [*learned, of.recommend(named, k=5, return_scores=True)]

    questions = {
        "recommend": lambda: model.recommend(named, k=5, return_scores=True),
        "recommend, an array": lambda: model.recommend(unnamed, k=30, exclude_seen=False),
        "predict": lambda: model.predict(named),
        "predict, an array": lambda: model.predict(unnamed),
        "similar_items": lambda: model.similar_items([0, 3], k=3, return_scores=True),
        "explain": lambda: model.explain(named, asked, k=3),
        "score": lambda: model.score(named),
        "score, an array": lambda: model.score(unnamed, unnamed[::-1]),
        "counts": lambda: model.item_counts_,
        "copy": lambda: joint(copy(model)),
        "deepcopy": lambda: joint(deepcopy(model)),
        "pickle": lambda: joint(loads(dumps(model))),
        "save_model": lambda: joint(saved_and_loaded(model)),
    }
    if not isinstance(model, PopularityRecommender):
        questions["item_weights_"] = lambda: model.item_weights_
        questions["largest_weights"] = lambda: model.largest_weights(3)
    if getattr(model, "solver", "") == "exact":
        questions["sparsify"] = lambda: joint(model.sparsify(4))
    return questions


def saved_and_loaded(model, keep="serving"):
    """Return a model after a way through a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_model(model, path, keep=keep)
        return load_model(path, memory_map=False)


def pipeline_subject(model, tolerance=0.0):
    """Return a pipeline that keeps its interactions: fitted, added to, and taken from."""
    recommender = make_recommender(LogCountTransformer(), model, keep_interactions=True)
    own, others = made_up_listens(60), made_up_listens(50, 16, seed=1)[::-1]
    further = made_up_listens(63, 22, seed=2)[-60:]
    users = [f"listener{n:05}" for n in (3, 7, 61, 11)]
    changes = [
        lambda: recommender.fit(own),
        lambda: recommender.partial_fit(further),
        lambda: recommender.forget(users=users[:1]),
        lambda: recommender.fit(others),
    ]
    asked = made_up_listens(4, seed=5)
    songs = ["song00003", "song00007"]

    def joint(of):
        return [of[0].items_, of[-1].item_counts_, of.recommend(asked, k=5)]

    def served():
        serving = ServingRecommender.from_pipeline(recommender)
        return [serving.items.tolist(), serving.recommend(songs, k=5)]

    def batches():
        return pd.concat(list(recommender.recommend_batches(k=3, batch_size=20)))

    def written():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recommendations")
            recommender.write_recommendations(asked, path, k=4, batch_size=2)
            return pd.read_parquet(path)

    questions = {
        "recommend": lambda: recommender.recommend(asked, k=5),
        "recommend(users=)": lambda: recommender.recommend(users=users, k=5),
        "recommend, candidates": lambda: recommender.recommend(asked, k=3, candidates=songs),
        "recommend_batches": batches,
        "write_recommendations": written,
        "similar_items": lambda: recommender.similar_items(songs, k=3),
        "explain": lambda: recommender.explain(asked, songs, k=3),
        "explain, kept": lambda: recommender.explain(None, songs, k=2),
        "largest_weights": lambda: recommender.largest_weights(3),
        "score": lambda: recommender.score(asked),
        "copy": lambda: joint(copy(recommender)),
        "deepcopy": lambda: joint(deepcopy(recommender)),
        "pickle": lambda: joint(loads(dumps(recommender))),
        "save_model": lambda: joint(saved_and_loaded(recommender)),
        "save_model, all": lambda: joint(saved_and_loaded(recommender, "all")),
        "ServingRecommender": served,
    }
    return Subject(changes, questions, tolerance)


def mapper_subject():
    """Return an IdMapper that is fitted to users and items in different orders."""
    mapper = IdMapper(time="time", half_life=20.0)
    tables = [made_up_listens(60), made_up_listens(60)[::-1], made_up_listens(50, 23, seed=1)]
    tables = [table.assign(time=np.arange(len(table)) * 0.1 * n) for n, table in enumerate(tables)]
    asked = tables[1][:200].assign(time=3.0)
    songs = ["song00003", "song00022"]

    def joint(of):
        return [of.items_, of.users_, of.reference_time_, of.transform(asked)]

    questions = {
        "transform": lambda: mapper.transform(asked),
        "inverse_transform": lambda: mapper.inverse_transform(np.eye(60, 20)),
        "item_index": lambda: mapper.item_index(songs),
        "item_ids": lambda: mapper.item_ids([0, 3, -1, 22]),
        "user_index": lambda: mapper.user_index(["listener00003", "listener00059"]),
        "get_feature_names_out": lambda: mapper.get_feature_names_out(),
        "deepcopy": lambda: joint(deepcopy(mapper)),
        "pickle": lambda: joint(loads(dumps(mapper))),
        "save_model": lambda: joint(saved_and_loaded(mapper, "all")),
    }
    return Subject([lambda table=table: mapper.fit(table) for table in tables], questions)


def serving_subject(folder):
    """Return a file that is replaced by other models, and a recommender that is loaded anew."""
    path = Path(folder, "served.safetensors")
    recommenders = [
        make_recommender(LogCountTransformer(), model).fit(made_up_listens(60, n_items, seed))
        for seed, (n_items, model) in enumerate(
            [
                (20, ShallowAutoEncoder(0.1, solver="exact")),
                (17, SparseShallowAutoEncoder(0.1, n_neighbors=4)),
                (30, ShallowAutoEncoder(0.3, solver="exact")),
                (20, PopularityRecommender()),
            ]
        )
    ]
    loaded = {}
    history, songs = {"song00003": 2, "song00007": 1, "song00025": 1}, ["song00003", "song00012"]

    def replaced_by(recommender):
        def change():
            save_model(recommender, path)
            loaded["serving"] = ServingRecommender.load(path)

        return change

    def joint(serving):
        answer = serving.recommend(history, k=5)
        return [serving.items.tolist(), serving.item_counts.tolist(), *answer]

    questions = {
        "recommend": lambda: list(loaded["serving"].recommend(history, k=5)),
        "recommend, no history": lambda: list(loaded["serving"].recommend([], k=5)),
        "recommend_batch": lambda: loaded["serving"].recommend_batch([history, songs, []], k=5),
        "similar_items": lambda: list(loaded["serving"].similar_items("song00003", k=5)),
        "explain": lambda: list(loaded["serving"].explain(history, "song00001", k=3)),
        "all of one": lambda: joint(loaded["serving"]),
        "load": lambda: joint(ServingRecommender.load(path)),
        "load, in memory": lambda: joint(ServingRecommender.load(path, memory_map=False)),
        "load_model": lambda: load_model(path).recommend([("ann", song) for song in songs], k=5),
    }
    return Subject([replaced_by(own) for own in recommenders], questions)


def parts():
    """Return the parts of a sum."""
    return [("near", near()), ("tastes", LowRankAutoEncoder(5, random_state=0))]


def exact():
    """Return a model in closed form."""
    return ShallowAutoEncoder(0.1, solver="exact")


def near():
    """Return a model with few weights."""
    return SparseShallowAutoEncoder(0.1, n_neighbors=4)


# Scores that are products with an inverse or with item vectors are promised up to rounding. In
# float64, rounding is a billionth of them or less, and the states differ by a thousandth or more.
ROUNDED: dict[str, Any] = {"dtype": np.float64, "tolerance": 1e-9}
KINDS: dict[str, Callable[[str], Subject]] = {
    "gradient descent": lambda _: model_subject(ShallowAutoEncoder(max_iter=5, random_state=0)),
    "exact, Gram matrix kept": lambda _: model_subject(exact()),
    "exact, rows kept": lambda _: model_subject(exact(), n_users=24),
    "exact, dual": lambda _: model_subject(exact(), n_users=10, **ROUNDED),
    "nearest items": lambda _: model_subject(near()),
    "low rank": lambda _: model_subject(LowRankAutoEncoder(5, random_state=0), **ROUNDED),
    "popularity": lambda _: model_subject(PopularityRecommender()),
    "sum": lambda _: model_subject(BlendedRecommender(parts()), **ROUNDED),
    "pipeline, exact": lambda _: pipeline_subject(exact()),
    "pipeline, nearest items": lambda _: pipeline_subject(near()),
    "pipeline, gradient descent": lambda _: pipeline_subject(
        ShallowAutoEncoder(max_iter=5, random_state=0)
    ),
    "ids": lambda _: mapper_subject(),
    "serving from a file": serving_subject,
}
