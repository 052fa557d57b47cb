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
