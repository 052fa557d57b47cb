"""Scores, recommendations and their score, against a ranking written out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shallow_ae import ShallowAutoEncoder, _blocks, hold_out_items, ndcg_score
from shallow_ae._weights import DenseWeights


def fitted(weights):
    """Return a model with the given weights, as if it had been fitted."""
    weights = np.asarray(weights)
    model = ShallowAutoEncoder(max_iter=1, random_state=0)
    model.fit(np.ones((1, len(weights)), dtype=weights.dtype))
    model._weights = DenseWeights(weights)
    return model


def ranked(X, weights, k, *, exclude_seen):
    """Return the k best of each row of X @ weights, in Python."""
    lists = []
    for row in np.asarray(X):
        scores = row @ weights
        offered = [i for i in range(len(scores)) if not (exclude_seen and row[i] != 0)]
        best = sorted(offered, key=lambda i: (-scores[i], i))[:k]
        lists.append(best + [-1] * (k - len(best)))
    return np.array(lists)


SMALL = st.integers(-2, 2).map(float)  # sums of products of these are exact and often equal


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    X=arrays(np.float64, (5, 4), elements=SMALL),
    weights=arrays(np.float64, (4, 4), elements=SMALL),
    k=st.sampled_from([1, 3, 4, 6]),
    exclude_seen=st.booleans(),
    layout=st.sampled_from([np.asarray, sp.csr_array, sp.csc_matrix, sp.coo_array]),
    scores_per_block=st.sampled_from([1, 8, 1000]),
)
def test_recommend_is_the_ranking_by_hand(X, weights, k, exclude_seen, layout, scores_per_block):
    model = fitted(weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "_SCORES_PER_BLOCK", scores_per_block)
        items, scores = model.recommend(
            layout(X), k=k, exclude_seen=exclude_seen, return_scores=True
        )
    np.testing.assert_array_equal(items, ranked(X, weights, k, exclude_seen=exclude_seen))
    expected = np.take_along_axis(X @ weights, np.maximum(items, 0), axis=1)
    np.testing.assert_array_equal(scores, np.where(items < 0, np.nan, expected))


def test_scores_are_x_p_and_not_x_p_transposed():
    weights = np.array([[0.0, 5.0, 1.0], [0.5, 0.0, 2.0], [0.0, 0.0, 0.0]])
    X = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    np.testing.assert_array_equal(fitted(weights).predict(X), [[0, 5, 1], [1, 0, 4]])
    np.testing.assert_array_equal(fitted(weights).recommend(X, k=1), [[1], [2]])


def test_seen_items_are_left_out_where_all_other_scores_are_negative():
    weights = -np.ones((3, 3))
    assert fitted(weights).recommend([[1.0, 0.0, 0.0]], k=3).tolist() == [[1, 2, -1]]


def test_explicit_zeros_are_not_seen():
    X = sp.csr_array((np.array([1.0, 0.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 3))
    assert fitted(np.zeros((3, 3))).recommend(X, k=3).tolist() == [[1, 2, -1]]
    assert X.nnz == 2


def test_unsorted_indices_and_duplicates_give_the_same_scores():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(50, 50)).astype(np.float32)
    X = sp.random_array((20, 50), density=0.3, rng=rng, format="csr", dtype=np.float32)
    shuffled = X.copy()
    for row in range(20):
        part = slice(*X.indptr[row : row + 2])
        order = rng.permutation(X.indices[part].size)
        shuffled.indices[part] = X.indices[part][order]
        shuffled.data[part] = X.data[part][order]
    doubled = sp.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), X.indptr * 2), shape=X.shape
    )
    model = fitted(weights)
    np.testing.assert_array_equal(model.predict(X), model.predict(shuffled))
    np.testing.assert_array_equal(model.predict(X), model.predict(doubled))
    np.testing.assert_array_equal(model.recommend(X, k=9), model.recommend(doubled, k=9))


def test_scores_are_of_the_type_of_the_weights():
    model = fitted(np.zeros((3, 3), dtype=np.float32))
    assert model.predict(np.ones((1, 3))).dtype == np.float32
    assert model.recommend(np.eye(3), k=1, return_scores=True)[1].dtype == np.float32


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k):
    with pytest.raises(ValueError, match=rf"`k`={k} must be an integer >= 1"):
        fitted(np.zeros((3, 3))).recommend(np.eye(3), k=k)


@pytest.mark.parametrize("k", [1.0, "3", True])
def test_k_must_be_an_integer(k):
    with pytest.raises(TypeError, match=r"`k`=.* must be an integer >= 1, got"):
        fitted(np.zeros((3, 3))).recommend(np.eye(3), k=k)


def test_score_is_the_ndcg_of_hidden_items():
    rng = np.random.default_rng(0)
    X = sp.random_array((60, 30), density=0.3, rng=rng, format="csr")
    model = fitted(rng.normal(size=(30, 30)))
    visible, hidden = hold_out_items(X, 0.2, random_state=0)
    expected = ndcg_score(hidden, model.recommend(visible), k=100)
    assert model.score(X) == model.score(X.toarray()) == expected
    assert model.score(visible, hidden) == model.score(visible, hidden.toarray()) == expected
    assert model.score(X, y=np.arange(60)) == expected


def test_score_refuses_held_out_items_of_another_shape():
    with pytest.raises(ValueError, match=r"y has shape \(2, 3\), expected that of X, \(3, 3\)"):
        fitted(np.zeros((3, 3))).score(np.eye(3), y=np.ones((2, 3)))
