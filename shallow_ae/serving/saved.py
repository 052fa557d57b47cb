"""Reading of model files for serving, without making the estimators."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from shallow_ae._model_files import foreign
from shallow_ae._model_files.container import ModelFileError, read
from shallow_ae._model_files.document import checked_document
from shallow_ae._model_files.values import Decoder
from shallow_ae._model_files.weights import WEIGHT_READERS, check_state
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import WeightMatrix
from shallow_ae._weights.weighted_sum import factors_of, weighted_sum
from shallow_ae.data.log_counts import log_counts
from shallow_ae.serving.servable import Servable, working_steps


class _Estimator(NamedTuple):
    kind: str
    params: dict[str, Any]
    learned: dict[str, Any]


class _State(NamedTuple):
    weights: Any
    item_counts: Array


def read_servable(
    path: str | os.PathLike[str], *, memory_map: bool, trusted: Sequence[str] | None
) -> Servable:
    """Return the parts of a saved model or RecommenderPipeline that serving needs.

    Damaged contents raise errors that :func:`damage_as_error`, in which callers wrap this call,
    turns into ModelFileErrors.
    """
    contents = read(path, mapped=memory_map)
    node = checked_document(contents.document)["model"]
    readers = {**_READERS, foreign.NAME: foreign.reader(trusted)}
    return _servable(Decoder(contents.arrays, readers).decode(node))


def _servable(model: Any) -> Servable:
    if not isinstance(model, _Estimator):
        raise ValueError("no model")
    if model.kind != "RecommenderPipeline":
        state = _state_of(model)
        return Servable(np.arange(len(state.item_counts)), *_fields(state), [], False)
    mapper, *given, last = working_steps(model.params["steps"])
    state, between = _state_of(last), [log_counts if _is_log_count(s) else s for s in given]
    if not all(step is log_counts or hasattr(step, "transform") for step in between):
        raise ValueError("a pipeline with a step that transforms nothing")
    return Servable(
        mapper.learned["items_"], *_fields(state), between, mapper.params["unknown"] == "error"
    )


def _fields(state: _State) -> tuple[Array, WeightMatrix]:
    return state.item_counts, state.weights.form


def _is_log_count(step: Any) -> bool:
    return isinstance(step, _Estimator) and step.kind == "LogCountTransformer"


def _state_of(model: Any) -> _State:
    """Return the weights of a model, of the model that a search has chosen, or of a sum."""
    if not isinstance(model, _Estimator):
        raise ValueError("a value in place of a model")
    learned = model.learned
    if "best_estimator_" in learned:
        return _state_of(learned["best_estimator_"])
    if "_parts" in learned:
        names, models = learned["_parts"]["names"], learned["_parts"]["models"]
        states = [_state_of(part) for part in models.values()]
        factors = factors_of(model.params["weights"], names, models)
        return states[0]._replace(weights=weighted_sum([own.weights for own in states], factors))
    if "_fitted" not in learned:
        raise ModelFileError(
            f"holds {_a(model.kind)} that recommends nothing: expected a fitted model or "
            "RecommenderPipeline."
        )
    state: _State = learned["_fitted"]
    return state


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"


def _read_state(weights: Any, item_counts: Array, **_: Any) -> _State:
    check_state(weights, item_counts)
    return _State(weights, item_counts)


_READERS: Mapping[str, Callable[..., Any]] = {
    **WEIGHT_READERS,
    "estimator": _Estimator,
    "FittedState": _read_state,
    "AutoEncoderState": _read_state,
    "LowRankState": _read_state,
    "FittedParts": dict,
    "Objective": dict,
    "RankingScorer": dict,
    "TrainingRows": dict,
    "TrainingGram": dict,
    "KeptInteractions": dict,
}
