"""What a call leads to: a value, or an error by which a check tells the caller what to change."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import sklearn

import shallow_ae

# What checks arguments: the library, and scikit-learn on its behalf.
CHECKING = tuple(str(Path(package.__file__).parent) for package in (shallow_ae, sklearn))
TELLING = (ValueError, TypeError, MemoryError, NotImplementedError, AttributeError)


class Outcome(NamedTuple):
    """The value of a call, or the error that it raised."""

    value: Any
    error: Exception | None

    @property
    def kind(self) -> str:
        """Return the name of the type of the error, or "value"."""
        return "value" if self.error is None else type(self.error).__name__


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    """Return what a call leads to. An error that no check has raised is not caught.

    An IndexError, or a ValueError of NumPy in the midst of a computation, tells the caller nothing.
    """
    try:
        return Outcome(call(*args, **kwargs), None)
    except TELLING as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not last.filename.startswith(CHECKING) or len(str(error)) < 20:
            raise
        return Outcome(None, error)
