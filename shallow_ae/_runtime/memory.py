"""What a fit takes, and whether it is there, before anything is allocated."""

from __future__ import annotations

import ctypes
import sys
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_GIB = 2**30


class Need(NamedTuple):
    """What must fit in memory: n^2 numbers, and what is beside them."""

    n: int
    of_what: str  # "users" or "items"
    itemsize: int
    bytes: int  # in all


def check_memory(solver: str, need: Need, others: dict[str, Need]) -> None:
    """Raise a MemoryError that says what would fit, if `need` does not."""
    free = free_memory()
    if need.bytes <= free:
        return
    for_matrix = free - (need.bytes - need.n**2 * need.itemsize)
    fitting = int((max(0, for_matrix) / need.itemsize) ** 0.5)
    fitting -= fitting % 10 ** max(0, len(str(fitting)) - 2)  # what is beside them varies a little
    most = "frequent" if need.of_what == "items" else "active"
    ways = [f"keep the {fitting:,} most {most} {need.of_what}"] * bool(fitting)
    if need.itemsize > 4:
        ways.append(f"pass float32 data ({gib(need.bytes / 2)})")
    ways.append("fit a SparseShallowAutoEncoder, which keeps `n_neighbors` weights an item")
    ways += [
        f"set `solver`={name!r} ({gib(other.bytes)})"
        for name, other in others.items()
        if other.bytes <= free
    ]
    raise MemoryError(
        f"solver={solver!r} needs {gib(need.bytes)} for {need.n:,} {need.of_what} and "
        f"{gib(free)} are free. You can {', or '.join(ways)}."
    )


def check_neighbors_fit(n_items: int, n_neighbors: int, bytes_of: Callable[[int], int]) -> None:
    """Raise a MemoryError if so many neighbors do not fit, with how many would."""
    n_neighbors = min(n_neighbors, max(1, n_items - 1))
    n_bytes, free = bytes_of(n_neighbors), free_memory()
    if n_bytes <= free:
        return
    fitting = bisect_right(range(1, n_neighbors), free, key=bytes_of)
    way = f" You can set `n_neighbors` to {fitting}." if fitting > 0 else ""
    raise MemoryError(
        f"`n_neighbors`={n_neighbors} needs {gib(n_bytes)} for {n_items:,} items and {gib(free)} "
        f"are free.{way}"
    )


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
