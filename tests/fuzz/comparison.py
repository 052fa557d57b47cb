"""Whether two answers of the library are the same, whatever their type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator

LEARNED = ("item_weights_", "item_counts_", "n_samples_seen_", "n_features_in_")


def check_same(what: str, found: Any, expected: Any, atol: float = 0.0) -> None:
    """Raise an AssertionError that begins with `what` unless both are the same up to `atol`."""
    if isinstance(expected, BaseEstimator):
        check_same(what, learned(found), learned(expected), atol)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), f"{what}: {found.keys()}, {expected.keys()}"
        for name, value in expected.items():
            check_same(f"{what}, {name}", found[name], value, atol)
    elif isinstance(expected, tuple | list):
        assert len(found) == len(expected), f"{what}: {len(found)} parts, not {len(expected)}"
        for own, other in zip(found, expected, strict=True):
            check_same(what, own, other, atol)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, obj=what)
    else:
        check_same_arrays(what, dense(found), dense(expected), atol)


def learned(model: Any) -> dict[str, Any]:
    """Return what a model has learned."""
    return {name: getattr(model, name) for name in LEARNED if hasattr(model, name)}


def dense(X: Any) -> Any:
    """Return an answer as an array."""
    return X.toarray() if sp.issparse(X) else np.asarray(X)


def check_same_arrays(what: str, found: Any, expected: Any, atol: float) -> None:
    """Compare two arrays."""
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=what)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=what)
