"""Fits in one assignment: an estimator trains a copy of itself and then takes over its attributes.

An error leaves the estimator unchanged. Other threads see either the previous or the new fit, never
a mixture of both: a method that reads several attributes reads them from a snapshot.
"""

from __future__ import annotations

from typing import Any, TypeVar

_Estimator = TypeVar("_Estimator", bound=Any)


def take_over(estimator: _Estimator, trained: _Estimator) -> _Estimator:
    """Replace all attributes except parameters by the trained copy's, in one assignment."""
    estimator.__dict__ = {**vars(trained), **estimator.get_params(deep=False)}
    return estimator


def snapshot(estimator: _Estimator) -> _Estimator:
    """Return the estimator as it is now, which stays so if another fit ends during a call.

    Until then, both share all attributes. Values that are computed once are kept for both.
    """
    now: _Estimator = object.__new__(type(estimator))
    now.__dict__ = vars(estimator)
    return now


def copy_names(estimator: Any, other: Any) -> None:
    """Copy the number and names of the fitted features from `estimator` to `other`."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(other, name, getattr(estimator, name))


def forget_names(estimator: Any, n_items: int) -> None:
    """Set the number of the fitted features, which have no names."""
    estimator.__dict__.pop("feature_names_in_", None)
    estimator.n_features_in_ = n_items
