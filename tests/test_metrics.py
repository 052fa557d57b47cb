"""NDCG: worked by hand, as the notebook has it, and as scikit-learn has it.

Sums of at most a hundred terms in float64 are equal to some 1e-14: 1e-12 is far from that, and
from what one item in another place changes.
"""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score as sklearn_ndcg_score

from shallow_ae import ndcg_score

TRUTH = {"ann": ["x", "y", "z"], "bob": ["x"], "cleo": [], "dan": ["y"]}
RECOMMENDED = {"ann": ["y", "w", "x"], "bob": ["w", "x"], "cleo": ["x"], "eve": ["x"]}
LOG3 = math.log2(3)
ANN = (1 + 1 / 2) / (1 + 1 / LOG3 + 1 / 2)
BOB = (1 / LOG3) / 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (ANN + BOB + 0) / 3),  # dan has truth and no list, cleo and eve have no truth
        ({"no_recommendations": "omit"}, (ANN + BOB) / 2),
        ({"k": 1}, (1 + 0 + 0) / 3),
        ({"k": 2}, (1 / (1 + 1 / LOG3) + BOB + 0) / 3),
        ({"k": 2, "ideal": "full"}, (1 / (1 + 1 / LOG3 + 1 / 2) + BOB + 0) / 3),
        ({"k": 100}, (ANN + BOB + 0) / 3),
    ],
)
def test_worked_by_hand(settings, expected):
    assert ndcg_score(TRUTH, RECOMMENDED, **settings) == pytest.approx(expected, rel=1e-12)


def test_every_form_of_the_same_lists_scores_the_same():
    truth = [[0, 1, 2], [0], [], [1]]
    recommended = [[1, 3, 0], [3, 0], [0], []]
    expected = ndcg_score(TRUTH, RECOMMENDED)
    padded = np.array([[1, 3, 0], [3, 0, -1], [0, -1, -1], [-1, -1, -1]])
    matrix = sp.lil_array((4, 4))
    for user, items in enumerate(truth):
        matrix[user, items] = 2.5
    named = np.array([None, "x", "y", "z", "w"], dtype=object)[padded + 1]
    padded_truth = np.array([[0, 1, 2], [0, -1, -1], [-1, -1, -1], [1, -1, -1]])
    assert ndcg_score(truth, recommended) == expected
    assert ndcg_score(truth, padded) == expected
    assert ndcg_score(list(TRUTH.values()), named) == expected
    assert ndcg_score([np.array(items, dtype=int) for items in truth], padded) == expected
    assert ndcg_score(padded_truth, padded) == expected
    assert ndcg_score(matrix.tocsr(), padded) == expected
    assert ndcg_score(sp.coo_matrix(matrix), padded) == expected
    for dok in (sp.dok_array(matrix), sp.dok_matrix(matrix)):
        assert ndcg_score(dok, padded) == expected
        assert ndcg_score(dok, pd.Series(recommended)) == expected
    assert ndcg_score(matrix.tocsc(), recommended) == expected


def notebook_ndcg(truth, recommended, k):
    """Return the notebook's NDCG: ideal over the whole truth, users without a list left out."""
    total, n_users = 0.0, 0
    for user, items in truth.items():
        if not items or not recommended.get(user):
            continue
        dcg = sum(1 / math.log2(r + 2) for r, i in enumerate(recommended[user][:k]) if i in items)
        total += dcg / sum(1 / math.log2(r + 2) for r in range(len(items)))
        n_users += 1
    return total / n_users


ITEM_LISTS = st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 9), unique=True))


@given(truth=ITEM_LISTS, recommended=ITEM_LISTS, k=st.sampled_from([1, 3, 100]))
def test_full_and_omit_are_the_notebooks_definition(truth, recommended, k):
    ruler = {"k": k, "ideal": "full", "no_recommendations": "omit"}
    if not any(items and recommended.get(user) for user, items in truth.items()):
        unanswered = "has held-out items and recommendations|no user in common"
        with pytest.raises(ValueError, match=unanswered):
            ndcg_score(truth, recommended, **ruler)
        return
    expected = notebook_ndcg(truth, recommended, k)
    assert ndcg_score(truth, recommended, **ruler) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 5, 20, None])
def test_equals_scikit_learn_where_the_definitions_coincide(k):
    rng = np.random.default_rng(0)
    relevance = rng.random((30, 20)) < 0.2
    relevance[~relevance.any(axis=1), 0] = True  # it scores users without truth 0, we leave out
    scores = rng.permuted(np.tile(np.arange(20.0), (30, 1)), axis=1)  # without ties
    ranking = np.argsort(-scores, axis=1)
    expected = sklearn_ndcg_score(relevance, scores, k=k)
    assert ndcg_score(sp.csr_array(relevance), ranking, k=k) == pytest.approx(expected, rel=1e-12)


@given(st.permutations(range(8)), st.sets(st.integers(0, 7), min_size=1), st.integers(0, 6))
def test_bounds_and_a_swap_towards_the_ideal(ranking, truth, place):
    before = ndcg_score([truth], [ranking])
    assert 0 <= before <= 1 + 1e-12
    swapped = list(ranking)
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    after = ndcg_score([truth], [swapped])
    gained = (ranking[place + 1] in truth) - (ranking[place] in truth)
    assert np.sign(round(after - before, 12)) == gained
    ideal = sorted(ranking, key=lambda item: item not in truth)
    assert ndcg_score([truth], [ideal], k=5) == pytest.approx(1)


def test_a_repeated_item_counts_once():
    assert ndcg_score([[1, 2]], [[1, 1, 1]]) == ndcg_score([[1, 2]], [[1, 5, 6]])
    assert ndcg_score([[1, 1, 2]], [[1]]) == ndcg_score([[1, 2]], [[1]])


def test_an_empty_place_keeps_its_rank():
    assert ndcg_score([[7]], np.array([[-1, 7]])) == pytest.approx(1 / LOG3)


@pytest.mark.parametrize(
    ("y_true", "y_rec", "settings", "error", "message"),
    [
        (TRUTH, [["x"]], {}, TypeError, "y_true is a dict and y_rec a list"),
        ([[1], [2]], [[1]], {}, ValueError, "y_true has 2 users and y_rec 1"),
        (sp.csr_array((2, 2)), [[1]], {}, ValueError, "y_true has 2 users and y_rec 1"),
        ({"ann": "x"}, {"ann": ["x"]}, {}, TypeError, "found a single string"),
        (np.array([[0, 1, 0]]), np.array([[1]]), {}, ValueError, "repeats items within a row"),
        ([[1]], np.array([1]), {}, ValueError, r"needs shape \(n_users, n_places\), got \(1,\)"),
        ([[]], [[1]], {}, ValueError, "none of 1 users has held-out items"),
        ({}, {}, {}, ValueError, "none of 0 users"),
        (TRUTH, RECOMMENDED, {"k": 0}, ValueError, "`k`=0 must be an integer >= 1"),
        (TRUTH, RECOMMENDED, {"ideal": "cut"}, ValueError, "`ideal`='cut' must be one of"),
    ],
)
def test_bad_input_gets_a_clear_error(y_true, y_rec, settings, error, message):
    with pytest.raises(error, match=message):
        ndcg_score(y_true, y_rec, **settings)


@pytest.mark.parametrize("dtype", [bool, float])
def test_relevance_is_not_read_as_indices(dtype):
    relevance = np.eye(2, 6, dtype=dtype)
    with pytest.raises(ValueError, match=r"holds no items: .* Pass a users x items matrix"):
        ndcg_score(relevance, np.array([[0, 1], [1, 2]]))
    with pytest.raises(ValueError, match="holds no items"):
        ndcg_score([[0], [1]], relevance)


def test_a_list_of_arrays_has_empty_places_as_an_array_has():
    ranked = np.array([[-1, 0], [-1, 2]])
    assert ndcg_score([[0], [1]], list(ranked)) == ndcg_score([[0], [1]], ranked)
    assert ndcg_score(list(np.array([[0, -1], [1, -1]])), ranked) == ndcg_score([[0], [1]], ranked)


def test_frames_and_strangers_are_told_apart_from_lists():
    frame = pd.DataFrame({"user": ["ann"], "item": ["x"]})
    with pytest.raises(TypeError, match=r"`shallow_ae\.evaluation\.item_lists\(frame\)`"):
        ndcg_score(frame, frame)
    with pytest.raises(ValueError, match="no user in common: 1 is one of the former, '1' one of"):
        ndcg_score({1: ["x"]}, {"1": ["x"]})
    assert ndcg_score({1: ["x"]}, {}) == 0
