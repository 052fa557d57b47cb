"""The decorators for functions that Numba compiles to machine code.

Numba compiles for seconds what runs for microseconds. Three decorators keep this time short:

- `compiled` is for the functions that Python code calls. Only these are cached on disk.
- `callee` is for the functions that they call. Python code does not get at the machine code of a
  callee, so that Numba need not compile the conversion of Python objects.
- `inlined` is for callees that are called in one or two places. Numba copies their statements into
  the caller. A callee is optimized again in each of the functions above it, a copy only once.

The compiler neither reorders floating-point operations nor fuses a product with a sum. A result
therefore depends neither on the machine nor on the other values that are computed with it. A
division by zero gives an infinite number or NaN, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import register_jitable

from shallow_ae._runtime.code_cache import CodeCache

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Nobody calls the kernels through a C function pointer, so that no wrapper for it is compiled.
_OPTIONS: dict[str, Any] = {"no_cfunc_wrapper": True, "error_model": "numpy"}


def compiled(function: _Function) -> _Function:
    """Compile a function with Numba at its first call.

    The compiled function runs without the global interpreter lock (GIL).

    Numba caches the machine code on disk, beside the module or in the user's cache folder, if one
    of these folders can be written to.
    """
    dispatcher: Any = numba.njit(nogil=True, **_OPTIONS)(function)
    # `cache=True` would set this attribute to an instance of Numba's own class.
    dispatcher._cache = CodeCache(function)
    return cast("_Function", dispatcher)


def callee(function: _Function) -> _Function:
    """Compile a function with the compiled functions that call it. In Python, it stays as it is."""
    return register_jitable(**_OPTIONS)(function)


def inlined(function: _Function) -> _Function:
    """Copy the statements of a function into the compiled functions that call it."""
    return cast("_Function", numba.njit(inline="always", **_OPTIONS)(function))
