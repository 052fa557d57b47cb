"""What a user meets: scores, recommendations, explanations, their order and their errors."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from bounds import rounding

from shallow_ae import ShallowAutoEncoder, hold_out_items, ndcg_score
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights, ItemWeights, SparseWeights


def give_weights(model, form):
    """Give a fitted model other weights."""
    model._fitted = replace(model._fitted, weights=ItemWeights(form))


def fitted(weights):
    """Return a model with the given weights, as if it had been fitted."""
    weights = np.asarray(weights)
    model = ShallowAutoEncoder(max_iter=1, random_state=0)
    model.fit(np.ones((1, len(weights)), dtype=weights.dtype))
    give_weights(model, DenseWeights(weights))
    return model


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


@pytest.mark.parametrize(
    "layout", [np.asarray, sp.csr_array, sp.csc_matrix, sp.coo_array, pd.DataFrame]
)
def test_recommendations_do_not_depend_on_the_container(layout):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(9, 12)) * (rng.random((9, 12)) < 0.4)
    model = fitted(rng.normal(size=(12, 12)))
    items, scores = model.recommend(layout(X.astype(float)), k=5, return_scores=True)
    expected = X @ model.item_weights_
    expected[X > 0] = -np.inf
    np.testing.assert_array_equal(items, np.argsort(-expected, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(
        scores, np.take_along_axis(expected, items, axis=1), rtol=0, atol=1e-13
    )


def test_an_empty_history_is_answered_by_rising_index():
    weights = np.random.default_rng(0).normal(size=(5, 5))
    items, scores = fitted(weights).recommend(np.zeros((1, 5)), k=3, return_scores=True)
    assert items.tolist() == [[0, 1, 2]]
    assert scores.tolist() == [[0, 0, 0]]


def test_nothing_is_left_where_every_item_was_seen():
    items, scores = fitted(np.ones((3, 3))).recommend(np.ones((2, 3)), k=2, return_scores=True)
    assert items.tolist() == [[-1, -1], [-1, -1]]
    assert np.isnan(scores).all()
    assert fitted(np.ones((3, 3))).recommend(np.ones((1, 3)), k=4, exclude_seen=False).tolist() == [
        [0, 1, 2, -1]
    ]


def test_what_was_recommended_before_can_be_excluded():
    model = fitted(np.random.default_rng(0).normal(size=(9, 9)))
    X = np.eye(9)[:4]
    ten = model.recommend(X, k=10)
    first = model.recommend(X, k=4)
    np.testing.assert_array_equal(model.recommend(X, k=6, exclude=first), ten[:, 4:])
    as_sets = [set(items.tolist()) for items in first]
    np.testing.assert_array_equal(model.recommend(X, k=6, exclude=as_sets), ten[:, 4:])
    everything = model.recommend(X, k=6, exclude=ten)  # ten has -1 in its last places
    assert (everything == -1).all()


@pytest.mark.parametrize("name", ["candidates", "exclude"])
@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ([0, 3], ValueError, "holds item indices from 0 to 3, expected 0 to 2, or -1"),
        ([[0], [-2]], ValueError, "holds item indices from -2 to -2"),
        ([[0]], ValueError, "has 1 lists, expected 2: one for each row of X"),
        (sp.csr_array((3, 3)), ValueError, r"has shape \(3, 3\), expected \(2, 3\)"),
        ("ab", TypeError, "must be a list of item indices"),
        ({0: [1], 1: [2]}, TypeError, "must be a list of item indices.*got dict"),
        (pd.DataFrame([[1], [2]]), TypeError, "must be a list of item indices.*got DataFrame"),
        (np.array([[1, 0, 1], [0, 0, 1]]), ValueError, "is a mask of users x items by its shape"),
        (3, TypeError, "must be a list of item indices.*got int"),
        ([True, False, True], TypeError, "must hold item indices, found bool.*np.flatnonzero"),
        ([0.5], TypeError, "must hold item indices, found float64"),
        ([[0], 1], TypeError, "must be a list of item indices.*got int"),
    ],
)
def test_lists_that_are_none_are_refused(name, given, error, told):
    with pytest.raises(error, match=f"`{name}` {told}"):
        fitted(np.zeros((3, 3))).recommend(np.eye(3)[:2], k=1, **{name: given})


def test_indices_out_of_range_are_refused_and_not_followed():
    X = sp.csr_array((2, 3))
    X.indices, X.data, X.indptr = np.array([7]), np.array([1.0]), np.array([0, 1, 1])
    with pytest.raises(ValueError, match="an index of 7 in `indices`, expected 0 to 2"):
        fitted(np.zeros((3, 3))).recommend(X, k=1)


def test_a_progress_bar_is_shown_on_request(capsys):
    model = fitted(np.zeros((3, 3)))
    model.recommend(np.eye(3), k=1)
    assert capsys.readouterr().err == ""
    model.recommend(np.eye(3), k=1, verbose=1)
    assert "3/3" in capsys.readouterr().err


def test_similar_items_are_recommended_to_who_has_met_one():
    weights = np.random.default_rng(0).normal(size=(6, 6))
    model = fitted(weights)
    items, scores = model.similar_items([4, 0, 4], k=3, return_scores=True)
    np.testing.assert_array_equal(items, model.recommend(np.eye(6)[[4, 0, 4]], k=3))
    np.testing.assert_array_equal(scores, np.take_along_axis(weights[[4, 0, 4]], items, axis=1))
    assert 1 not in model.similar_items([0], k=6, exclude=[1])
    assert model.similar_items([0], k=3, candidates=[0, 3]).tolist() == [[3, -1, -1]]
    with pytest.raises(ValueError, match="`items` holds item indices from 6 to 6"):
        model.similar_items([6])
    for given in ([0, -1], [[0, 1]]):
        with pytest.raises(ValueError, match="must be a list of item indices >= 0"):
            model.similar_items(given)


def trained(solver, shape, dtype):
    X = sp.random_array(shape, density=0.2, rng=np.random.default_rng(0), format="csr", dtype=dtype)
    return ShallowAutoEncoder(0.05, solver=solver, random_state=0).fit(X), X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("solver", "shape", "form"),
    [
        ("sgd", (80, 50), "DenseWeights"),
        ("exact", (80, 50), "DenseWeights"),
        ("exact", (50, 400), "DualWeights"),
        ("exact", (80, 50), "SparseWeights"),
    ],
)
def test_contributions_add_up_to_the_score(solver, shape, form, dtype):
    model, X = trained(solver, shape, dtype)
    if form == "SparseWeights":
        weights = model.item_weights_
        give_weights(model, SparseWeights(sp.csr_array(weights * (weights > 0.02))))
    X = X[:6]
    items, scores = model.recommend(X, k=8, return_scores=True)
    assert type(model._fitted.weights.form).__name__ == form
    reasons, contributions = model.explain(X, items, k=shape[1])
    assert reasons.shape == contributions.shape == (6, 8, shape[1])
    # Sums of so many numbers of both signs, of which the dual forms each by another such sum.
    off = rounding(shape[1], dtype) * np.nansum(np.abs(contributions), axis=2).max()
    np.testing.assert_allclose(np.nansum(contributions, axis=2), scores, rtol=0, atol=off)
    predicted = np.take_along_axis(model.predict(X), items, axis=1)
    np.testing.assert_allclose(predicted, scores, rtol=0, atol=off)
    for user in range(6):
        own = reasons[user, 0][reasons[user, 0] >= 0]
        assert sorted(own) == list(X[[user]].indices)
    assert (np.diff(contributions, axis=2)[reasons[:, :, 1:] >= 0] <= 0).all()


def test_the_largest_contributions_come_first_and_the_rest_is_empty():
    weights = np.array([[0, 1.0, 9], [2, 0, 3], [4, 5, 0]])
    X = np.array([[1.0, 2, 0], [0, 0, 3]])
    reasons, contributions = fitted(weights).explain(X, [2, -1], k=3)
    assert reasons.tolist() == [[0, 1, -1], [-1, -1, -1]]
    np.testing.assert_array_equal(contributions, [[9, 6, np.nan], [np.nan] * 3])
    reasons, contributions = fitted(weights).explain(X, [[2, 0], [0, 1]], k=1)
    assert reasons.tolist() == [[[0], [1]], [[2], [2]]]
    assert contributions.tolist() == [[[9], [4]], [[12], [15]]]
    # an item of the user explains itself by nothing
    assert fitted(weights).explain(X[:1], [0], k=2)[1].tolist() == [[4, 0]]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([0], r"`items` has shape \(1,\), expected \(2,\)"),
        ([[[0]], [[0]]], r"`items` has shape \(2, 1, 1\)"),
        ([0, 3], "`items` holds item indices from 0 to 3"),
    ],
)
def test_items_that_are_none_are_not_explained(items, told):
    with pytest.raises(ValueError, match=told):
        fitted(np.zeros((3, 3))).explain(np.eye(3)[:2], items)


def named(kind=pd.DataFrame):
    """Return a model of the items a, b and c, and rows as a frame."""
    X = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0]])
    data = {name: X[:, i] for i, name in enumerate("abc")}
    return ShallowAutoEncoder(solver="exact").fit(kind(data)), kind(data)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_frame_is_aligned_by_name(kind):
    model, frame = named(kind)
    expected = model.recommend(frame, k=3)
    np.testing.assert_array_equal(model.recommend(frame[["c", "a", "b"]], k=3), expected)
    without_c = sp.csr_array(frame[["a", "b"]].to_numpy() @ np.eye(2, 3))  # nobody has met it
    np.testing.assert_array_equal(
        model.recommend(frame[["b", "a"]], k=3), model.recommend(without_c, k=3)
    )
    reasons, parts = model.explain(frame[["c", "a", "b"]], [2, 1, 2], k=3)
    np.testing.assert_array_equal(reasons, model.explain(frame, [2, 1, 2], k=3)[0])
    np.testing.assert_array_equal(parts, model.explain(frame, [2, 1, 2], k=3)[1])


def test_items_of_a_frame_that_fit_did_not_see_are_counted_and_left_out():
    model, frame = named()
    other = frame.assign(d=1, e=1)
    with pytest.warns(UserWarning, match="2 of 5 columns of X are items that were not seen in fit"):
        items = model.recommend(other, k=3)
    np.testing.assert_array_equal(items, model.recommend(frame, k=3))
    with pytest.raises(ValueError, match="None of the 1 columns of X is an item seen in fit"):
        model.recommend(other[["d"]], k=3)


def test_columns_that_cannot_be_compared_are_refused():
    X = np.eye(3)
    model = ShallowAutoEncoder(solver="exact").fit(pd.DataFrame(X, columns=[7, 8, 9]))
    with pytest.raises(ValueError, match="labelled 9, 7 and so on"):
        model.recommend(pd.DataFrame(X, columns=[9, 8, 7]))
    assert model.recommend(pd.DataFrame(X), k=1).shape == (3, 1)


def test_weights_formed_while_the_model_is_fitted_again_are_not_kept(monkeypatch):
    X = sp.random_array((20, 90), density=0.2, rng=np.random.default_rng(0), format="csr")
    model, expected = (ShallowAutoEncoder(solver="exact").fit(X[:n]) for n in (20, 10))
    dense = DualWeights.materialized

    def refits_meanwhile(weights):
        monkeypatch.setattr(DualWeights, "materialized", dense)
        model.fit(X[:10])
        return dense(weights)

    monkeypatch.setattr(DualWeights, "materialized", refits_meanwhile)
    assert not np.array_equal(model.item_weights_, expected.item_weights_)  # as it was when asked
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)


def test_a_model_fitted_to_other_items_meanwhile_is_noticed(monkeypatch):
    model = fitted(np.zeros((3, 3)))
    give_weights(model, DenseWeights(np.zeros((2, 2))))  # as if between two lines of recommend
    for ask in (model.predict, model.recommend, lambda X: model.explain(X, [0, 0, 0])):
        with pytest.raises(RuntimeError, match="X has 3 items and the weights have 2"):
            ask(np.eye(3))


class Meanwhile(list):
    """A list during whose reading something happens."""

    def __init__(self, items, happens):
        super().__init__(items)
        self.happens = happens

    def __iter__(self):
        self.happens()
        return super().__iter__()


def test_items_that_are_read_while_the_model_is_fitted_again_are_not_followed():
    X = sp.random_array((2, 3000), density=0.1, rng=0, dtype=np.float32, format="csr")
    model = ShallowAutoEncoder(solver="exact").fit(X)
    expected = model.similar_items([2999, 7], 3)
    items = Meanwhile([2999, 7], lambda: model.fit(np.eye(7)))
    np.testing.assert_array_equal(model.similar_items(items, 3), expected)  # of the fit it asked
    with pytest.raises(ValueError, match="`items` holds item indices from 2999 to 2999"):
        model.similar_items([2999])
    model.fit(X)
    items = Meanwhile([2999, 7], lambda: model.fit(np.eye(7)))
    reasons, _ = model.explain(X, items, k=2)
    assert reasons.shape == (2, 2)


@pytest.mark.parametrize("part", ["indices", "indptr"])
def test_rows_that_change_while_lists_are_read_are_not_followed(part):
    X = sp.csr_array(np.eye(4))
    model = fitted(np.ones((4, 4)))

    def change():
        getattr(X, part)[1:] = 10**6

    with pytest.raises(RuntimeError, match="of X were changed since X was checked"):
        model.recommend(X, k=1, exclude=Meanwhile([0], change))


def test_nothing_to_explain_is_explained_by_nothing():
    reasons, contributions = fitted(np.ones((3, 3))).explain(np.eye(3), [[], [], []], k=2)
    assert reasons.shape == contributions.shape == (3, 0, 2)


def test_methods_of_scikit_learn_refuse_a_frame_in_another_order():
    model, frame = named()
    for method in (model.predict, model.score, model.partial_fit):
        with pytest.raises(ValueError, match="must be in the same order"):
            method(frame[["c", "a", "b"]])


def test_a_matrix_has_no_names_and_is_taken_by_its_width(recwarn):
    model, frame = named()
    X = sp.csr_array(frame.to_numpy())
    np.testing.assert_array_equal(model.recommend(X), model.recommend(frame))
    np.testing.assert_array_equal(model.predict(X), model.predict(frame))
    assert not recwarn.list
    with pytest.raises(ValueError, match="X has 2 features, but ShallowAutoEncoder is expecting 3"):
        model.recommend(X[:, :2])


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
    with pytest.raises(ValueError, match=r"`y` has shape \(2, 3\), expected \(3, 3\)"):
        fitted(np.zeros((3, 3))).score(np.eye(3), y=np.ones((2, 3)))
