"""Fitted states in model files: the names of their types, and checks after reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._model_files.weights import (
    FORM_NAMES,
    WEIGHT_READERS,
    check_numbers,
    check_state,
    check_type,
)
from shallow_ae._objective.objective import Objective
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._weights.dual import DualWeights
from shallow_ae.model_selection.scorer import RankingScorer
from shallow_ae.models.blended import FittedParts
from shallow_ae.models.fitted import AutoEncoderState, FittedState
from shallow_ae.models.low_rank import LowRankState
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.pipeline.kept_interactions import KeptInteractions

TYPE_NAMES: Mapping[type, str] = {
    **FORM_NAMES,
    Objective: "Objective",
    TrainingRows: "TrainingRows",
    TrainingGram: "TrainingGram",
    FittedState: "FittedState",
    AutoEncoderState: "AutoEncoderState",
    LowRankState: "LowRankState",
    RankingScorer: "RankingScorer",
    KeptInteractions: "KeptInteractions",
}


NAMES_FOR_SERVING = {  # what remains holds no row of a user
    kind: name
    for kind, name in TYPE_NAMES.items()
    if kind not in (TrainingRows, TrainingGram, DualWeights, KeptInteractions)
}


def _training_rows(X: Any, sample_weight: Any) -> TrainingRows:
    check_type("X", X, sp.csr_array)
    check_numbers("X", X.data, None)
    check_numbers("sample_weight", sample_weight, X.shape[0])
    if not X.shape[0] or sample_weight.min() < 0:
        raise ValueError("no rows, or a negative weight of a row")
    return TrainingRows(X, sample_weight)


def _kept_interactions(**fields: Any) -> KeptInteractions:
    own = KeptInteractions(**fields)
    n = len(own.counts)
    check_numbers("counts", own.counts, n)
    if own.counts.dtype != np.float64 or not n or own.counts.min() < 0:
        raise ValueError("no interactions, or counts that are negative or not float64")
    _check_column("users", own.users, n, np.int32)
    _check_column("items", own.items, n, np.int32)
    if own.times is not None:
        _check_column("times", own.times, n, np.int64, np.float64)
    for name in ("has_dates", "is_double"):
        check_type(name, getattr(own, name), bool)
    if own.n_log_steps is not None:
        check_type("n_log_steps", own.n_log_steps, int)
    if own.sample_weight is not None:
        check_numbers("sample_weight", own.sample_weight, None)
    if own.item_ids is not None:
        check_type("item_ids", own.item_ids, np.ndarray)
    return own


def _check_column(name: str, column: Any, n: int, *types: type) -> None:
    is_array = type(column) is np.ndarray and column.shape == (n,)
    if not is_array or column.dtype not in types or not np.isfinite(column).all():
        raise ValueError(f"`{name}` does not hold {n:,} finite numbers of a known type")


def _training_gram(**fields: Any) -> TrainingGram:
    gram = TrainingGram(**fields)
    n_items = len(gram.item_counts)
    check_numbers("matrix", gram.matrix, n_items, n_items)
    for name in ("item_counts", "largest", "n_users"):
        check_numbers(name, getattr(gram, name), n_items)
    if gram.dtype not in (np.float32, np.float64):
        raise ValueError(f"a Gram matrix of {gram.dtype}")
    return gram


def _state(kind: type[FittedState]) -> Callable[..., FittedState]:
    def read(**fields: Any) -> FittedState:
        state = kind(**fields)
        n_items = check_state(state.weights, state.item_counts)
        check_type("n_samples_seen", state.n_samples_seen, int)
        data = state.training_data
        if data is not None:
            found = _n_items_of(data)
            if found != n_items:
                raise ValueError(f"training data of {found:,} items for {n_items:,} items")
        if isinstance(state, AutoEncoderState):
            check_numbers("diagonal", state.diagonal, n_items)
            check_type("objective", state.objective, Objective)
            check_type("loss_curve", state.loss_curve, list)
            check_type("n_iter", state.n_iter, int)
        if isinstance(state, LowRankState):
            check_numbers("singular_values", state.singular_values, None)
        return state

    return read


def _parts(names: Any, models: Any) -> FittedParts:
    own = list(models.values())
    if not own or not set(models) <= set(names):
        raise ValueError("a sum without parts, or with parts that have no names")
    for part in own:
        check_type("part", part, RecommenderMixin)
    sizes = {part._fitted.weights.form.n_inputs for part in own}
    if len(sizes) > 1:
        raise ValueError("a sum of parts with different numbers of items")
    return FittedParts(names, models)


def _n_items_of(data: Any) -> int:
    if isinstance(data, TrainingRows):
        return int(data.X.shape[1])
    check_type("training_data", data, TrainingGram)
    return len(data.matrix)


READERS: Mapping[str, Callable[..., Any]] = {
    **WEIGHT_READERS,
    "Objective": Objective,
    "TrainingRows": _training_rows,
    "TrainingGram": _training_gram,
    "FittedState": _state(FittedState),
    "AutoEncoderState": _state(AutoEncoderState),
    "LowRankState": _state(LowRankState),
    "FittedParts": _parts,
    "RankingScorer": RankingScorer,
    "KeptInteractions": _kept_interactions,
}
