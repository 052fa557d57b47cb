"""LAPACK's inverse of a positive definite matrix, in place and without Python's lock.

SciPy's own wrappers hold the lock while they compute, so that threads with one matrix each would
run one after another. This module calls the functions that SciPy exports to compiled code
(`scipy.linalg.cython_lapack`) by their addresses.
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
    """Overwrite the lower triangle of A with A^-1, and return whether A is positive definite.

    BLAS should be limited to one thread: OpenBLAS's multithreaded Cholesky factorization can crash
    if n is large.

    Parameters
    ----------
    A : C-contiguous ndarray of shape (n, n), float32 or float64
        Symmetric. Only its lower triangle is read, and the entries above it are not changed.
    """
    letter = {"float32": "s", "float64": "d"}[A.dtype.name]
    integer = integer_type()
    n, stride, failed = (integer(value) for value in (len(A), max(1, len(A)), 0))
    for step in ("potrf", "potri"):
        # LAPACK is column-major: the lower triangle of A is LAPACK's upper triangle.
        function = _function(letter + step, ctypes.c_char_p, 5)
        refs = ctypes.byref(stride), ctypes.byref(failed)
        function(b"U", ctypes.byref(n), A.ctypes.data_as(ctypes.c_void_p), *refs)
        if failed.value:
            return False
    return True


@cache
def integer_type() -> type[ctypes.c_int32] | type[ctypes.c_int64]:
    """Return the type of LAPACK's integers: a build of SciPy has integers of 32 or 64 bits.

    The function does not rely on SciPy's description of its build. LAPACK writes its version
    numbers into integers of 64 bits, and the bytes that it leaves unchanged show the width.

    Raises
    ------
    ImportError
        If the width is neither 32 nor 64 bits.
    """
    version = [ctypes.c_int64(-1) for _ in range(3)]
    _function("ilaver", ctypes.c_void_p, 3)(*map(ctypes.byref, version))
    for integer in (ctypes.c_int32, ctypes.c_int64):
        found = [integer.from_buffer(number).value for number in version]
        rest = bytes(version[0])[ctypes.sizeof(integer) :]
        if found[0] >= 3 and min(found) >= 0 and rest.count(0xFF) == len(rest):
            return integer
    raise ImportError(
        f"SciPy's LAPACK wrote its version as bytes {bytes(version[0]).hex()}, which are no "
        "integers of 32 or 64 bits. Install SciPy from its own wheels."
    )


def _function(name: str, first: Any, n_arguments: int) -> _Function:
    """Return a function of LAPACK by its name; all its arguments are addresses."""
    found = LowLevelCallable.from_cython(cython_lapack, name)
    arguments = [first, *[ctypes.c_void_p] * (n_arguments - 1)]
    address = _pointer(found.function, found.signature.encode())
    function: _Function = ctypes.CFUNCTYPE(None, *arguments)(address)
    return function
