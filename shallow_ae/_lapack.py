"""LAPACK's inverse of a positive definite matrix, where it lies and without Python's lock.

scipy's own wrappers keep the lock while they compute, so that threads with a matrix each would take
turns. These are the functions that scipy offers to compiled code, called by their addresses.
"""

from __future__ import annotations

import ctypes
from typing import Any

from scipy import LowLevelCallable
from scipy.linalg import cython_lapack

from shallow_ae._typing import Array

_INTEGER = ctypes.POINTER(ctypes.c_int)
_ARGUMENTS = (ctypes.c_char_p, _INTEGER, ctypes.c_void_p, _INTEGER, _INTEGER)
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
    n, stride, failed = (ctypes.c_int(value) for value in (len(A), max(1, len(A)), 0))
    for step in ("potrf", "potri"):
        # Columns are LAPACK's rows: what is below the diagonal here is above it there.
        function = _function(letter + step)
        function(b"U", ctypes.byref(n), A.ctypes.data, ctypes.byref(stride), ctypes.byref(failed))
        if failed.value:
            return False
    return True


def _function(name: str) -> Any:
    """Return one of LAPACK's functions of a triangle, n, A, its stride and a code of failure."""
    found = LowLevelCallable.from_cython(cython_lapack, name)
    return ctypes.CFUNCTYPE(None, *_ARGUMENTS)(_pointer(found.function, found.signature.encode()))
