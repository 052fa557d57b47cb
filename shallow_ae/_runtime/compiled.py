"""The decorator for functions that Numba compiles to machine code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called, so that it runs without Python's lock.

    The machine code is kept on disk, beside the module or in the user's cache folder, if one of
    them can be written to. Arithmetic is that of the source: nothing is reordered and no product
    fused with a sum, so that a result depends neither on the machine nor on what is computed beside
    it.
    """
    dispatcher: Any = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # if neither folder can be written to
        # `cache=True` sets the same attribute, to Numba's own class.
        dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast("_Function", dispatcher)


class _Cache(FunctionCache):
    """Machine code on disk. If it is damaged or the disk is full, functions are compiled instead.

    Numba's own class raises these errors in calls of the compiled function.
    """

    def load_overload(self, *args: Any) -> Any:
        """Return the machine code for a signature, or None if there is no usable one."""
        try:
            return super().load_overload(*args)  # type: ignore[no-untyped-call]
        except Exception:  # unpickling damaged bytes may raise anything
            with suppress(Exception):  # so that the next process finds valid machine code
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, *args: Any) -> None:
        """Save the machine code for a signature, if possible."""
        with suppress(Exception):
            super().save_overload(*args)  # type: ignore[no-untyped-call]
