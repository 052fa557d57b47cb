"""The memory of Dask workers."""

from __future__ import annotations

from typing import Any

from shallow_ae._runtime.memory import free_memory, gib


def worker_memory() -> int:
    """Return how many bytes a task may use on the smallest worker.

    Without a cluster, this is the free memory of this process.
    """
    limits = [
        (worker["memory_limit"] - worker["metrics"]["memory"]) // worker["nthreads"]
        for worker in _workers()
        if worker["memory_limit"]
    ]
    return max(0, min(limits, default=free_memory()))


def n_workers() -> int:
    """Return the number of workers: 1 without a cluster."""
    return max(1, len(_workers()))


def check_worker_memory(what: str, n_bytes: int) -> None:
    """Raise a MemoryError if a task that needs `n_bytes` does not fit on the smallest worker."""
    free = worker_memory()
    if n_bytes > free:
        raise MemoryError(
            f"{what} needs {gib(n_bytes)} in one task, and the smallest worker has {gib(free)} "
            "free for each of its threads. You can start workers with more memory "
            "(`memory_limit`) or fewer threads, pass float32 data, keep fewer items, or fit a "
            "SparseShallowAutoEncoder, which keeps `n_neighbors` weights per item."
        )


def _workers() -> list[dict[str, Any]]:
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:  # no client: Dask computes in this process
        return []
    return list(client.scheduler_info(n_workers=-1)["workers"].values())
