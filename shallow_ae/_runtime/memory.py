"""Free memory, and how to return unused memory to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import psutil

from shallow_ae._runtime.cgroups import left_by_control_groups
from shallow_ae._runtime.threads import n_threads

_MIB, _GIB = 2**20, 2**30


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
    return min(available, left_to_process(), left_by_control_groups())


def left_to_process() -> int:
    """Return how many more bytes the limits of the process allow (`ulimit -v` and `-d`)."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return sys.maxsize
    used = psutil.Process().memory_info()
    sizes = {
        resource.RLIMIT_AS: used.vms + address_space_of_code(),
        resource.RLIMIT_DATA: getattr(used, "data", used.rss),
    }
    limits = {name: resource.getrlimit(name)[0] for name in sizes}
    left = [limits[name] - sizes[name] for name in sizes if limits[name] != resource.RLIM_INFINITY]
    return max(0, min(left, default=sys.maxsize))


def address_space_of_code() -> int:
    """Return the bytes of address space that a fit takes beside its arrays, most of them unused.

    A thread reserves 8 MiB for its stack and 64 MiB for the C library's allocator, and OpenBLAS
    some 64 MiB for all threads. The compiler takes 256 MiB as soon as it is loaded. If addresses
    run out, these libraries end the process.
    """
    compiler = 0 if "llvmlite" in sys.modules else 256
    return (72 * (n_threads() + 2) + 64 + compiler) * _MIB


def ways_to_have_more() -> str:
    """Return a sentence about the limit of the process, if it is what leaves too little memory."""
    if left_to_process() >= int(psutil.virtual_memory().available):
        return ""
    return " The process has a limit (`ulimit -v` or `-d`), which you can raise."
