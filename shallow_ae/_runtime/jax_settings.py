"""JAX: its precision, its backend, its devices, and whether a process can use it.

This library never changes JAX's global configuration. It imports JAX at the first use, and JAX
starts its threads at the first computation. A process that is forked afterwards does not have these
threads, and JAX would wait for them forever.
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

from shallow_ae._runtime.memory import gib, left_to_process

_ADDRESSES = 3 * 2**29  # bytes, most of them never used: JAX ends the process that has fewer
_is_started = False
_is_lost = False  # True in a process that was forked after JAX had started


@contextmanager
def jax_precision(dtype: Any) -> Iterator[None]:
    """Set JAX's precision inside a `with` block, for the current thread only.

    JAX computes in float64 if `dtype` is float64, and always multiplies matrices in full precision.
    Transfers of arrays between JAX and NumPy are intended, so the block allows them.
    """
    start_jax()
    import jax

    with (
        jax.enable_x64(dtype == np.float64),
        jax.default_matmul_precision("highest"),
        jax.transfer_guard("allow"),
    ):
        yield


def start_jax() -> None:
    """Record that this process uses JAX from now on.

    Raises
    ------
    RuntimeError
        If this process was forked from one that had used JAX.
    MemoryError
        If a limit of the process leaves JAX too little address space.
    """
    global _is_started
    if _is_lost:
        raise RuntimeError(
            "This process was forked from one in which JAX had started, and JAX would wait "
            "forever for threads that do not exist here. Start processes with 'spawn' or "
            "'forkserver' (multiprocessing.get_context), with joblib, or before the first fit. Or "
            "use solver='exact' or SparseShallowAutoEncoder, which need no JAX on a CPU."
        )
    check_addresses()
    _is_started = True


def check_addresses() -> None:
    """Raise a MemoryError if a limit of the process leaves too little address space to start JAX.

    An import of JAX, or its start, would fail with less helpful errors or end the process.
    """
    left = sys.maxsize if _is_started else left_to_process()
    if left < _ADDRESSES:
        raise MemoryError(
            f"JAX needs {gib(_ADDRESSES)} of address space when it starts, and the limit of this "
            f"process leaves {gib(left)}. Raise the limit (`ulimit -v`), or use solver='exact' or "
            "SparseShallowAutoEncoder, which need no JAX on a CPU."
        )


def backend() -> str:
    """Return the name of JAX's backend, such as "cpu".

    JAX is not started if "cpu" is the only possible backend. All other backends are plugins of JAX,
    and this function looks for them where JAX does.
    """
    if _platforms() == "cpu" or not _has_plugins():
        return "cpu"
    start_jax()
    import jax

    return str(jax.default_backend())


def uses_devices() -> bool:
    """Return whether gradient descent keeps its weights on JAX's devices.

    It does on accelerators, and on CPUs if JAX has several devices: virtual devices, or the devices
    of several processes.
    """
    return backend() != "cpu" or n_devices() > 1


def n_devices() -> int:
    """Return the number of JAX's devices in all its processes.

    JAX is not started if its settings allow for one device only.
    """
    if backend() == "cpu" and not _may_have_several_cpus():
        return 1
    start_jax()
    import jax

    return int(jax.device_count())


def n_local_cpus() -> int:
    """Return the number of this process's devices of JAX that share the memory of the host."""
    if backend() != "cpu" or n_devices() == 1:
        return 0
    import jax

    return int(jax.local_device_count())


def n_processes() -> int:
    """Return the number of processes that share JAX's devices."""
    if not _is_distributed():
        return 1
    start_jax()
    import jax

    return int(jax.process_count())


def agreed(number: int) -> int:
    """Return the number of the first of JAX's processes; all processes must call this function.

    The number must fit in an int32.
    """
    if n_processes() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def _is_distributed() -> bool:
    if "jax" not in sys.modules:
        return False
    import jax

    return bool(jax.distributed.is_initialized())


def _may_have_several_cpus() -> bool:
    """Return whether JAX's settings may give it several CPU devices."""
    virtual = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
    if "jax" in sys.modules:
        import jax

        virtual = jax.config.values.get("jax_num_cpu_devices", virtual)
    flags = os.environ.get("XLA_FLAGS", "")
    return int(virtual) > 1 or "host_platform_device_count" in flags or _is_distributed()


def _platforms() -> str | None:
    """Return JAX's setting of backends. JAX reads the environment variable when it is imported."""
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
