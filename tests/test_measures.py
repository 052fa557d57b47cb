"""Each measure: worked by hand, within bounds, rising towards the ideal, as well-kept packages.

Numbers that differ are parts of a small sum apart, equal ones up to a few roundings in float64
(seen: 9e-16): 1e-12 and pytest's 1e-6 tell them apart.
"""

import math

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, log_loss

from shallow_ae import ShallowAutoEncoder, evaluate, metrics
from shallow_ae.metrics import coverage_score, gini_score, novelty_score, recall_score

# ann is to find x, y and z, and bob x; dan gets no list, and cleo has nothing to find.
TRUTH = {"ann": ["x", "y", "z"], "bob": ["x"], "cleo": [], "dan": ["y"]}
RECOMMENDED = {"ann": ["y", "w", "x"], "bob": ["w", "x"], "cleo": ["x"], "eve": ["x"]}
TREC = {  # trec_eval's name of each measure at a cutoff
    "ndcg": "ndcg_cut",
    "recall": "recall",
    "precision": "P",
    "hit_rate": "success",
    "map": "map_cut",
}
OTHER_IDEAL = {"ndcg": "full", "recall": "cutoff", "map": "cutoff"}


def measure(name):
    return getattr(metrics, f"{name}_score")


@pytest.mark.parametrize(
    ("name", "arguments", "of_ann", "of_bob"),
    [
        ("recall", {}, 2 / 3, 1),
        ("recall", {"k": 2}, 1 / 3, 1),
        ("recall", {"k": 2, "ideal": "cutoff"}, 1 / 2, 1),
        ("precision", {}, 2 / 3, 1 / 2),
        ("precision", {"k": 2}, 1 / 2, 1 / 2),
        ("precision", {"k": 10}, 2 / 10, 1 / 10),
        ("hit_rate", {}, 1, 1),
        ("hit_rate", {"k": 1}, 1, 0),
        ("map", {}, (1 / 1 + 2 / 3) / 3, 1 / 2),
        ("map", {"k": 2}, 1 / 3, 1 / 2),
        ("map", {"k": 2, "ideal": "cutoff"}, 1 / 2, 1 / 2),
        ("mrr", {}, 1, 1 / 2),
        ("mrr", {"k": 1}, 1, 0),
        ("ndcg", {"k": 2}, 1 / (1 + 1 / math.log2(3)), 1 / math.log2(3)),
    ],
)
def test_worked_by_hand(name, arguments, of_ann, of_bob):
    score = measure(name)
    values = score(TRUTH, RECOMMENDED, per_user=True, **arguments)
    np.testing.assert_allclose(values, [of_ann, of_bob, np.nan, 0], rtol=1e-12)
    mean = score(TRUTH, RECOMMENDED, **arguments)
    assert mean == pytest.approx((of_ann + of_bob + 0) / 3, rel=1e-12)
    answered = score(TRUTH, RECOMMENDED, no_recommendations="omit", **arguments)
    assert answered == pytest.approx((of_ann + of_bob) / 2, rel=1e-12)


@st.composite
def a_ranking(draw):
    """Return a permutation of eight items, some of them relevant, and a cutoff."""
    ranking = draw(st.permutations(range(8)))
    return ranking, draw(st.sets(st.integers(0, 7), min_size=1)), draw(st.integers(1, 9))


@pytest.mark.parametrize("name", [*TREC, "mrr"])
@given(a_ranking(), st.integers(0, 6))
def test_bounds_and_a_swap_towards_the_ideal(name, case, place):
    ranking, truth, k = case
    score = measure(name)
    before = score([truth], [ranking], k=k)
    assert 0 <= before <= 1 + 1e-12
    better = list(ranking)
    if ranking[place] not in truth and ranking[place + 1] in truth:
        better[place], better[place + 1] = better[place + 1], better[place]
    assert score([truth], [better], k=k) >= before - 1e-12
    ideal = sorted(ranking, key=lambda item: item not in truth)
    best = score([truth], [ideal], k=k)
    assert best >= before - 1e-12
    if name in ("hit_rate", "mrr", "ndcg"):
        assert best == pytest.approx(1)
    if name in OTHER_IDEAL:
        reachable = score([truth], [ideal], k=k, ideal="cutoff")
        assert reachable == pytest.approx(1)
        assert score([truth], [ranking], k=k, ideal="full") <= reachable + 1e-12


@pytest.mark.parametrize("name", [*TREC, "mrr"])
@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("form", ["indices", "ids"])
def test_equals_trec_eval(name, k, form):
    rng = np.random.default_rng(0)
    ranking = np.argsort(rng.random((40, 15)), axis=1)[:, : 12 - 2 * (k == 10)]
    relevance = rng.random((40, 15)) < 0.2
    relevance[~relevance.any(axis=1), 0] = True
    judged = {f"u{u}": {f"i{i}": 1 for i in np.flatnonzero(r)} for u, r in enumerate(relevance)}
    listed = {
        f"u{u}": {f"i{i}": float(-rank) for rank, i in enumerate(row[:k])}
        for u, row in enumerate(ranking)
    }
    theirs = f"{TREC[name]}.{k}" if name in TREC else "recip_rank"
    answers = pytrec_eval.RelevanceEvaluator(judged, {theirs}).evaluate(listed)
    expected = [answers[user][theirs.replace(".", "_")] for user in judged]
    if form == "indices":
        values = measure(name)(sp.csr_array(relevance), ranking, k=k, per_user=True)
    else:
        ids = {user: list(items) for user, items in listed.items()}
        values = measure(name)({u: list(own) for u, own in judged.items()}, ids, k=k, per_user=True)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(OTHER_IDEAL))
def test_the_two_ideals_are_one_where_lists_are_long_enough(name):
    score, (one, other) = measure(name), ("full", "cutoff")
    truth, ranking = [[0, 1], [2]], np.array([[1, 3, 2], [0, 1, 2]])
    assert score(truth, ranking, k=3, ideal=one) == score(truth, ranking, k=3, ideal=other)
    assert score(truth, ranking, k=1, ideal=one) < score(truth, ranking, k=1, ideal=other)


@given(
    st.lists(st.lists(st.integers(0, 9)), min_size=1, max_size=6),
    st.lists(st.lists(st.integers(-1, 9), min_size=4, max_size=4), min_size=6, max_size=6),
    st.sampled_from([1, 2, 3, 4, 7, None]),
)
def test_indices_and_ids_are_matched_alike(truth, ranked, k):
    ranked = np.array(ranked[: len(truth)])
    if not any(truth):
        return
    ids = [[None if item < 0 else f"i{item}" for item in row] for row in ranked]
    names = [[f"i{item}" for item in own] for own in truth]
    matrix = sp.lil_array((len(truth), 10))
    for user, own in enumerate(truth):
        matrix[user, own] = 1
    for name in [*TREC, "mrr"]:
        expected = measure(name)(names, ids, k=k, per_user=True)
        for form in (truth, matrix.tocsr()):
            values = measure(name)(form, ranked, k=k, per_user=True)
            np.testing.assert_array_equal(values, expected)


def test_indices_too_large_to_be_marked_are_looked_up():
    truth, ranked = np.array([[2**40, 7]]), np.array([[7, 3, 2**40]])
    assert metrics.recall_score(truth, ranked, k=2) == 0.5


def test_lists_of_negative_ids_are_no_empty_places():
    assert metrics.recall_score([[-1, 5]], np.array([[5, -1]])) == 0.5  # in an array, it is
    assert metrics.recall_score([[-1, 5]], [[5, -1]]) == 1


LISTS = st.lists(st.lists(st.integers(0, 5), unique=True), min_size=1, max_size=6).filter(any)


@given(LISTS, st.integers(6, 9))
def test_exposure_is_within_bounds_and_as_scikit_learn_has_it(lists, n_items):
    times = np.bincount([item for own in lists for item in own], minlength=n_items)
    assert coverage_score(lists, n_items) == np.count_nonzero(times) / n_items
    lorenz = np.concatenate([[0], np.cumsum(np.sort(times))]) / times.sum()
    gini = gini_score(lists, n_items)
    assert gini == pytest.approx(1 - 2 * auc(np.linspace(0, 1, n_items + 1), lorenz), abs=1e-12)
    assert gini + 1e-12 >= 0
    assert gini <= 1 - 1 / n_items + 1e-12
    counts = np.arange(1, 7)
    shares = np.repeat(counts / 10, times[:6])
    bits = log_loss(np.ones(len(shares)), shares, labels=[0, 1]) / np.log(2)
    assert novelty_score(lists, counts, 10) == pytest.approx(bits)
    padded = np.array([own + [-1] * (6 - len(own)) for own in lists])
    assert coverage_score(list(padded), n_items) == coverage_score(lists, n_items)
    assert novelty_score(padded, counts, 10) == pytest.approx(bits)
    assert coverage_score(padded, n_items) == coverage_score(lists, n_items)
    assert gini_score(padded, n_items) == pytest.approx(gini)


def test_exposure_worked_by_hand():
    lists = {"ann": ["x", "y"], "bob": ["x", "z"]}
    assert coverage_score(lists, 6, k=1) == 1 / 6
    assert coverage_score(lists, 6) == 3 / 6
    # Exposures 0, 0, 0, 1, 1, 2: (2*4 - 7) * 1 + (2*5 - 7) * 1 + (2*6 - 7) * 2, over 6 * 4.
    assert gini_score(lists, 6) == pytest.approx((1 + 3 + 10) / 24)
    users = {"x": 8, "y": 2}  # z has none, which counts as one
    assert novelty_score(lists, users, 8) == pytest.approx((0 + 2 + 0 + 3) / 4)
    assert novelty_score(lists, pd.Series(users), 8, k=1) == 0


def test_an_index_beyond_the_catalogue_is_refused():
    for measure in (coverage_score, gini_score):
        with pytest.raises(ValueError, match="index 99 is recommended, but `n_items`=8"):
            measure(np.array([[99, -1]]), 8)
    assert coverage_score([[99]], 8) == 1 / 8  # an id


def test_the_novelty_of_a_weighted_model_is_that_of_the_rows_repeated():
    X = np.random.default_rng(0).poisson(0.6, (30, 8))
    plain = ShallowAutoEncoder(solver="exact").fit(X)
    items = plain.recommend(X, 3)
    expected = novelty_score(items, plain.item_counts_, plain.n_samples_seen_)
    for weight in (0.05, 5.0):
        weights = np.full(30, weight)
        model = ShallowAutoEncoder(solver="exact").fit(X, sample_weight=weights)
        novelty = novelty_score(items, model.item_counts_, weights.sum())
        assert novelty == pytest.approx(expected)
    # What nobody has is no less new than what next to nobody has, nor older than old.
    assert novelty_score([[0, 1]], [0.05, 0.0], 10) == pytest.approx(math.log2(200))
    assert novelty_score([[0, 1]], [0.5, 0.0], 0.5) == 0
    with pytest.raises(ValueError, match="with sample weights, pass their sum"):
        novelty_score(items, model.item_counts_, model.n_samples_seen_)


def test_series_by_user_and_iterators_are_read_as_dicts_and_lists():
    truth = {"ann": ["x", "y"], "bob": ["z"]}
    ranked = {"bob": ["z", "x"], "ann": ["w", "x"]}
    expected = evaluate(truth, ranked, ["ndcg", "recall"], k=[1, 2])
    given = (pd.Series(truth), pd.Series(ranked))
    pd.testing.assert_frame_equal(evaluate(*given, ["ndcg", "recall"], k=[1, 2]), expected)
    assert recall_score(*given) == recall_score(truth, ranked)
    assert coverage_score(given[1], 4) == coverage_score(ranked, 4)
    iterators = ({user: iter(items) for user, items in part.items()} for part in (truth, ranked))
    pd.testing.assert_frame_equal(evaluate(*iterators, ["ndcg", "recall"], k=[1, 2]), expected)
    assert recall_score([iter([-5, 1])], np.array([[1, 2]])) == 0.5  # an id below 0
    # A Series beside lists or arrays, and of nobody in particular, goes by position.
    assert recall_score(pd.Series([[1], [2]], index=[5, 5]), np.array([[1, 2], [3, 4]])) == 0.5
    assert coverage_score(pd.Series([["a"], ["b"]], index=[0, 0]), 5) == 2 / 5
    assert coverage_score(iter([["a"], ["b"]]), 5) == 2 / 5
    with pytest.raises(ValueError, match="each user once in its index: found 'ann' again"):
        recall_score(pd.Series([["x"], ["y"]], index=["ann", "ann"]), ranked)


def test_a_more_even_exposure_covers_more_and_a_rarer_item_is_newer():
    assert coverage_score([[0], [1]], 4) > coverage_score([[0], [0]], 4)
    assert gini_score([[0], [1]], 4) < gini_score([[0], [0]], 4)
    assert novelty_score([[1]], [8, 2], 8) > novelty_score([[0]], [8, 2], 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage_score([[], []], 4), "Nothing is recommended"),
        (lambda: gini_score(np.full((2, 3), -1), 4), "Nothing is recommended"),
        (lambda: coverage_score([["a", "b"]], 1), "2 different items are recommended"),
        (lambda: novelty_score([[0]], [9], 8), "An item has 9 users, but `n_users`=8"),
        (lambda: coverage_score([[0]], 4, k=0), "`k`=0 must be an integer >= 1"),
        (lambda: novelty_score([[0, -1]], [1, 8], 8), "`item_counts` has 2 items by index"),
        (lambda: novelty_score([[0, 2]], [1, 8], 8), "and 0 to 2 are recommended"),
        (lambda: novelty_score([["a"]], [1, 8], 8), "Pass a mapping for other ids"),
    ],
)
def test_bad_input_gets_a_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
