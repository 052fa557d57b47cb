"""Estimators of this library in model files: their parameters and their learned attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._model_files.foreign import encode_by_skops
from shallow_ae._model_files.values import Encoder
from shallow_ae._model_files.weights import encode_holder
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.model_selection.autoencoder_cv import ShallowAutoEncoderCV
from shallow_ae.model_selection.blended_cv import BlendedRecommenderCV
from shallow_ae.models.autoencoder import ShallowAutoEncoder
from shallow_ae.models.blended import BlendedRecommender, FittedParts
from shallow_ae.models.fitted import AutoEncoderState, FittedState
from shallow_ae.models.low_rank import LowRankAutoEncoder, LowRankState
from shallow_ae.models.popularity import PopularityRecommender
from shallow_ae.models.recommender import RecommenderMixin
from shallow_ae.models.sparse import SparseShallowAutoEncoder
from shallow_ae.pipeline.kept_interactions import KeptInteractions
from shallow_ae.pipeline.recommender_pipeline import RecommenderPipeline
from shallow_ae.pipeline.steps import check_steps
from shallow_ae.serving.servable import working_steps

NAME = "estimator"

_NAMES = ("n_features_in_", "feature_names_in_", "_sklearn_output_config")
_LEFT_OUT = ("_sklearn_version", "_metadata_request")  # how a search calls an estimator
_CHOICE = ("best_estimator_", "best_params_", "best_score_", "best_index_")
_SEARCH = (*_CHOICE, "cv_results_", "n_splits_", *_NAMES)

# The attributes that a class has after `fit`.
_LEARNED: dict[type, tuple[str, ...]] = {
    IdMapper: ("items_", "users_", "reference_time_"),
    LogCountTransformer: _NAMES,
    ShallowAutoEncoder: ("_fitted", *_NAMES),
    SparseShallowAutoEncoder: ("_fitted", *_NAMES),
    LowRankAutoEncoder: ("_fitted", *_NAMES),
    PopularityRecommender: ("_fitted", *_NAMES),
    BlendedRecommender: ("_parts", *_NAMES),
    BlendedRecommenderCV: _SEARCH,
    ShallowAutoEncoderCV: _SEARCH,
    RecommenderPipeline: ("_kept",),
}
_CLASSES = {kind.__name__: kind for kind in _LEARNED}
_STATES: dict[type, type[FittedState]] = {
    ShallowAutoEncoder: AutoEncoderState,
    SparseShallowAutoEncoder: AutoEncoderState,
    LowRankAutoEncoder: LowRankState,
    PopularityRecommender: FittedState,
}


def is_known(estimator: Any) -> bool:
    """Return whether an estimator has a class of this library, and not a subclass of one."""
    return type(estimator) in _LEARNED


def encode_other(value: Any, place: str, encoder: Encoder) -> Any:
    """Return the JSON of a value that is not a number, a container or a named type."""
    if is_known(value):
        return _encode_estimator(value, place, encoder)
    if isinstance(value, ItemWeights):
        return encode_holder(value, place, encoder)
    if isinstance(value, FittedParts):
        own = {"names": value.names, "models": value.models}
        return {"@": "FittedParts"} | encoder.encode_all(own, place)
    if isinstance(value, TrainingRows | TrainingGram | DualWeights):
        raise AssertionError(f"`{place}` holds rows of users")  # `without_users` leaves none
    if isinstance(value, PartitionedRows):
        raise ValueError(
            f"`{place}` lies on Dask's workers and cannot be saved. Save with keep='serving'."
        )
    if isinstance(value, RecommenderMixin):
        raise TypeError(
            f"`{place}` is a {type(value).__name__}, a subclass that `load_model` cannot make. "
            "Save it with joblib or skops."
        )
    return encode_by_skops(value, place, encoder)


def _encode_estimator(estimator: Any, place: str, encoder: Encoder) -> dict[str, Any]:
    kind = type(estimator)
    params = estimator.get_params(deep=False)
    state = estimator.__getstate__()  # without values that are computed again when needed
    learned = {k: v for k, v in state.items() if k not in params and k not in _LEFT_OUT}
    if unknown := set(learned) - set(_LEARNED[kind]):
        raise TypeError(
            f"`{place}` is a {kind.__name__} with the attributes {sorted(unknown)}, which model "
            "files do not store. Delete these attributes before saving."
        )
    if kind is RecommenderPipeline:
        steps = [
            [name, encoder.encode(step, f"steps.{name}")] for name, step in params.pop("steps")
        ]
        params = encoder.encode_all(params, place) | {"steps": steps}
        return _node(kind, params, encoder.encode_all(learned, place))
    return _node(kind, encoder.encode_all(params, place), encoder.encode_all(learned, place))


def _node(kind: type, params: dict[str, Any], learned: dict[str, Any]) -> dict[str, Any]:
    return {"@": NAME, "kind": kind.__name__, "params": params, "learned": learned}


def read_estimator(kind: str, params: dict[str, Any], learned: dict[str, Any]) -> Any:
    """Return an estimator with these parameters and learned attributes, checked."""
    made = _CLASSES[kind]
    if unknown := set(learned) - set(_LEARNED[made]):
        raise ValueError(f"a {kind} with the attributes {sorted(unknown)}")
    if made is RecommenderPipeline:
        params["steps"] = [(name, step) for name, step in params["steps"]]
    estimator = made(**params)
    vars(estimator).update(learned)
    _check(estimator)
    return estimator


def _check(estimator: Any) -> None:
    """Raise a ValueError unless the learned attributes of an estimator fit each other."""
    learned = vars(estimator)
    expected = _STATES.get(type(estimator), FittedState)
    if "_fitted" in learned and type(learned["_fitted"]) is not expected:
        raise ValueError(f"a {type(estimator).__name__} with the state of another model")
    if "_parts" in learned and type(learned["_parts"]) is not FittedParts:
        raise ValueError("a sum without parts")
    if "best_estimator_" in learned and not is_known(learned["best_estimator_"]):
        raise ValueError("a search without a model")
    for name in ("items_", "users_"):
        if name in learned and len(set(learned[name].tolist())) < len(learned[name]):
            raise ValueError(f"`{name}` holds an id twice")
    if isinstance(estimator, RecommenderMixin):
        _check_features(estimator)
    if isinstance(estimator, RecommenderPipeline):
        _check_pipeline(learned, *working_steps(estimator.steps))


def _check_pipeline(learned: dict[str, Any], mapper: Any, *others: Any) -> None:
    check_steps(mapper, others[-1] if others else None)
    if not all(hasattr(step, "transform") for step in others[:-1]):
        raise ValueError("a pipeline with a step that transforms nothing")
    ids, model = getattr(mapper, "items_", None), others[-1]
    if ids is not None and _n_items(model) not in (None, len(ids)):
        raise ValueError(f"{len(ids):,} ids for {_n_items(model):,} items")
    for step in others:
        n_features = getattr(step, "n_features_in_", None) if is_known(step) else None
        if ids is not None and n_features not in (None, len(ids)):
            raise ValueError(f"{len(ids):,} ids for a {type(step).__name__} of other features")
    if "_kept" in learned:
        _check_kept(learned["_kept"], mapper)


def _check_kept(kept: Any, mapper: Any) -> None:
    """Raise a ValueError unless each user and each item of the mapper has kept interactions.

    Items that the mapper has left out have kept interactions, too.
    """
    if type(kept) is not KeptInteractions or not hasattr(mapper, "users_"):
        raise ValueError("a pipeline with other kept interactions, or without their users")
    item_ids = mapper.items_ if kept.item_ids is None else kept.item_ids
    known = item_ids[mapper.item_index(item_ids) >= 0]
    if len(set(item_ids.tolist())) < len(item_ids) or not np.array_equal(known, mapper.items_):
        raise ValueError("kept interactions with other items than the mapper's, or in other places")
    for codes, ids in ((kept.users, mapper.users_), (kept.items, item_ids)):
        if not np.array_equal(np.unique(codes), np.arange(len(ids))):
            raise ValueError(f"kept interactions of other users or items than {len(ids):,}")
    if kept.sample_weight is not None and kept.sample_weight.shape != mapper.users_.shape:
        raise ValueError(f"{len(kept.sample_weight):,} weights for {len(mapper.users_):,} users")


def _check_features(model: Any) -> None:
    n_items = _n_items(model)
    if n_items is None:
        return
    names = getattr(model, "feature_names_in_", None)
    n_features = model.n_features_in_
    is_number = type(n_features) is int  # JSON's 3.0 would be equal to it
    if not is_number or n_features != n_items or (names is not None and names.shape != (n_items,)):
        raise ValueError(f"a {type(model).__name__} of {n_items:,} items with other features")


def _n_items(model: Any) -> int | None:
    """Return the number of items of a model, or None if it is not fitted."""
    if not isinstance(model, RecommenderMixin) or not model.__sklearn_is_fitted__():
        return None
    return int(model._fitted.weights.form.n_inputs)
