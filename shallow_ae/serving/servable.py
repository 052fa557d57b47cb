"""Servable: the items, weights and steps for recommendations. The working steps of a pipeline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import WeightMatrix


class Servable(NamedTuple):
    """The items, weights and steps of a recommender."""

    items: Array  # raw ids
    item_counts: Array
    weights: WeightMatrix
    steps: list[Any]  # functions of positive counts, and transformers of rows
    refuses_unknown: bool


def working_steps(steps: list[tuple[str, Any]]) -> list[Any]:
    """Return the steps of a pipeline, without their names and without "passthrough" steps."""
    return [step for _, step in steps if step not in (None, "passthrough")]


def sparse_results() -> AbstractContextManager[None]:
    """Return a context in which scikit-learn's transformers return matrices, not frames.

    A frame has no sparse rows of users, so scikit-learn would raise an error.
    """
    from sklearn import config_context  # a serving process may have no scikit-learn

    context: AbstractContextManager[None] = config_context(transform_output="default")
    return context


def transformed(steps: list[Any], X: Any) -> Any:
    """Return the output of fitted transformers for rows."""
    with sparse_results():
        for step in steps:
            X = step.transform(X)
    return X
