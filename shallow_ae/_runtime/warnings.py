"""Warnings that point at the caller's line, at any depth of calls inside the library."""

from __future__ import annotations

import sys
import warnings

# Packages whose methods call this library for the user: pipelines, searches, parallel loops.
_BETWEEN = {"shallow_ae", "sklearn", "joblib", "contextlib", "dask", "distributed"}


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the innermost line outside this package.

    Lines in scikit-learn, joblib, Dask and contextlib, whose functions call this package, count as
    lines of this package. Python shows a warning only once for each line and message, so a search
    does not repeat it for each split.
    """
    level, frame = 1, sys._getframe()
    while frame is not None and _package(frame.f_globals) in _BETWEEN:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
