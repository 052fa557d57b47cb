"""What the estimators learn from one table, and how they answer: the results of a run.

As a program, it prints a digest of the bits of each result, for comparisons between processes:

    OPENBLAS_CORETYPE=Haswell python tests/same_results.py
"""

import hashlib
import json

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from shallow_ae import (
    BlendedRecommender,
    BlendedRecommenderCV,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
)

PARTS = [
    ("near", SparseShallowAutoEncoder(0.1, n_neighbors=20)),
    ("tastes", LowRankAutoEncoder(8, random_state=0)),
    ("popular", PopularityRecommender()),
]
MODELS = {
    "sgd": ShallowAutoEncoder(max_iter=20, batch_size=100, random_state=0),
    "exact, many users": ShallowAutoEncoder(0.1, solver="exact", dropout=0.2),
    "exact, few users": ShallowAutoEncoder(0.1, solver="exact", dropout=0.2),
    "nearest": SparseShallowAutoEncoder(0.1, n_neighbors=20),
    "low rank": LowRankAutoEncoder(8, random_state=0),
    "popularity": PopularityRecommender(),
    "sum": BlendedRecommender(PARTS, weights=[1.0, 0.5, 0.25]),
    "search": ShallowAutoEncoderCV([0.1, 1.0], cv=3),
    "search for weights": BlendedRecommenderCV(PARTS, weights=[[1, 0, 0], [0.5, 1, 0]], cv=3),
}


def counts_for(name, dtype=np.float32, n_items=150):
    """Return counts to fit a model to: few users give an exact model the dual form."""
    # Powers of a generator of the integers modulo a prime: the same with every version of NumPy.
    n_users = n_items // 2 if name == "exact, few users" else 700
    numbers, value = np.empty(n_users * n_items, np.int64), 1
    for place in range(len(numbers)):
        value = value * 48271 % (2**31 - 1)
        numbers[place] = value
    X = np.maximum(numbers.reshape(n_users, n_items) % 97 - 85, 0) / 4
    X[:, :2] += 1
    return sp.csr_array(X.astype(dtype))


def fitted(name, X=None):
    """Return a fitted model."""
    return clone(MODELS[name]).fit(counts_for(name) if X is None else X)


def learned(model):
    """Return what a model has learned, as arrays."""
    results = {"item_counts_": model.item_counts_}
    if hasattr(model, "loss_curve_"):
        results["loss_curve_"] = np.array(model.loss_curve_)
    if hasattr(model, "item_weights_"):
        P = model.item_weights_
        results["item_weights_"] = P.toarray() if sp.issparse(P) else P
    return results


def answers(model, X):
    """Return the answers of a model to questions, as arrays."""
    asked = X[:50]
    items, scores = model.recommend(asked, k=20, return_scores=True)
    similar, weights = model.similar_items(np.arange(10), k=5, return_scores=True)
    reasons, parts = model.explain(asked, items[:, :2], k=3)
    return {
        "predict": model.predict(asked),
        "recommend": items,
        "scores": scores,
        "similar_items": similar,
        "weights": weights,
        "explain": reasons,
        "contributions": parts,
        "score": np.array(model.score(asked)),
    }


def results_of(name):
    """Return all results of a fit."""
    X = counts_for(name)
    model = fitted(name, X)
    return answers(model, X) | learned(model)


def digest_of(array):
    """Return a text that is equal for arrays of the same type, shape and bits."""
    array = np.ascontiguousarray(array)
    told = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(told + array.tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    found = {name: {k: digest_of(v) for k, v in results_of(name).items()} for name in MODELS}
    print(json.dumps(found, indent=1))
