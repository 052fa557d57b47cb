"""Several measures at once, and how sure they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from shallow_ae import evaluate, hold_out_items, make_recommender, metrics
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists

TRUTH = [[0, 1], [2], [], [3]]
RANKED = np.array([[0, 5, 1], [4, 2, 6], [2, 3, 4], [-1, -1, -1]])


def test_it_is_the_metrics_one_by_one():
    table = evaluate(TRUTH, RANKED, k=[1, 3])
    assert list(table.columns) == ["metric", "k", "mean", "n_users", "n_left_out"]
    assert len(table) == 2 * 6
    for row in table.itertuples():
        score = getattr(metrics, f"{row.metric}_score")
        assert row.mean == pytest.approx(score(TRUTH, RANKED, k=row.k))
        assert (row.n_users, row.n_left_out) == (3, 1)


def test_the_other_ideals_have_names():
    names = ["ndcg_full", "recall_cutoff", "map_cutoff"]
    means = evaluate(TRUTH, RANKED, names, k=1)["mean"]
    expected = [
        metrics.ndcg_score(TRUTH, RANKED, k=1, ideal="full"),
        metrics.recall_score(TRUTH, RANKED, k=1, ideal="cutoff"),
        metrics.map_score(TRUTH, RANKED, k=1, ideal="cutoff"),
    ]
    np.testing.assert_allclose(means, expected)


def test_users_without_an_answer_may_be_left_out():
    table = evaluate(TRUTH, RANKED, ["recall"], k=3, no_recommendations="omit")
    assert table.loc[0, ["mean", "n_users", "n_left_out"]].tolist() == [1, 2, 2]


def test_an_interval_covers_the_mean_so_often_as_it_says():
    # 60 samples of users for whom the hit rate is known to be one half.
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        ranked = rng.integers(0, 2, (150, 1))
        table = evaluate([[1]] * 150, ranked, ["hit_rate"], k=1, confidence=0.9, n_resamples=200)
        assert table["low"][0] <= table["mean"][0] <= table["high"][0]
        covered += table["low"][0] <= 0.5 <= table["high"][0]
    # 54, and four standard deviations of sqrt(60 * .9 * .1). Seeds are fixed: seen, always, 54.
    assert 45 <= covered < 60


def test_an_interval_stays_where_means_can_be():
    table = evaluate([[0]] * 12, [[0]] + [[1]] * 11, ["hit_rate"], k=1, confidence=0.95)
    assert 0 <= table["low"][0] < table["mean"][0] < table["high"][0]  # 1/12, far from the middle


def test_a_seed_gives_the_same_interval_and_another_another():
    rng = np.random.default_rng(0)
    truth, ranked = [[0]] * 50, rng.integers(0, 9, (50, 3))
    tables = [evaluate(truth, ranked, k=2, confidence=0.9, random_state=s) for s in (0, 0, 1)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert (tables[0]["low"] != tables[2]["low"]).any()


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_frames_become_lists_in_their_order(kind):
    frame = kind({"user": ["b", "a", "b"], "song": ["x", "y", "w"]})
    assert item_lists(frame, item="song") == {"b": ["x", "w"], "a": ["y"]}


def test_from_listens_to_measures_by_raw_ids():
    listens, _ = make_listens(60, 40, items_per_user=8, random_state=0)
    visible, hidden = hold_out_items(listens, random_state=0)
    recommender = make_recommender().fit(visible)
    answer = recommender.recommend(visible, k=100)
    table = evaluate(item_lists(hidden), item_lists(answer), ["ndcg"])
    assert table["n_left_out"][0] == 0
    assert table["mean"][0] == pytest.approx(recommender.score(visible, hidden))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["recall@5"]}, "`metrics`='recall@5' must be one of 'ndcg'"),
        ({"k": [5, 0]}, "`k`=0 must be an integer >= 1"),
        ({"confidence": 95}, "`confidence`=95 must be a finite number > 0 and < 1"),
        ({"no_recommendations": "drop"}, "`no_recommendations`='drop' must be one of"),
    ],
)
def test_bad_input_gets_a_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(TRUTH, RANKED, **arguments)


def test_one_name_and_one_cutoff_of_any_kind_will_do():
    expected = evaluate(TRUTH, RANKED, ["ndcg"], k=[2])
    for metrics_, k in (("ndcg", np.int64(2)), (iter(["ndcg"]), (2,)), (["ndcg", "ndcg"], 2)):
        pd.testing.assert_frame_equal(evaluate(TRUTH, RANKED, metrics_, k=k), expected)


def test_one_user_has_no_interval():
    with pytest.raises(ValueError, match="`confidence` needs at least two users"):
        evaluate([[0]], [[0]], k=1, confidence=0.9)


def test_a_frame_without_rows_has_no_lists_and_one_without_a_user_is_refused():
    frame = pd.DataFrame({"user": ["a", None], "item": ["x", "y"]})
    assert item_lists(frame[:0]) == {}
    with pytest.raises(ValueError, match="Column 'user' holds 1 missing ids"):
        item_lists(frame)


@pytest.mark.parametrize("empty", [{"k": []}, {"metrics": []}])
def test_nothing_to_compute_is_an_error(empty):
    with pytest.raises(ValueError, match=f"`{next(iter(empty))}` is empty"):
        evaluate([[1]], [[1]], **empty)
