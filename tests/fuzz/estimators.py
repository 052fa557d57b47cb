"""All public estimators of matrices, and those of their methods that take one."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import BaseEstimator, clone

import shallow_ae
from shallow_ae import (
    BlendedRecommender,
    BlendedRecommenderCV,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
)

PARTS = [
    ("near", SparseShallowAutoEncoder(1.0, n_neighbors=2)),
    ("tastes", LowRankAutoEncoder(2, regularization=0.5, random_state=0)),
    ("dense", ShallowAutoEncoder(1.0, solver="exact")),
]
MADE = {
    "sgd": ShallowAutoEncoder(1.0, max_iter=3, tol=0.0, random_state=0),
    "exact": ShallowAutoEncoder(1.0, solver="exact"),
    "nearest": SparseShallowAutoEncoder(1.0, n_neighbors=2),
    "low rank": LowRankAutoEncoder(2, regularization=0.5, random_state=0),
    "popular": PopularityRecommender(),
    "sum": BlendedRecommender(PARTS, weights=[1.0, 0.5, 0.25]),
    "search": ShallowAutoEncoderCV([1.0], cv=2),
    "search for weights": BlendedRecommenderCV(PARTS, weights=[[1.0, 0.5, 0.25]], cv=2),
    "counts": LogCountTransformer(),
}
TABLES = {"IdMapper", "RecommenderPipeline"}  # tables of interactions, not matrices
OTHERS = {  # what a method takes beside X, by the name of the parameter
    "items": lambda shape: [shape[1] - 1] * shape[0],
    "input_features": lambda _: None,
}


def public_estimators() -> set[str]:
    """Return the names of the classes of estimators that the package exports."""
    classes = {name: getattr(shallow_ae, name) for name in shallow_ae.__all__}
    return {
        name
        for name, found in classes.items()
        if inspect.isclass(found) and issubclass(found, BaseEstimator)
    }


forgotten = public_estimators() - TABLES - {type(model).__name__ for model in MADE.values()}
assert not forgotten, f"estimators that no target tries: {sorted(forgotten)}"


def made(name: str) -> Any:
    """Return a new estimator."""
    return clone(MADE[name])


def methods(estimator: Any) -> dict[str, inspect.Signature]:
    """Return the public methods of an estimator that take a matrix X."""
    found = {}
    for name in dir(type(estimator)):
        method = getattr(type(estimator), name)
        if name.startswith("_") or not callable(method):
            continue
        signature = inspect.signature(method)
        if "X" in signature.parameters:
            found[name] = signature
    return found


CALLS = sorted((name, method) for name, model in MADE.items() for method in methods(model))


def arguments(signature: inspect.Signature, shape: tuple[int, int]) -> dict[str, Any]:
    """Return values for the parameters beside X that have no default."""
    return {
        name: OTHERS[name](shape)
        for name, parameter in signature.parameters.items()
        if name not in ("self", "X")
        and parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
    }
