"""Records the results that every later version must give again, in golden.npz beside this file.

They are computed from arrays in the same file, not from drawn ones: NumPy does not promise that its
generators draw the same numbers in every version. Run it only after a change of results that is
intended, and name the change in CHANGELOG.md:

    python tests/golden/record.py
"""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from same_results import counts_for

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    hold_out_items,
    metrics,
)
from shallow_ae._linalg.gram import add_gram
from shallow_ae._linalg.inverse import invert

FILE = Path(__file__).with_name("golden.npz")


def inputs():
    """Return the inputs: counts, and a table of interactions with raw ids."""
    counts = counts_for("nearest", np.float64).toarray()[:90, :40]
    users, items = np.nonzero(counts)
    order = np.arange(len(users)) * 7919 % len(users)  # a prime: each row once
    return {
        "counts": counts,
        "users": np.array([f"user{(n * 37) % 90}" for n in users[order]]),
        "items": np.array([f"Lied {(n * 11) % 40} über Ω" for n in items[order]]),
    }


def exact_results(given):
    """Return the results that are equal to the bit on all processors and versions."""
    X = sp.csr_array(given["counts"])
    near = SparseShallowAutoEncoder(0.1, n_neighbors=8, dropout=0.25).fit(X)
    items, scores = near.recommend(X, k=10, return_scores=True)
    mapper = IdMapper()
    rows = mapper.fit_transform(list(zip(given["users"], given["items"], strict=True)))
    visible, hidden = hold_out_items(X, 0.25, random_state=7)
    truth, lists = hidden, near.recommend(visible, k=10)
    named = {"recall": {"k": 5}, "precision": {"k": 5}, "hit_rate": {"k": 3}, "map": {}, "mrr": {}}
    values = {
        f"metric {name}": getattr(metrics, f"{name}_score")(truth, lists, per_user=True, **other)
        for name, other in named.items()
    }
    return values | {
        "nearest: weights": near.item_weights_.toarray(),
        "nearest: items": items,
        "nearest: scores": scores,
        "nearest: similar items": near.similar_items(np.arange(40), k=5),
        "popularity: items": PopularityRecommender().fit(X).recommend(X, k=10),
        "ids: users": mapper.users_.astype(str),
        "ids: items": mapper.items_.astype(str),
        "ids: rows": rows.indptr,
        "ids: columns": rows.indices,
        "ids: counts": rows.data,
        "split: visible": visible.toarray(),
        "split: hidden": hidden.toarray(),
    }


def rounded_results(given):
    """Return the results that are equal up to rounding, each with the number of its roundings.

    The number is multiplied by the condition of the matrix that is inverted.
    """
    X = sp.csr_array(given["counts"])
    weights = 1 + np.arange(X.shape[0]) % 3 / 4
    gram = np.zeros((X.shape[1],) * 2)
    add_gram(X, weights, gram)
    gram = np.tril(gram)
    inverse = gram + 5 * np.eye(len(gram))
    invert(inverse)
    primal = ShallowAutoEncoder(0.1, solver="exact", dropout=0.25).fit(X)
    dual = ShallowAutoEncoder(0.1, solver="exact", dropout=0.25).fit(X[:25])
    low = LowRankAutoEncoder(6, random_state=0).fit(X)
    # Every batch has all users, and the start is zero: only 1/L depends on draws.
    descents = {
        layout: ShallowAutoEncoder(
            0.1, batch_size=90, max_iter=30, init_scale=0.0, random_state=0
        ).fit(rows)
        for layout, rows in (("sparse", _thin(X)), ("dense", X.toarray() + 1))
    }
    assert [own.batch_layout_ for own in descents.values()] == list(descents)
    visible, hidden = hold_out_items(X, 0.25, random_state=7)
    ndcg = metrics.ndcg_score(hidden, primal.recommend(visible, k=10), per_user=True)
    return {
        "Gram matrix": gram,
        "inverse": inverse,
        "exact, primal: weights": primal.item_weights_,
        "exact, dual: weights": dual.item_weights_,
        "exact, primal: objective": np.array(primal.loss_curve_),
        "low rank: weights": low.item_weights_,
        "low rank: singular values": low.singular_values_,
        "gradient descent, sparse: weights": descents["sparse"].item_weights_,
        "gradient descent, sparse: losses": np.array(descents["sparse"].loss_curve_),
        "gradient descent, dense: weights": descents["dense"].item_weights_,
        "gradient descent, dense: losses": np.array(descents["dense"].loss_curve_),
        "log counts": LogCountTransformer().fit_transform(X).toarray(),
        "metric ndcg": ndcg,
    }


def _thin(X):
    """Return rows with so few entries that batches are sparse."""
    wide = sp.csr_array((X.data, X.indices * 10, X.indptr), shape=(X.shape[0], 400))
    return wide


if __name__ == "__main__":
    recorded = inputs()
    results = exact_results(recorded) | rounded_results(recorded)
    np.savez_compressed(FILE, **recorded, **results)
    print(f"{len(results)} results in {FILE.stat().st_size:,} bytes")
