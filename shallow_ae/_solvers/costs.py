"""The cost of each solver, and the errors if memory is insufficient."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import sum_by_item
from shallow_ae._linalg.gram import gram_bytes, gram_work
from shallow_ae._linalg.inverse import inverse_bytes
from shallow_ae._objective.training_gram import keeps_gram
from shallow_ae._runtime.blocks import block_rows
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._runtime.memory import free_memory, gib, ways_to_have_more
from shallow_ae._runtime.speed import (
    CACHE,
    COST_DECOMPOSITION,
    COST_LIST_LOOKUP,
    COST_SMALL_SYSTEM,
    COST_SPARSE_DENSE,
    COST_SPARSE_PRODUCT,
    COST_SPARSE_SPARSE,
    multiplications_per_second,
)
from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.closed_form import is_dual
from shallow_ae._solvers.gradient_descent.sizes import choose_layout, descent_bytes, descent_work
from shallow_ae._solvers.low_rank import low_rank_bytes, svd_work
from shallow_ae._solvers.neighborhood.fit import by_popularity
from shallow_ae._typing import Interactions


class Cost(NamedTuple):
    """The cost of a fit. The memory does not include the data.

    Attributes
    ----------
    form : str
        For "sgd", the form of the batches: "sparse" or "dense". For "exact", the inverse: "primal"
        for items x items, "dual" for users x users. For a linear system on the neighbors of each
        item: "nearest". For a truncated SVD: "low-rank".
    bytes : int
        Peak memory, including the memory of the model.
    kept_bytes : int
        Memory of the model: its weights and, except for "sgd", the data for `partial_fit` and
        `forget`.
    multiplications : int
        Number of scalar multiplications.
    seconds : float
        Estimated time, from a trial of the speed of multiplications on this machine.
    """

    form: str
    bytes: int
    kept_bytes: int
    multiplications: int
    seconds: float


class MemoryNeed(NamedTuple):
    """The memory of a fit, which includes a matrix of n x n numbers."""

    n: int
    of_what: str  # what the rows of the matrix are: "users" or "items"
    itemsize: int
    bytes: int  # in total


def dense_costs(X: Interactions, batch_size: int, max_iter: int) -> dict[str, Cost]:
    """Return the costs of fits with "sgd" and "exact" on checked rows."""
    rate = multiplications_per_second(X.dtype)
    layout = choose_layout(X, backend())
    work = descent_work(X, batch_size, max_iter, layout)
    seconds = work * (COST_SPARSE_DENSE if layout == "sparse" else 1) / rate
    n_bytes = descent_bytes(X, batch_size, max_iter, layout)
    kept = X.shape[1] ** 2 * X.dtype.itemsize
    return {
        "sgd": Cost(layout, n_bytes, kept, work, seconds),
        "exact": _exact_cost(sp.csr_array(X), rate),
    }


def quicker_solver(X: Interactions, batch_size: int, max_iter: int) -> str:
    """Return the solver with the shortest estimated time among the solvers that fit in memory.

    If no solver fits, return the solver that needs less memory; its fit raises the MemoryError.
    """
    costs, free = dense_costs(X, batch_size, max_iter), free_memory()
    fitting = [name for name, cost in costs.items() if cost.bytes <= free]
    if not fitting:
        return min(costs, key=lambda name: costs[name].bytes)
    return min(fitting, key=lambda name: costs[name].seconds)


def _exact_cost(X: sp.csr_array[Any], rate: float) -> Cost:
    n_users, n_items = X.shape
    dual = is_dual(n_users, n_items)
    lengths = np.bincount(X.indices, minlength=n_items) if dual else np.diff(X.indptr)
    n = min(X.shape)
    gram = gram_work(n, lengths)
    products = X.nnz * n_users if dual else 0  # for the diagonal of the items x items inverse
    return Cost(
        "dual" if dual else "primal",
        exact_need(X.shape, X.nnz, X.dtype.itemsize).bytes,
        _kept_bytes(n_users, n_items, X.nnz, X.dtype.itemsize),
        n**3 // 2 + gram.multiplications + products,
        (n**3 // 2 + gram.as_dense + COST_SPARSE_DENSE * products) / rate,
    )


def neighborhood_cost(X: sp.csr_array[Any], n_neighbors: int) -> Cost:
    """Return the cost of a fit on the neighbors of each item, on checked rows."""
    n_users, n_items = X.shape
    itemsize = X.dtype.itemsize
    n_neighbors = min(n_neighbors, n_items - 1)
    rows = by_popularity(X)
    lengths = np.diff(X.indptr)
    systems = np.minimum(sum_by_item(X, lengths - 1), n_neighbors)
    if n_neighbors == n_items - 1:  # all other items, whether or not they share a user
        systems[:] = n_neighbors
    n_pairs, solving = int(np.square(lengths, dtype=np.int64).sum()), int((systems**3).sum() / 6)
    is_listed = ~rows.layout.is_dense
    searched = int(systems.sum() * rows.layout.lengths[is_listed].sum() / n_items)
    kept = X.nnz * (itemsize + 4) + 12 * n_users + n_items * (n_neighbors * (itemsize + 4) + 8)
    work = COST_SPARSE_SPARSE * n_pairs + COST_SMALL_SYSTEM * solving + COST_LIST_LOOKUP * searched
    return Cost(
        "nearest",
        rows.solver_bytes(n_neighbors),
        kept,
        n_pairs + solving,
        work / multiplications_per_second(X.dtype),
    )


def low_rank_cost(X: sp.csr_array[Any], n_components: int) -> Cost:
    """Return the cost of a fit by a truncated SVD, on checked rows."""
    itemsize = X.dtype.itemsize
    work = svd_work(X.shape, X.nnz, n_components)
    kept = X.nnz * (itemsize + 4) + 12 * X.shape[0]
    kept += X.shape[1] * ((min(n_components, *X.shape) + 2) * itemsize + 8)
    is_large = max(X.shape) * min(n_components, *X.shape) * itemsize > CACHE
    as_dense = COST_SPARSE_PRODUCT[is_large] * work.sparse
    as_dense += COST_DECOMPOSITION[is_large] * work.dense
    return Cost(
        "low-rank",
        low_rank_bytes(X.shape, X.nnz, n_components, itemsize),
        kept,
        work.sparse + work.dense,
        as_dense / multiplications_per_second(X.dtype),
    )


def descent_need(X: Interactions, batch_size: int, max_iter: int, layout: str) -> MemoryNeed:
    """Return the memory need of gradient descent on checked rows."""
    n_bytes = descent_bytes(X, batch_size, max_iter, layout)
    return MemoryNeed(X.shape[1], "items", X.dtype.itemsize, n_bytes)


def exact_need(shape: tuple[int, int], n_entries: int, itemsize: int) -> MemoryNeed:
    """Return the memory need of an exact fit."""
    n_users, n_items = shape
    of_gram = keeps_gram(n_entries, n_items)
    dual = is_dual(n_users, n_items) and not of_gram
    n = n_users if dual else n_items
    # Copies of X: as csr, transposed, and weighted. If the Gram matrix is kept, they are float64.
    transposed = n_entries * (itemsize + 4 + 3 * 12 if of_gram else 2 * (itemsize + 4))
    of_products = n_threads() * 2 * block_rows(n_users, n_items) * n_items * itemsize * dual
    beside = transposed + max(gram_bytes(n, itemsize), inverse_bytes(n, itemsize), of_products)
    n_bytes = _kept_bytes(n_users, n_items, n_entries, itemsize) + beside
    return MemoryNeed(n, "users" if dual else "items", itemsize, n_bytes)


def gram_need(n_items: int, dtype: np.dtype[Any], gram_dtype: Any, n_grams: int = 1) -> MemoryNeed:
    """Return the memory need of an exact fit from `n_grams` Gram matrices, which it includes."""
    itemsize = dtype.itemsize
    matrices = n_items**2 * (n_grams * np.dtype(gram_dtype).itemsize + itemsize)
    return MemoryNeed(n_items, "items", itemsize, matrices + inverse_bytes(n_items, itemsize))


def _kept_bytes(n_users: int, n_items: int, n_entries: int, itemsize: int) -> int:
    rows = n_entries * (itemsize + 4)
    if is_dual(n_users, n_items):
        return n_users**2 * itemsize + 2 * rows
    return n_items**2 * itemsize + (n_items**2 * 8 if keeps_gram(n_entries, n_items) else rows)


def check_memory(
    solver: str, need: MemoryNeed, others: Mapping[str, Callable[[], MemoryNeed]]
) -> None:
    """Raise a MemoryError that names smaller alternatives, if `need` exceeds the free memory.

    The needs of the `others`, the alternative solvers, are computed only in this case.
    """
    free = free_memory()
    if need.bytes <= free:
        return
    for_matrix = free - (need.bytes - need.n**2 * need.itemsize)
    fitting = int((max(0, for_matrix) / need.itemsize) ** 0.5)
    fitting -= fitting % 10 ** max(0, len(str(fitting)) - 2)  # two digits: the other memory varies
    most = "frequent" if need.of_what == "items" else "active"
    ways = [f"keep the {fitting:,} most {most} {need.of_what}"] * bool(fitting)
    if need.itemsize > 4:
        ways.append(f"pass float32 data ({gib(need.bytes / 2)})")
    ways.append("fit a SparseShallowAutoEncoder, which keeps `n_neighbors` weights per item")
    needs = {name: of_other().bytes for name, of_other in others.items()}
    ways += [f"set `solver`={name!r} ({gib(size)})" for name, size in needs.items() if size <= free]
    raise MemoryError(
        f"solver={solver!r} needs {gib(need.bytes)} for {need.n:,} {need.of_what} and "
        f"{gib(free)} are free. You can {', or '.join(ways)}.{ways_to_have_more()}"
    )


def check_neighbors_fit(
    n_items: int, n_neighbors: int, bytes_of: Callable[[int], int], free: int
) -> None:
    """Raise a MemoryError, with a number that fits, if `n_neighbors` do not fit in `free` bytes."""
    _check_size("n_neighbors", min(n_neighbors, max(1, n_items - 1)), n_items, bytes_of, free)


def check_components_fit(X: sp.csr_array[Any], n_components: int, free: int) -> None:
    """Raise a MemoryError, with a number that fits, if `n_components` need over `free` bytes."""

    def bytes_of(number: int) -> int:
        return low_rank_bytes(X.shape, X.nnz, number, X.dtype.itemsize)

    _check_size("n_components", min(n_components, *X.shape), X.shape[1], bytes_of, free)


def _check_size(
    name: str, size: int, n_items: int, bytes_of: Callable[[int], int], free: int
) -> None:
    n_bytes = bytes_of(size)
    if n_bytes <= free:
        return
    fitting = bisect_right(range(1, size), free, key=bytes_of)
    way = f" You can set `{name}` to {fitting}." if fitting > 0 else ""
    raise MemoryError(
        f"`{name}`={size} needs {gib(n_bytes)} for {n_items:,} items and {gib(free)} are free.{way}"
        f"{ways_to_have_more()}"
    )
