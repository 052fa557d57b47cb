"""Copies of estimators that hold no user and no user's row, for serving."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from shallow_ae._model_files.weights import FORM_NAMES
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae.data.ids import IdMapper
from shallow_ae.models.blended import FittedParts
from shallow_ae.persistence.estimators import is_known


def without_users(estimator: Any) -> Any:
    """Return a copy of a fitted estimator that can recommend, but not be updated.

    Arrays are shared with the estimator. Weights that are stored as users' rows are computed as an
    array of items x items.

    Raises
    ------
    MemoryError
        If that array does not fit in memory.
    """
    copied = copy(estimator)
    learned = vars(copied)
    learned.pop("_kept", None)
    if isinstance(estimator, IdMapper):
        learned.pop("users_", None)
    for name, change in _CHANGES.items():
        if name in learned:
            learned[name] = change(learned[name])
    return copied


def _state(state: Any) -> Any:
    form = state.weights.form
    if isinstance(form, DualWeights) or type(form) not in FORM_NAMES:
        form = form.materialized()
    return replace(state, weights=ItemWeights(form), training_data=None)


def _parts(parts: FittedParts) -> FittedParts:
    return FittedParts(parts.names, {name: without_users(m) for name, m in parts.models.items()})


def _unfitted(named: Any) -> Any:
    """Return named estimators that a sum fits clones of, without what they may have learned."""
    if not isinstance(named, list):
        return named
    return [(name, _unfitted_part(part)) for name, part in named]


def _unfitted_part(part: Any) -> Any:
    parameters = getattr(part, "get_params", None)
    return part if parameters is None else type(part)(**parameters(deep=False))


def _steps(steps: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name, without_users(step) if is_known(step) else step) for name, step in steps]


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "_fitted": _state,
    "_parts": _parts,
    "best_estimator_": without_users,
    "estimators": _unfitted,
    "steps": _steps,
    "memory": lambda _: None,  # a cache for fits
}
