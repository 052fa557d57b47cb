"""JAX: its precision, its backend, and whether a process can use it.

JAX's globals are never touched. JAX is imported when it is first used, and starts when it first
computes. Its threads have no part in a process that is forked afterwards: there, it would wait for
them forever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import numpy as np

_is_started = False
_is_lost = False  # in a process that was forked after the start


@contextmanager
def jax_precision(dtype: Any) -> Iterator[None]:
    """Set JAX for this block of this thread.

    It computes in float64 where the data are, and full products always; what is handed over between
    it and NumPy is meant to be.
    """
    import jax

    start_jax()
    with (
        jax.enable_x64(dtype == np.float64),
        jax.default_matmul_precision("highest"),
        jax.transfer_guard("allow"),
    ):
        yield


def start_jax() -> None:
    """Note that JAX is used from here on.

    Raises
    ------
    RuntimeError
        In a process that was forked from one that had used JAX.
    """
    global _is_started
    if _is_lost:
        raise RuntimeError(
            "This process was forked from one in which JAX had started, and JAX would wait here "
            "for threads that are not there. Start processes by 'spawn' or 'forkserver' "
            "(multiprocessing.get_context), by joblib, or before the first fit; or use "
            "solver='exact' or SparseShallowAutoEncoder, which do without JAX on a CPU."
        )
    _is_started = True


def backend() -> str:
    """Return the name of JAX's backend, such as "cpu", without starting JAX if it can only be that.

    Other backends are plugins of JAX, which it finds as this does.
    """
    if _platforms() == "cpu" or not _has_plugins():
        return "cpu"
    import jax

    start_jax()
    return str(jax.default_backend())


def _platforms() -> str | None:
    """Return which backends JAX is set to; the environment variable is read at its import."""
    if "jax" not in sys.modules:
        return os.environ.get("JAX_PLATFORMS")
    import jax

    platforms: str | None = jax.config.values.get("jax_platforms")
    return platforms


@cache
def _has_plugins() -> bool:
    names = ("jax_plugins", "libtpu")
    return bool(entry_points(group="jax_plugins")) or any(find_spec(name) for name in names)


def _after_fork() -> None:
    global _is_lost
    _is_lost = _is_lost or _is_started


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
