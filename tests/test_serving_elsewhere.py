"""The programs that recommend from a table of weights, against the pruned model."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shallow_ae import RecommenderPipeline, hold_out_items, ndcg_score
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists

ROOT = Path(__file__).resolve().parents[1]
SQL, QDRANT = "recommend_in_sql", "recommend_in_qdrant"
K = 100


def program(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_pruned_model(recommender, pruned, history):
    """Return the recommendations of the pruned model, with one more for each user than asked."""
    steps = [*recommender.steps[:-1], ("model", pruned)]
    answer = RecommenderPipeline(steps).recommend(history, k=K + 1, no_history="omit")
    return answer[answer["score"] > 0]


def assert_same(found, expected):
    """Compare scores by rank, and items whose score differs from the scores before and after it."""
    eps = np.finfo(np.float32).eps
    rounding = 50 * eps * expected["score"].max()  # sums of at most 50 float32 terms; seen: 1.3 eps
    scores = expected.groupby("user")["score"]
    gaps = np.minimum(-scores.diff().fillna(-np.inf), scores.diff(-1).fillna(np.inf))
    asked = expected.assign(is_distinct=gaps > 2 * rounding)[expected["rank"] <= K]
    both = asked.merge(found, on=["user", "rank"], how="outer", suffixes=("", "_found"))
    # A score beside 0 may be above 0 for one of them only.
    np.testing.assert_allclose(
        both["score_found"].fillna(0), both["score"].fillna(0), rtol=0, atol=rounding
    )
    distinct = both[both["is_distinct"].fillna(False).astype(bool) & (both["score"] > rounding)]
    assert len(distinct) > 0.9 * len(asked)
    np.testing.assert_array_equal(distinct["item_found"], distinct["item"])
    assert set(found["user"]) == set(asked["user"])


RUNS = [
    (SQL, ["--engine", "sqlite", "--users", "60"]),
    (SQL, ["--engine", "duckdb", "--users", "60"]),
    (QDRANT, ["--users", "15"]),
]
IDS = ["sqlite", "duckdb", "qdrant"]


def check_run(example, arguments, n_neighbors, capsys):
    recommended = example.main([*arguments, "--neighbors", str(n_neighbors)])
    told = capsys.readouterr().out

    folder = arguments[arguments.index("--lastfm") + 1] if "--lastfm" in arguments else None
    listens, names = example.read(folder)
    visible, hidden = hold_out_items(listens, example.HOLDOUT, random_state=0)
    recommender = example.learn(visible)
    n_users = int(arguments[arguments.index("--users") + 1])
    history = visible[visible["user"].isin(visible["user"].unique()[:n_users])]
    pruned = recommender[-1].sparsify(n_neighbors)
    assert_same(recommended, by_pruned_model(recommender, pruned, history))

    n_weights, n_items = pruned.item_weights_.nnz, pruned.n_features_in_
    assert told.startswith(f"{n_weights:,} weights of {n_items:,} items, ")
    truth = item_lists(hidden[hidden["user"].isin(history["user"])])
    complete = recommender.recommend(history, k=K)
    scores = [ndcg_score(truth, item_lists(answer), k=K) for answer in (complete, recommended)]
    assert re.findall(r" (0\.\d{4})$", told, re.M) == [f"{score:.4f}" for score in scores]
    first = recommended[recommended["user"] == history["user"].iloc[0]]["item"]
    assert f"recommended: {', '.join(names[first[:5]])}\n" in told


@pytest.mark.parametrize(("name", "arguments"), RUNS, ids=IDS)
@pytest.mark.slow
def test_made_up_listens(name, arguments, capsys):
    check_run(program(name), arguments, 50, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), RUNS, ids=IDS)
def test_lastfm(name, arguments, lastfm_folder, capsys):
    arguments = [*arguments, "--lastfm", str(lastfm_folder)]
    if name == QDRANT:  # its client compares the queries with all points, in Python
        arguments[arguments.index("--users") + 1] = "3"
    check_run(program(name), arguments, 20, capsys)


@pytest.mark.parametrize("engine", IDS)
def test_repeated_listens_are_summed_and_strangers_are_left_out(engine):
    listens, _ = make_listens(80, 60, items_per_user=8, random_state=0)
    example = program(QDRANT if engine == "qdrant" else SQL)
    recommender = example.learn(listens)
    half = listens.assign(count=listens["count"] / 2)
    unseen = pd.DataFrame(
        {"user": ["user_00", "stranger"], "item": ["song_59", "unknown"], "count": [0.0, 3.0]}
    )
    history = pd.concat([half, half, unseen], ignore_index=True)
    if engine == "qdrant":
        client = example.QdrantClient(":memory:")
        places = example.upload(client, recommender.largest_weights(5))
        found = example.recommend(client, places, history, K)
    else:
        tables = example.tables_for(recommender, history, 5, 100)
        found = example.recommend(getattr(example, f"in_{engine}")(tables), K)
    assert_same(found, by_pruned_model(recommender, recommender[-1].sparsify(5), listens))


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_ties_are_broken_by_the_order_of_the_columns(engine):
    example = program(SQL)
    songs = [f"song {place}" for place in (7, 3, 9, 1)]
    tables = {
        "listens": pd.DataFrame({"user": ["ann"], "item": songs[0], "count": 2}),
        "weights": pd.DataFrame({"item": songs[0], "similar": songs[1:], "weight": 0.5}),
        "items": pd.DataFrame({"item": songs, "position": range(4)}),
    }
    found = example.recommend(getattr(example, f"in_{engine}")(tables), 2)
    assert found["item"].tolist() == songs[1:3]
    np.testing.assert_allclose(found["score"], 0.5 * (1 + np.log(3)), rtol=1e-6)
