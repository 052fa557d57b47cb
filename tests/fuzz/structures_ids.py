"""Ids of every type to rows and columns and back, and answers by id, against dictionaries."""

import harness  # isort: skip: it comes before what imports Numba
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from rankings import in_order

from shallow_ae import IdMapper, PopularityRecommender, make_recommender
from shallow_ae._weights.item_weights import DenseWeights, ItemWeights

N = 6  # users, and items; those with a number from 4 on may be unknown to the fit
BYTES = [f"{n}".encode() for n in range(N)]
KINDS = {
    "text": ["ann", "Ann", "", "1", "ä", "ann "],
    "integers": [0, -1, 2**40, 7, 1, -(2**62)],
    "floats": [0.5, -1.0, 1e300, 2.0, 1e-300, float("inf")],
    "dates": [pd.Timestamp("2024-01-01") + timedelta(days=n) for n in range(N)],
    "tuples": [("a", 1), ("a", 2), (), ("a",), ("b", 1), (1, 2)],
    "bytes": BYTES,
    "mixed": ["1", 1, 1.5, ("a",), b"1", date(2024, 1, 1)],
    "bools and text": [True, "True", False, "", "no", 5],
}
IN_COLUMNS = ("text", "integers", "floats", "dates")  # what frames have types for
FORMS = ("tuples", "pandas", "pandas, objects", "pandas, categories", "polars", "array")
COUNTS = [0.0, 0.5, 1.0, 2.0, 4.0]


@st.composite
def cases(draw):
    """Return events to learn and to ask with, as numbers of users and items, and the request."""
    known, any_id = st.integers(0, 3), st.integers(0, N - 1)
    count, age = st.sampled_from(COUNTS), st.integers(0, 3)
    kind = draw(st.sampled_from(sorted(KINDS)))
    forms = [form for form in FORMS if form in ("tuples", "array") or kind in IN_COLUMNS]
    event = st.tuples(any_id, any_id, count, age, count)
    return {
        "kind": kind,
        "form": draw(st.sampled_from(forms)),
        "decays": draw(st.booleans()),
        "learned": draw(st.lists(st.tuples(known, known, count, age, count), min_size=1)),
        "asked": draw(st.lists(event, min_size=1, max_size=8)),
        "k": draw(st.sampled_from([1, 2, N, N + 3])),
        "exclude_seen": draw(st.booleans()),
        "candidates": draw(st.none() | st.lists(known) | st.dictionaries(any_id, st.lists(known))),
        "seed": draw(st.integers(0, 99)),
    }


def check(case):
    """Matrices, ids and recommendations are those of dictionaries of ids."""
    ids, form = KINDS[case["kind"]], case["form"]
    decays = case["decays"] and form not in ("tuples", "array")
    learned, asked = (events_of(case[name], ids) for name in ("learned", "asked"))
    columns = {"time": "time", "half_life": 2.0, "weight": "weight"} if decays else {}
    table = as_form(form, learned)
    latest = max(event[3] for event in learned)
    sums = sums_of(learned, latest, decays)
    if not any(sums.values()):
        return
    mapper = IdMapper(**columns)
    X = mapper.fit_transform(table)
    users, items = (list(dict.fromkeys(event[axis] for event in learned)) for axis in (0, 1))
    check_ids(mapper, X, sums, users, items)
    check_matrix(mapper.transform(as_form(form, asked)), sums_of(asked, latest, decays), items)
    recommender = make_recommender(PopularityRecommender(), **columns).fit(table)
    check_recommend(recommender, case, as_form(form, asked), sums_of(asked, latest, decays))


def events_of(events, ids):
    """Return events with ids: user, item, count, time and weight."""
    return [
        (ids[user], ids[-1 - item], count, 3.0 - age, weight)
        for user, item, count, age, weight in events
    ]


def as_form(form, events):
    """Return events in one of the forms of interactions."""
    if form == "tuples":
        return [event[:3] for event in events]
    if form == "array":
        table = np.empty((len(events), 3), object)
        for row, event in enumerate(events):
            table[row, 0], table[row, 1], table[row, 2] = event[:3]
        return table
    names = ["user", "item", "count", "time", "weight"]
    columns = dict(zip(names, map(list, zip(*events, strict=True)), strict=True))
    if form == "polars":
        return pl.DataFrame(columns)
    kinds = {"pandas, objects": object, "pandas, categories": "category"}
    frame = pd.DataFrame(columns, index=range(len(events), 0, -1))
    return frame.astype(dict.fromkeys(["user", "item"], kinds[form])) if form in kinds else frame


def sums_of(events, latest, decays):
    """Return the sums of counts by user and item, decayed and weighted."""
    sums = defaultdict(float)
    for user, item, count, time, weight in events:
        age = max(0.0, latest - time)
        sums[user, item] += count * (2 ** (-age / 2) * weight if decays else 1)
    return dict(sums)


def check_matrix(X, sums, items):
    """Compare a matrix with the sums: a row for each user by first appearance."""
    users = list(dict.fromkeys(user for user, _ in sums))
    expected = np.zeros((len(users), len(items)))
    for (user, item), total in sums.items():
        if item in items:
            expected[users.index(user), items.index(item)] = total
    np.testing.assert_allclose(X.toarray(), expected, rtol=1e-6, atol=0)
    assert X.nnz == np.count_nonzero(expected), f"stored: {X.nnz} entries"


def check_ids(mapper, X, sums, users, items):
    """Compare ids and their numbers, and the table that a matrix is turned back into."""
    check_matrix(X, sums, items)
    assert list(mapper.users_) == users, f"users: {mapper.users_}, not {users}"
    assert list(mapper.items_) == items, f"items: {mapper.items_}, not {items}"
    np.testing.assert_array_equal(mapper.user_index(users), np.arange(len(users)))
    np.testing.assert_array_equal(mapper.item_index(items[::-1]), np.arange(len(items))[::-1])
    np.testing.assert_array_equal(mapper.item_index(["nobody's"]), [-1])
    assert list(mapper.item_ids(np.arange(-1, len(items)))) == [None, *items]
    back = mapper.inverse_transform(X)
    found = dict(zip(zip(back["user"], back["item"], strict=True), back["count"], strict=True))
    wanted = {pair: np.float32(total) for pair, total in sums.items() if total}
    assert found.keys() == wanted.keys(), f"pairs: {found.keys()}, not {wanted.keys()}"
    np.testing.assert_allclose([found[pair] for pair in wanted], list(wanted.values()), rtol=1e-6)


def check_recommend(recommender, case, table, sums):
    """Compare recommendations by a made-up matrix of weights, user by user."""
    mapper, model = recommender[0], recommender[-1]
    items, ids = list(mapper.items_), KINDS[case["kind"]]
    rng = np.random.default_rng(case["seed"])
    P = rng.integers(-2, 3, (len(items), len(items))) * 1.0
    np.fill_diagonal(P, 0)
    model._fitted = replace(model._fitted, weights=ItemWeights(DenseWeights(P)))
    candidates = case["candidates"]
    if isinstance(candidates, dict):
        candidates = {ids[u]: [ids[-1 - i] for i in own] for u, own in candidates.items()}
    elif candidates is not None:
        candidates = [ids[-1 - item] for item in candidates]
    found = recommender.recommend(
        table, case["k"], exclude_seen=case["exclude_seen"], candidates=candidates
    )
    found = found if isinstance(found, pd.DataFrame) else pd.DataFrame(found.to_dict())
    expected = []
    for user in dict.fromkeys(user for user, _ in sums):
        own = {items.index(i): n for (u, i), n in sums.items() if u == user and i in items and n}
        row = np.zeros(len(items))
        row[list(own)] = list(own.values())
        scores = row @ P if own else np.asarray(model.item_counts_, np.float64)
        lists = candidates.get(user, []) if isinstance(candidates, dict) else candidates
        allowed = set(range(len(items)))
        if lists is not None:
            allowed = {items.index(item) for item in lists if item in items}
        allowed -= set(own) if case["exclude_seen"] else set()
        best = [item for item in in_order(np.round(scores, 6), allowed, case["k"]) if item >= 0]
        expected += [(user, items[item], rank, not own) for rank, item in enumerate(best, 1)]
    columns = (found[name] for name in ("user", "item", "rank", "by_popularity"))
    told = list(zip(*columns, strict=True))
    assert told == expected, f"recommended: {told}, not {expected}"


if __name__ == "__main__":
    harness.run(check, cases())
