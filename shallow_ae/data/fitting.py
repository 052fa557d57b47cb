"""How estimators learn: on a copy, which they take over in one assignment.

An error leaves the estimator as it was, and whoever uses it meanwhile finds one fit or the other.
"""

from __future__ import annotations

from typing import Any, TypeVar

_Estimator = TypeVar("_Estimator", bound=Any)


def take_over(estimator: _Estimator, trained: _Estimator) -> _Estimator:
    """Give the estimator, at once, all that a trained copy has but its parameters; return it."""
    estimator.__dict__ = {**vars(trained), **estimator.get_params(deep=False)}
    return estimator


def copy_names(estimator: Any, other: Any) -> None:
    """Give another estimator the number and names of the features that this one was fitted to."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(other, name, getattr(estimator, name))
