"""The decorator for functions that Numba compiles to machine code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function with Numba at its first call.

    The compiled function runs without the global interpreter lock (GIL).

    Numba caches the machine code on disk, beside the module or in the user's cache folder, if one
    of these folders can be written to. The compiler neither reorders floating-point operations nor
    fuses a product with a sum. A result therefore depends neither on the machine nor on the other
    values that are computed with it.
    """
    dispatcher: Any = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # raised if neither folder can be written to
        # `cache=True` would set this attribute to an instance of Numba's own class.
        dispatcher._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast("_Function", dispatcher)


class _Cache(FunctionCache):
    """Machine code cached on disk. Damaged files and a full disk are not errors.

    A function whose machine code cannot be read is compiled, and machine code that cannot be saved
    is not saved. Numba's own class raises these errors in calls of the compiled function.
    """

    def load_overload(self, *args: Any) -> Any:
        """Return the machine code for a signature, or None if there is no usable one."""
        try:
            return super().load_overload(*args)  # type: ignore[no-untyped-call]
        except Exception:  # unpickling damaged bytes may raise anything
            with suppress(Exception):  # so that valid machine code can be saved
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, *args: Any) -> None:
        """Save the machine code for a signature, if possible."""
        with suppress(Exception):
            super().save_overload(*args)  # type: ignore[no-untyped-call]
