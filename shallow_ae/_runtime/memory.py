"""Free memory, and how to return unused memory to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_GIB = 2**30


def gib(n_bytes: float) -> str:
    """Return a number of bytes as text."""
    return f"{n_bytes / _GIB:.3g} GiB"


def release_free_memory() -> None:
    """Hand memory that the C library keeps for later use back to the system, if it can.

    glibc keeps much of what compiling a kernel has taken.
    """
    with suppress(OSError, AttributeError, TypeError):  # the last on Windows, of no name
        ctypes.CDLL(None).malloc_trim(0)


def free_memory() -> int:
    """Return how many bytes can be allocated without swapping.

    What the system has available, or less where the process or its Linux container has a limit.
    """
    free = min(int(psutil.virtual_memory().available), _left_to_process())
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="ascii")
    except OSError:
        return free
    if limit == "max":
        return free
    cached = dict(line.split() for line in statistics.splitlines())["inactive_file"]
    return min(free, int(limit) - used + int(cached))


def _left_to_process() -> int:
    """Return how many bytes the limits of the process leave to it (`ulimit -v` and `-d`)."""
    try:
        import resource
    except ImportError:  # there are none on Windows
        return sys.maxsize
    used = psutil.Process().memory_info()
    sizes = {resource.RLIMIT_AS: used.vms, resource.RLIMIT_DATA: getattr(used, "data", used.rss)}
    limits = {name: resource.getrlimit(name)[0] for name in sizes}
    left = [limits[name] - sizes[name] for name in sizes if limits[name] != resource.RLIM_INFINITY]
    return max(0, min(left, default=sys.maxsize))
