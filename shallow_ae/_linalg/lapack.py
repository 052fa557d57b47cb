"""LAPACK's inverse of a positive definite matrix, in place and without Python's lock.

scipy's own wrappers keep the lock while they compute, so that threads with a matrix each would take
turns. These are the functions that scipy offers to compiled code, called by their addresses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from scipy import LowLevelCallable
from scipy.linalg import cython_lapack

from shallow_ae._typing import Array

_Function = Callable[..., None]

_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def invert_by_cholesky(A: Array) -> bool:
    """Write A^-1 over the lower triangle of A, and return whether A is positive definite.

    BLAS should be on one thread: OpenBLAS's threaded Cholesky can crash where n is large.

    Parameters
    ----------
    A : C-contiguous ndarray of shape (n, n), float32 or float64
        Symmetric; only its lower triangle is read, and nothing above it is changed.
    """
    letter = {"float32": "s", "float64": "d"}[A.dtype.name]
    integer = integer_type()
    n, stride, failed = (integer(value) for value in (len(A), max(1, len(A)), 0))
    for step in ("potrf", "potri"):
        # Columns are LAPACK's rows: what is below the diagonal here is above it there.
        function = _function(letter + step, ctypes.c_char_p, 5)
        refs = ctypes.byref(stride), ctypes.byref(failed)
        function(b"U", ctypes.byref(n), A.ctypes.data_as(ctypes.c_void_p), *refs)
        if failed.value:
            return False
    return True


@cache
def integer_type() -> type[ctypes.c_int32] | type[ctypes.c_int64]:
    """Return the type of LAPACK's integers, which SciPy may be built with either width of.

    Nothing that SciPy says of its build is asked: LAPACK's own version is written to memory that
    either width fits into, and what it has left of that tells the width.

    Raises
    ------
    ImportError
        If it is neither.
    """
    version = [ctypes.c_int64(-1) for _ in range(3)]
    _function("ilaver", ctypes.c_void_p, 3)(*map(ctypes.byref, version))
    for integer in (ctypes.c_int32, ctypes.c_int64):
        found = [integer.from_buffer(number).value for number in version]
        rest = bytes(version[0])[ctypes.sizeof(integer) :]
        if found[0] >= 3 and min(found) >= 0 and rest.count(0xFF) == len(rest):
            return integer
    raise ImportError(
        f"SciPy's LAPACK wrote its version as {bytes(version[0]).hex()}, which are no integers of "
        "32 or 64 bits: install SciPy from its own wheels."
    )


def _function(name: str, first: Any, n_arguments: int) -> _Function:
    """Return one of LAPACK's functions, all arguments of which are addresses."""
    found = LowLevelCallable.from_cython(cython_lapack, name)
    arguments = [first, *[ctypes.c_void_p] * (n_arguments - 1)]
    address = _pointer(found.function, found.signature.encode())
    function: _Function = ctypes.CFUNCTYPE(None, *arguments)(address)
    return function
