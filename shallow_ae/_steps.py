"""What a pipeline that recommends asks of its steps."""

from __future__ import annotations

from typing import Any

from shallow_ae.data.ids import IdMapper
from shallow_ae.models.recommender import RecommenderMixin


def working_steps(steps: list[tuple[str, Any]]) -> list[Any]:
    """Return the estimators of a pipeline's steps, without those switched off."""
    return [step for _, step in steps if step not in (None, "passthrough")]


def check_steps(steps: list[tuple[str, Any]]) -> None:
    """Raise a TypeError unless the first step maps ids and the last one recommends."""
    first, last = steps[0][1], steps[-1][1]
    if not isinstance(first, IdMapper):
        raise TypeError(
            f"The first step must be an IdMapper, got {first!r}: it turns raw ids into columns. "
            "`make_recommender` puts one there."
        )
    if not isinstance(last, RecommenderMixin):
        raise TypeError(f"The last step must recommend, as ShallowAutoEncoder does, got {last!r}.")


def name_items(mapper: IdMapper, model: Any) -> None:
    """Tell a fitted model the names of its items, if they tell the items apart.

    Raises a ValueError if the model has other items than the mapper.
    """
    names = mapper.get_feature_names_out()
    if model.n_features_in_ != len(names):
        raise ValueError(
            f"The steps between IdMapper and {type(model).__name__} must keep the items: there "
            f"are {len(names):,} before and {model.n_features_in_:,} after them."
        )
    if len(set(names)) == len(names):
        model.feature_names_in_ = names
