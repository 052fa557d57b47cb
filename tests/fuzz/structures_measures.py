"""Every metric and `evaluate` against formulas over Python's sets and lists."""

import harness  # isort: skip: it comes before what imports Numba
import inspect
import math
from collections import Counter

import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import strategies as st
from outcomes import outcome

from shallow_ae import evaluate, metrics
from shallow_ae.metrics.formulas import MEASURES

USERS, IDS = ["ann", "bob", "cleo", "dan", "eve"], ["u", "v", "w", "x", "y", "z"]
LISTS = {"ndcg", "recall", "precision", "hit_rate", "map", "mrr"}
ALONE = {"coverage", "gini", "novelty"}
found = {name.removesuffix("_score") for name in metrics.__all__}
assert found == LISTS | ALONE, f"metrics that no target tries: {found ^ (LISTS | ALONE)}"


def gain(rank):
    """Return what a hit at a rank from 1 on is worth."""
    return 1 / math.log2(rank + 1)


def ideal(truth, k, is_cut):
    """Return the number of hits in the best list."""
    return min(k, len(truth)) if is_cut and k is not None else len(truth)


def of_user(name, truth, ranking, k):
    """Return one metric of one user, by its formula."""
    name, _, other = name.partition("_") if name != "hit_rate" else (name, "", "")
    is_cut = other == "cutoff" or (name == "ndcg" and other != "full")
    ranks, met = [], set()
    for rank, item in enumerate(ranking if k is None else ranking[:k], 1):
        if item in truth and item not in met:
            ranks.append(rank)
        met.add(item)
    n_places = k if k is not None else max(1, sum(item is not None for item in ranking))
    best = ideal(truth, k, is_cut)
    return {
        "ndcg": lambda: sum(map(gain, ranks)) / sum(gain(rank) for rank in range(1, best + 1)),
        "recall": lambda: len(ranks) / best,
        "precision": lambda: len(ranks) / n_places,
        "hit_rate": lambda: float(bool(ranks)),
        "map": lambda: sum(n / rank for n, rank in enumerate(ranks, 1)) / best,
        "mrr": lambda: 1 / ranks[0] if ranks else 0.0,
    }[name]()


@st.composite
def cases(draw):
    """Return the truth and the ranked places of some users, as item numbers; None is empty."""
    item = st.integers(0, len(IDS) - 1)
    n_users = draw(st.integers(1, 5))
    place = st.one_of(st.none(), item, item, item)
    return {
        "truth": [draw(st.sets(item, max_size=5)) for _ in range(n_users)],
        "ranked": [draw(st.lists(place, max_size=6)) for _ in range(n_users)],
        "k": draw(st.sampled_from([None, 1, 2, 3, 6, 100])),
        "metric": draw(st.sampled_from(sorted(MEASURES))),
        "omit": draw(st.booleans()),
        "form": draw(st.sampled_from(["ids", "dict", "lists", "array", "matrix", "objects"])),
    }


def given_as(form, truth, ranked):
    """Return truth and ranked places in one of the forms that metrics take."""
    if form in ("ids", "dict"):
        own = [[IDS[item] for item in sorted(items)] for items in truth]
        listed = [[None if i is None else IDS[i] for i in items] for items in ranked]
        if form == "ids":
            return own, listed
        return dict(zip(USERS, own, strict=False)), dict(zip(USERS, listed, strict=False))
    width = max(1, *map(len, ranked))
    padded = np.array([[*items, *[None] * (width - len(items))] for items in ranked], object)
    if form == "objects":
        return [set(items) for items in truth], padded
    numbers = np.where(padded == None, -1, padded).astype(np.int64)  # noqa: E711
    if form == "lists":
        return [sorted(items) for items in truth], ranked
    matrix = np.zeros((len(truth), len(IDS)))
    for user, items in enumerate(truth):
        matrix[user, sorted(items)] = -0.5
    if form == "matrix":
        return sp.csc_matrix(matrix), numbers
    sizes = max(1, *map(len, truth))
    rows = [[*sorted(items), *[-1] * (sizes - len(items))] for items in truth]
    return np.array(rows, np.int16), numbers


def check(case):
    """Means, values of users and tables are as the formulas give them."""
    truth, ranked, k, name = case["truth"], case["ranked"], case["k"], case["metric"]
    form = case["form"]
    y_true, y_rec = given_as(form, truth, ranked)
    values = [
        of_user(name, own, listed, k)
        if own and not (case["omit"] and not any(i is not None for i in cut(listed, k)))
        else math.nan
        for own, listed in zip(truth, ranked, strict=True)
    ]
    check_metric(case, y_true, y_rec, np.array(values))
    check_evaluate(case, y_true, y_rec, np.array(values))
    check_alone(ranked, y_rec, k, form)


def cut(listed, k):
    """Return the places that count."""
    return listed if k is None else listed[:k]


def check_metric(case, y_true, y_rec, values):
    """Compare one metric, its mean and its values, or the error if nothing is measured."""
    name = case["metric"]
    base = next(own for own in LISTS if name == own or name.startswith(f"{own}_"))
    function = getattr(metrics, f"{base}_score")
    settings = {"k": case["k"], "no_recommendations": "omit" if case["omit"] else "zero"}
    if "ideal" in inspect.signature(function).parameters:
        cutoff = name.endswith("_cutoff") or name == "ndcg"
        settings["ideal"] = "cutoff" if cutoff else "full"
    mean = outcome(function, y_true, y_rec, **settings)
    each = outcome(function, y_true, y_rec, per_user=True, **settings)
    if np.isnan(values).all():
        assert mean.kind == each.kind == "ValueError", f"{name}: {mean}, nothing to measure"
        return
    assert mean.error is None, f"{name}: {mean.error!r}"
    np.testing.assert_allclose(each.value, values, rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(mean.value, np.nanmean(values), rtol=1e-12, atol=1e-15)


def check_evaluate(case, y_true, y_rec, values):
    """Compare one row of `evaluate`."""
    if case["k"] is None or np.isnan(values).all():
        return
    rule = "omit" if case["omit"] else "zero"
    table = evaluate(y_true, y_rec, case["metric"], k=[case["k"]], no_recommendations=rule)
    n_left_out = int(np.isnan(values).sum())
    mean = np.nanmean(values)
    assert table["n_left_out"].tolist() == [n_left_out], f"n_left_out: {table}"
    assert table["n_users"].tolist() == [len(values) - n_left_out], f"n_users: {table}"
    np.testing.assert_allclose(table["mean"], [mean], rtol=1e-12, atol=1e-15)


def check_alone(ranked, y_rec, k, form):
    """Compare the metrics of recommendations alone."""
    times = Counter(item for listed in ranked for item in cut(listed, k) if item is not None)
    n_items, n_users, total = len(IDS), 9, sum(times.values())
    counts = dict(enumerate([9, 4, 2, 1, 0, 5]))
    by_id = counts if form not in ("ids", "dict") else {IDS[i]: n for i, n in counts.items()}
    asked = {
        "coverage": outcome(metrics.coverage_score, y_rec, n_items, k=k),
        "gini": outcome(metrics.gini_score, y_rec, n_items, k=k),
        "novelty": outcome(metrics.novelty_score, y_rec, pd.Series(by_id), n_users, k=k),
    }
    if not total:
        assert {own.kind for own in asked.values()} == {"ValueError"}, f"nothing ranked: {asked}"
        return
    x = sorted(times.get(item, 0) for item in range(n_items))
    lorenz = sum((2 * i - n_items - 1) * own for i, own in enumerate(x, 1)) / (n_items * total)
    bits = sum(-math.log2(max(counts[i], 1) / n_users) * n for i, n in times.items()) / total
    expected = {"coverage": len(times) / n_items, "gini": lorenz, "novelty": bits}
    for name, own in asked.items():
        assert own.error is None, f"{name}: {own.error!r}"
        np.testing.assert_allclose(own.value, expected[name], rtol=1e-12, atol=1e-15, err_msg=name)


if __name__ == "__main__":
    harness.run(check, cases())
