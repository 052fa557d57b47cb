"""Free memory, and how to return unused memory to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import psutil

from shallow_ae._runtime.cgroups import left_by_control_groups

_GIB = 2**30


def gib(n_bytes: float) -> str:
    """Return a number of bytes as text, in GiB."""
    return f"{n_bytes / _GIB:.3g} GiB"


def release_free_memory() -> None:
    """Give free memory of the C library's allocator back to the operating system, if possible.

    After the compilation of a kernel, glibc keeps much of the memory that the compiler has freed.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError: Windows has no CDLL(None)
        ctypes.CDLL(None).malloc_trim(0)


def free_memory() -> int:
    """Return how many bytes can be allocated without swapping.

    This is the memory that the system has available, or less if a limit of the process or of its
    Linux container leaves less.
    """
    available = int(psutil.virtual_memory().available)
    return min(available, _left_to_process(), left_by_control_groups())


def _left_to_process() -> int:
    """Return how many more bytes the limits of the process allow (`ulimit -v` and `-d`)."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return sys.maxsize
    used = psutil.Process().memory_info()
    sizes = {resource.RLIMIT_AS: used.vms, resource.RLIMIT_DATA: getattr(used, "data", used.rss)}
    limits = {name: resource.getrlimit(name)[0] for name in sizes}
    left = [limits[name] - sizes[name] for name in sizes if limits[name] != resource.RLIM_INFINITY]
    return max(0, min(left, default=sys.maxsize))
