"""Item weights in model files: their forms, and checks that compiled code can rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._model_files.values import Encoder
from shallow_ae._typing import Array
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights, ItemWeights, SparseWeights
from shallow_ae._weights.low_rank import LowRankWeights
from shallow_ae._weights.popularity import PopularityScores

_FORMS = (DenseWeights, SparseWeights, DualWeights, LowRankWeights, PopularityScores)
FORM_NAMES: dict[type, str] = {form: form.__name__ for form in _FORMS}


def encode_holder(weights: ItemWeights, place: str, encoder: Encoder) -> dict[str, Any]:
    """Return the JSON of the holder of weights."""
    return {"@": "ItemWeights", "form": encoder.encode(weights.form, place)}


def check_type(name: str, value: Any, expected: Any) -> None:
    """Raise a ValueError unless a value is of an expected type."""
    if not isinstance(value, expected):
        raise ValueError(f"`{name}` is a {type(value).__name__}")


def check_numbers(name: str, array: Any, *shape: int | None) -> None:
    """Raise a ValueError unless an array holds finite floats; None allows any length of an axis."""
    if type(array) is not np.ndarray or array.dtype not in (np.float32, np.float64):
        raise ValueError(f"`{name}` is not an array of floats")
    if array.ndim != len(shape) or any(
        n not in (None, own) for n, own in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"`{name}` has the shape {array.shape}, expected {shape}")
    # The extremes are NaN if any value is. Unlike a mask, they take no memory.
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise ValueError(f"`{name}` holds numbers that are not finite")


def check_state(weights: Any, item_counts: Any) -> int:
    """Raise a ValueError unless weights and item counts belong together; return the items."""
    if not isinstance(weights, ItemWeights):
        raise ValueError(f"weights that are a {type(weights).__name__}")
    n_items = weights.form.n_inputs
    check_numbers("item_counts", item_counts, n_items)
    if not n_items or item_counts.min() < 0:
        raise ValueError("no items, or a negative number of users")
    return n_items


def _dense(P: Array) -> DenseWeights:
    check_numbers("P", P, None, len(P))
    return DenseWeights(P)


def _sparse(P: Any) -> SparseWeights:
    check_type("P", P, sp.csr_array)
    n_items, n_outputs = P.shape
    if n_items != n_outputs:
        raise ValueError(f"`P` has the shape {P.shape}, expected as many rows as columns")
    check_numbers("P", P.data, None)
    return SparseWeights(P)


def _dual(
    items: Any, M: Array, input_scale: Array, output_scale: Array, diagonal: Array
) -> DualWeights:
    check_type("items", items, sp.csr_array)
    n_items, n_users = items.shape
    check_numbers("items", items.data, None)
    check_numbers("M", M, n_users, n_users)
    for name, own in (("input", input_scale), ("output", output_scale), ("diagonal", diagonal)):
        check_numbers(name, own, n_items)
    return DualWeights(items, M, input_scale, output_scale, diagonal)


def _low_rank(vectors: Array, input_scale: Array, diagonal: Array) -> LowRankWeights:
    check_numbers("vectors", vectors, None, None)
    check_numbers("input_scale", input_scale, len(vectors))
    check_numbers("diagonal", diagonal, len(vectors))
    return LowRankWeights(vectors, input_scale, diagonal)


def _popularity(popularity: Array) -> PopularityScores:
    check_numbers("popularity", popularity, None)
    return PopularityScores(popularity)


def _holder(form: Any) -> ItemWeights:
    if not isinstance(form, _FORMS):
        raise ValueError("weights of an unknown form")
    return ItemWeights(form)


WEIGHT_READERS: dict[str, Callable[..., Any]] = {
    "DenseWeights": _dense,
    "SparseWeights": _sparse,
    "DualWeights": _dual,
    "LowRankWeights": _low_rank,
    "PopularityScores": _popularity,
    "ItemWeights": _holder,
}
