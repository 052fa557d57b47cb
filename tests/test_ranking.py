"""The ranking order: by score, then by smaller index, whatever the parts it is computed in."""

import numpy as np
import pytest
import scipy.sparse as sp
from bounds import rounding
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rankings import FORMS, in_order, listed

from shallow_ae._linalg.csr import csr_arrays
from shallow_ae._runtime import blocks as row_blocks
from shallow_ae._runtime.blocks import block_rows, blocks, share_rows
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.item_weights import SparseWeights
from shallow_ae._weights.ranking import all_scores, best_items
from shallow_ae._weights.selection import _score_threshold, n_groups
from shallow_ae._weights.top_k import rank_stored

N_USERS, N_ITEMS = 5, 7
SMALL = st.integers(-2, 2).map(float)  # sums of products of these are exact and often equal
FEW_VALUES = st.sampled_from([-np.inf, np.nan, -1.5, -0.0, 0.0, 0.25, 3.0, np.inf])
ITEM = st.integers(-1, N_ITEMS - 1)
LISTS = {
    "nothing": st.none(),
    "shared": st.lists(ITEM, max_size=N_ITEMS),
    "each": st.lists(st.lists(ITEM, max_size=4), min_size=N_USERS, max_size=N_USERS),
}


@settings(max_examples=3 * settings().max_examples)  # it has many arguments
@given(
    X=arrays(np.float64, (N_USERS, N_ITEMS), elements=SMALL),
    P=arrays(np.float64, (N_ITEMS, N_ITEMS), elements=SMALL),
    form=st.sampled_from(sorted(FORMS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    k=st.sampled_from([1, 2, 3, N_ITEMS, 2 * N_ITEMS]),
    exclude_seen=st.booleans(),
    candidates=st.one_of(*LISTS.values()),
    exclude=st.one_of(*LISTS.values()),
    as_matrix=st.booleans(),
    rows_per_task=st.integers(1, N_USERS),
)
def test_the_best_are_those_of_a_ranking_by_hand(
    X, P, form, dtype, k, exclude_seen, candidates, exclude, as_matrix, rows_per_task
):
    np.fill_diagonal(P, 0)
    offered = []
    for user in range(N_USERS):
        allowed = set(range(N_ITEMS)) if candidates is None else listed(candidates, user)
        allowed -= set() if exclude is None else listed(exclude, user)
        allowed -= set(np.flatnonzero(X[user])) if exclude_seen else set()
        offered.append(allowed)
    expected = np.array([in_order(X[u] @ P, offered[u], k) for u in range(N_USERS)])

    def given_as(lists):
        if not as_matrix or lists is None:
            return lists
        marks = np.zeros((N_USERS, N_ITEMS), np.int8)
        for user in range(N_USERS):
            marks[user, list(listed(lists, user))] = 1
        return sp.csc_array(marks)

    rows = sp.csr_array(X.astype(dtype))
    allowed = candidate_filter(rows, exclude_seen, given_as(candidates), given_as(exclude))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "_ROWS_PER_TASK", rows_per_task)
        patch.setattr(row_blocks, "_TASKS_PER_THREAD", 10**6)
        items, scores = best_items(FORMS[form](P.astype(dtype)), rows, k, allowed)
    np.testing.assert_array_equal(items, expected)
    assert scores.dtype == dtype
    of_items = np.take_along_axis(X @ P, np.maximum(items, 0), axis=1)
    np.testing.assert_array_equal(scores, np.where(items < 0, np.nan, of_items))


@given(
    values=arrays(
        np.float64, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=FEW_VALUES
    ),
    k=st.sampled_from([1, 2, 5, 50]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_entries_of_any_kind_are_ranked_as_python_ranks_them(values, k, dtype):
    n_rows, n_columns = values.shape
    indptr = np.arange(n_rows + 1) * n_columns
    columns = np.tile(np.arange(n_columns), n_rows)
    X = sp.csr_array((values.astype(dtype).ravel(), columns, indptr), shape=values.shape)
    items, scores = np.empty((n_rows, k), np.int64), np.empty((n_rows, k), dtype)
    rank_stored(csr_arrays(X, dtype), items, scores)
    for row, got_items, got_scores in zip(values, items, scores, strict=True):
        expected = in_order(row, range(n_columns), k)
        np.testing.assert_array_equal(got_items, expected)
        np.testing.assert_array_equal(got_scores, [np.nan if i < 0 else row[i] for i in expected])


def threshold_of(values, n, k):
    return _score_threshold(values, n, k, np.empty(n_groups(k), values.dtype))


@given(
    values=arrays(np.float64, st.integers(1, 60), elements=FEW_VALUES),
    k=st.integers(1, 20),
)
def test_a_score_threshold_is_reached_by_k_if_so_many_are_on_offer(values, k):
    floor = threshold_of(values, len(values), k)
    n_offered = np.count_nonzero(values > -np.inf)
    assert np.count_nonzero(values >= floor) >= min(k, n_offered)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_values=st.sampled_from([2047, 2048, 5000]),  # rows of 2048 are divided into groups
    n_finite=st.sampled_from([0, 3, 30, 5000]),
    n_distinct=st.sampled_from([2, 50, 5000]),
    k=st.sampled_from([1, 10, 40]),
)
def test_long_rows_are_ranked_as_short_ones_are(seed, n_values, n_finite, n_distinct, k):
    rng = np.random.default_rng(seed)
    values = rng.integers(n_distinct, size=n_values) / 7 - 1
    left_out = rng.permutation(n_values)[n_finite:]
    values[left_out] = rng.choice(
        [-np.inf, np.nan, np.inf], p=[0.98, 0.01, 0.01], size=len(left_out)
    )
    threshold = threshold_of(values, n_values, k)
    assert np.count_nonzero(values >= threshold) >= min(k, np.count_nonzero(values > -np.inf))
    X = sp.csr_array(values[None, :])
    X.data, X.indices, X.indptr = values, np.arange(n_values), np.array([0, n_values])
    items, scores = np.empty((1, k), np.int64), np.empty((1, k))
    rank_stored(csr_arrays(X, np.float64), items, scores)
    np.testing.assert_array_equal(items[0], in_order(values, range(n_values), k))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1, 1e-6, 1e6])
def test_a_score_threshold_leaves_little_more_than_k(dtype, spread):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=20_000) * spread).astype(dtype)
    for k in (20, 100, 1000):
        reached = np.count_nonzero(values >= threshold_of(values, len(values), k))
        assert k <= reached <= 1.25 * k + 8


def random_listens(n_users, n_items, dtype, rng):
    X = sp.random_array((n_users, n_items), density=0.05, rng=rng, format="csr", dtype=dtype)
    X.sort_indices()
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_scores_do_not_depend_on_the_parts_threads_and_rows_beside(form, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    X = random_listens(300, 400, dtype, rng)
    P = rng.normal(size=(400, 400)).astype(dtype)
    weights = FORMS[form](np.where(rng.random(P.shape) < 0.3, P, 0).astype(dtype))
    items, scores = best_items(weights, X, 30, candidate_filter(X))
    table = all_scores(weights, X)
    np.testing.assert_array_equal(scores, np.take_along_axis(table, items, axis=1))
    order = rng.permutation(300)
    again, scores_again = best_items(weights, X[order], 30, candidate_filter(X[order]))
    np.testing.assert_array_equal(again, items[order])
    np.testing.assert_array_equal(scores_again, scores[order])
    np.testing.assert_array_equal(all_scores(weights, X[order]), table[order])
    for threads, rows in ((1, 1), (3, 7), (2, 300)):
        monkeypatch.setattr(row_blocks, "n_threads", lambda threads=threads: threads)
        monkeypatch.setattr(row_blocks, "_ROWS_PER_TASK", rows)
        again, scores_again = best_items(weights, X, 30, candidate_filter(X))
        np.testing.assert_array_equal(again, items)
        np.testing.assert_array_equal(scores_again, scores)
        np.testing.assert_array_equal(all_scores(weights, X), table)


def test_weights_and_scores_of_all_forms_agree():
    rng = np.random.default_rng(1)
    X = random_listens(40, 60, np.float64, rng)
    P = rng.normal(size=(60, 60))
    P += P.T  # as the dual's M is
    np.fill_diagonal(P, 0)
    inputs, outputs = rng.integers(60, size=(2, 200))
    atol = rounding(60) * np.abs(X @ P).max()
    for form in FORMS.values():
        weights = form(P)
        np.testing.assert_allclose(all_scores(weights, X), X @ P, rtol=0, atol=atol)
        np.testing.assert_allclose(
            weights.entries(inputs, outputs), P[inputs, outputs], rtol=0, atol=atol
        )
        formed = weights.materialized().P
        formed = formed.toarray() if sp.issparse(formed) else formed
        np.testing.assert_allclose(formed, P, rtol=0, atol=atol)
        np.testing.assert_allclose(weights.columns(slice(10, 25)), P[:, 10:25], rtol=0, atol=atol)
        assert weights.entries(inputs[:0], outputs[:0]).shape == (0,)


def test_sparse_weights_rank_items_that_no_weight_reaches():
    # The only weight is negative: what scores 0 stands before it, by rising index.
    weights = SparseWeights(sp.csr_array(([-1.0], ([0], [1])), shape=(4, 4)))
    X = sp.csr_array([[1.0, 0, 0, 0]])
    items, scores = best_items(weights, X, 4, candidate_filter(X))
    assert items.tolist() == [[2, 3, 1, -1]]
    np.testing.assert_array_equal(scores, [[0, 0, -1, np.nan]])


def test_an_error_on_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(row_blocks, "_ROWS_PER_TASK", 1)

    def task(rows):
        if rows.start <= 70 < rows.stop:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        share_rows(100, task)


@pytest.mark.parametrize(("n_rows", "size"), [(1, 1), (10, 3), (10, 10), (10, 100), (0, 5)])
def test_blocks_cover_the_rows_in_order(n_rows, size):
    rows = [row for block in blocks(n_rows, size) for row in range(block.start, block.stop)]
    assert rows == list(range(n_rows))


def test_a_block_holds_at_least_a_row_and_no_more_than_there_are():
    assert block_rows(10, 10**9) == 1
    assert block_rows(10, 2) == 10
    assert block_rows(10**9, 2**12) == 2**10
