"""Servable: the items, weights and steps for recommendations. The working steps of a pipeline."""

from __future__ import annotations

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
