"""Checks of a pipeline's steps, and the names of the items that the last step learns."""

from __future__ import annotations

from typing import Any

from shallow_ae.data.ids import IdMapper
from shallow_ae.models.recommender import RecommenderMixin


def check_steps(first: Any, last: Any) -> None:
    """Raise a TypeError unless the first step is an IdMapper and the last step a recommender."""
    if not isinstance(first, IdMapper):
        raise TypeError(
            f"The first step must be an IdMapper, got {first!r}: it turns raw ids into columns. "
            "`make_recommender` puts one there."
        )
    if not isinstance(last, RecommenderMixin):
        raise TypeError(
            f"The last step must be a recommender such as ShallowAutoEncoder, got {last!r}."
        )


def name_items(mapper: IdMapper, model: Any) -> None:
    """Set the item names of a fitted model, if the names are distinct.

    Raises a ValueError if the model and the mapper have different numbers of items.
    """
    names = mapper.get_feature_names_out()
    if model.n_features_in_ != len(names):
        raise ValueError(
            f"The steps between IdMapper and {type(model).__name__} must keep the items: there "
            f"are {len(names):,} items before and {model.n_features_in_:,} items after these steps."
        )
    if len(set(names)) == len(names):
        model.feature_names_in_ = names
