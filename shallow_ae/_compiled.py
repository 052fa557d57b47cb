"""Functions compiled to machine code by Numba, for loops that no array operation has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called, so that it runs without Python's lock.

    The machine code is kept on disk, beside the module or in the user's cache folder. Arithmetic
    is that of the source: nothing is reordered and no product fused with a sum, so that a result
    depends neither on the machine nor on what is computed beside it.
    """
    try:
        return cast("_Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither folder can be written to
        return cast("_Function", numba.njit(nogil=True)(function))
