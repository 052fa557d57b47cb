"""Recommendations, similar items and explanations against sorting by hand."""

import harness  # isort: skip: it comes before what imports Numba
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st
from rankings import FORMS, in_order, listed

from shallow_ae import PopularityRecommender
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae._weights.low_rank import LowRankWeights
from shallow_ae._weights.weighted_sum import SummedWeights

# Products and sums of these are exact in both types, often equal, and -0.0 is among them.
FEW = np.array([-2.0, -1.0, -0.0, 0.0, 0.0, 1.0, 2.0])


def ranked_model(P, form, dtype):
    """Return a fitted model with weights in one of the forms, made of P, and the weights."""
    P = P + P.T if form == "dual" else P.copy()  # as the dual's M is
    if form == "low rank":
        vectors = P[:, :3].copy()
        P = vectors @ vectors.T * 2
        scale = np.full(len(P), 2.0, dtype)
        weights = LowRankWeights(vectors.astype(dtype), scale, np.diag(P).astype(dtype))
    np.fill_diagonal(P, 0)
    if form == "sum":
        other = np.roll(P, 1, axis=(0, 1))
        parts = (ItemWeights(FORMS["dense"](P.astype(dtype))), sparse_part(other, dtype))
        weights, P = SummedWeights(parts, (0.5, -2.0)), 0.5 * P - 2 * other
    elif form != "low rank":
        weights = FORMS[form](P.astype(dtype))
    model = PopularityRecommender().fit(np.ones((1, len(P))))
    model._fitted = replace(model._fitted, weights=ItemWeights(weights))
    return model, P


def sparse_part(P, dtype):
    """Return a part of a sum with sparse weights."""
    return ItemWeights(FORMS["sparse"](P.astype(dtype)))


@st.composite
def lists(draw, n_rows, n_items):
    """Return lists of items for `candidates` or `exclude`: None, one list, or a list for each."""
    kind = draw(st.sampled_from(["none", "shared", "each"]))
    item = st.integers(-1, n_items - 1)
    if kind == "none":
        return None
    if kind == "shared":
        return draw(st.lists(item, max_size=n_items + 2))
    return [draw(st.lists(item, max_size=4)) for _ in range(n_rows)]


def given_as(form, own, n_rows, n_items):
    """Return lists in another form that `recommend` takes."""
    if own is None or form == "list":
        return own
    each = [sorted(listed(own, row)) for row in range(n_rows)]
    if form == "matrix":
        marks = np.zeros((n_rows, n_items), np.int8)
        for row, items in enumerate(each):
            marks[row, items] = -1
        return sp.coo_matrix(marks)
    if form == "tuple":
        return tuple(map(tuple, own)) if own and isinstance(own[0], list) else tuple(own)
    if not own or not isinstance(own[0], list):
        return np.array(own, np.int16)
    width = max(3, *map(len, each)) if each else 3
    padded = np.full((n_rows, width), -1, np.int64)
    for row, items in enumerate(each):
        padded[row, : len(items)] = items
    return padded


@st.composite
def cases(draw):
    """Return weights, rows, and the arguments of one call."""
    n_users, n_items = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 5, 9, 70]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return {
        "P": rng.choice(FEW, (n_items, n_items)) * (rng.random((n_items, 1)) < 0.7),
        "X": rng.choice(FEW, (n_users, n_items)) * (rng.random((n_users, 1)) < 0.8),
        "form": draw(st.sampled_from([*FORMS, "low rank", "sum"])),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "k": draw(st.sampled_from([1, 2, 3, n_items, n_items + 3])),
        "exclude_seen": draw(st.booleans()),
        "candidates": draw(lists(n_users, n_items)),
        "exclude": draw(lists(n_users, n_items)),
        "as_form": draw(st.sampled_from(["list", "tuple", "array", "matrix"])),
    }


def check(case):
    """Every ranking is by descending score, then by ascending index."""
    P, X, k = case["P"], case["X"], case["k"]
    model, P = ranked_model(P, case["form"], case["dtype"])
    check_recommend(model, P, X, case)
    check_similar_items(model, P, k, case["exclude"])
    check_explain(model, P, X, k)


def check_recommend(model, P, X, case):
    """Compare `recommend` with the sorted scores of the items on offer."""
    (n_users, n_items), k = X.shape, case["k"]
    offers = {}
    for name in ("candidates", "exclude"):
        offers[name] = given_as(case["as_form"], case[name], n_users, n_items)
    items, scores = model.recommend(
        X, k, exclude_seen=case["exclude_seen"], **offers, return_scores=True
    )
    table = X @ P
    np.testing.assert_array_equal(model.predict(X), table)
    for user in range(n_users):
        allowed = set(range(n_items))
        if case["candidates"] is not None:
            allowed &= listed(case["candidates"], user)
        if case["exclude"] is not None:
            allowed -= listed(case["exclude"], user)
        if case["exclude_seen"]:
            allowed -= set(np.flatnonzero(X[user]))
        expected = in_order(table[user], allowed, k)
        np.testing.assert_array_equal(items[user], expected)
        same_scores(scores[user], expected, table[user], case["dtype"])


def check_similar_items(model, P, k, exclude):
    """Compare `similar_items` with the sorted rows of the weights, for all items at once."""
    shared = exclude if exclude is None or not any(isinstance(o, list) for o in exclude) else None
    asked = np.arange(len(P))[::-1]
    similar, scores = model.similar_items(asked, k, exclude=shared, return_scores=True)
    left_out = set() if shared is None else listed(shared, 0)
    for row, item in enumerate(asked):
        expected = in_order(P[item], set(range(len(P))) - left_out - {item}, k)
        np.testing.assert_array_equal(similar[row], expected)
        same_scores(scores[row], expected, P[item], scores.dtype)


def check_explain(model, P, X, k):
    """Compare `explain` with the sorted products of values and weights."""
    n_users, n_items = X.shape
    asked = np.random.default_rng(k).integers(-1, n_items, (n_users, 2))
    reasons, parts = model.explain(X, asked, k)
    one, its_parts = model.explain(X, asked[:, 0], k)
    np.testing.assert_array_equal(one, reasons[:, 0])
    np.testing.assert_array_equal(its_parts, parts[:, 0])
    for user, place in np.ndindex(asked.shape):
        item = asked[user, place]
        own = set(np.flatnonzero(X[user])) if item >= 0 else set()
        expected = in_order(X[user] * P[:, item], own, k)
        np.testing.assert_array_equal(reasons[user, place], expected)
        same_scores(parts[user, place], expected, X[user] * P[:, item], parts.dtype)


def same_scores(scores, items, by_item, dtype):
    """Check the scores beside a ranking: NaN where there is no item."""
    assert scores.dtype == dtype, f"dtype: {scores.dtype}, expected {dtype}"
    np.testing.assert_array_equal(scores, [np.nan if i < 0 else by_item[i] for i in items])


if __name__ == "__main__":
    harness.run(check, cases())
