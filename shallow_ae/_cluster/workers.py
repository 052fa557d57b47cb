"""The memory of Dask workers."""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._runtime.memory import free_memory, gib
from shallow_ae._runtime.threads import n_threads


def worker_memory() -> int:
    """Return how many bytes a task may use on the smallest worker.

    This is a thread's share of the memory limit, without the memory that the worker needs for other
    things than task results; Dask can move these to disk. Without a cluster, it is a thread's share
    of the free memory.
    """
    shares = []
    for worker in _workers():
        metrics = worker["metrics"]
        fixed = metrics["memory"] - metrics.get("managed_bytes", 0)
        if worker["memory_limit"]:
            shares.append((worker["memory_limit"] - fixed) // worker["nthreads"])
    return max(1, min(shares, default=free_memory() // n_threads()))


def n_worker_threads() -> int:
    """Return how many tasks run at the same time."""
    return sum(worker["nthreads"] for worker in _workers()) or n_threads()


def check_cluster_memory(n_items: int, dtype: np.dtype[Any]) -> None:
    """Raise a MemoryError if the weights of all pairs of items do not fit on all workers."""
    n_bytes = n_items**2 * dtype.itemsize
    workers = _workers()
    if not all(worker["memory_limit"] for worker in workers):
        return
    limit = sum(worker["memory_limit"] for worker in workers) or free_memory()
    if n_bytes > limit:
        raise MemoryError(
            f"solver='sgd' needs {gib(n_bytes)} for {n_items:,} items, and all workers together "
            f"have {gib(limit)}. You can start more workers, keep fewer items, or fit a "
            "SparseShallowAutoEncoder, which keeps `n_neighbors` weights per item."
        )


def check_worker_memory(what: str, n_bytes: int, way: str) -> None:
    """Raise a MemoryError if a task that needs `n_bytes` does not fit on the smallest worker.

    `way` completes the message: what the user can do instead of starting other workers.
    """
    free = worker_memory()
    if n_bytes > free:
        raise MemoryError(
            f"{what} needs {gib(n_bytes)} in one task, and the smallest worker has {gib(free)} "
            "free for each of its threads. You can start workers with more memory "
            f"(`memory_limit`) or fewer threads, pass float32 data, or {way}."
        )


def _workers() -> list[dict[str, Any]]:
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:  # no client: Dask computes in this process
        return []
    return list(client.scheduler_info(n_workers=-1)["workers"].values())
