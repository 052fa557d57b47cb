"""What a fit takes, and whether it is there, before anything is allocated."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_GIB = 2**30


class Cost(NamedTuple):
    """What a fit takes beside its data: memory at its peak, and work."""

    bytes: int
    multiplications: int


def check_memory(solver: str, cost: Cost, n_items: int, itemsize: int) -> None:
    """Raise a MemoryError that says what would fit, if `cost` does not."""
    free = free_memory()
    if cost.bytes <= free:
        return
    for_weights = free - (cost.bytes - n_items**2 * itemsize)
    fitting = int((max(0, for_weights) / itemsize) ** 0.5)
    fitting -= fitting % 10 ** max(0, len(str(fitting)) - 2)  # what is beside them varies a little
    halved = f", or pass float32 data ({cost.bytes / 2 / _GIB:.3g} GiB)" if itemsize > 4 else ""
    raise MemoryError(
        f"solver={solver!r} needs {cost.bytes / _GIB:.3g} GiB for {n_items:,} items and "
        f"{free / _GIB:.3g} GiB are free. Keep the {fitting:,} most frequent items{halved}."
    )


def release_free_memory() -> None:
    """Hand memory that the C library keeps for later use back to the system, if it can.

    glibc keeps much of what compiling a kernel has taken.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def free_memory() -> int:
    """Return how many bytes can be allocated without swapping.

    What the system has available, or less where a Linux container has a limit.
    """
    free = int(psutil.virtual_memory().available)
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
