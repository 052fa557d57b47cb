"""What each solver takes for given data, before anything is allocated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._linalg.csr import sum_by_item
from shallow_ae._linalg.gram import gram_bytes, gram_work
from shallow_ae._linalg.inverse import inverse_bytes
from shallow_ae._objective.training_data import keeps_gram
from shallow_ae._runtime.blocks import ENTRIES_PER_BLOCK, block_rows
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._runtime.memory import Need, check_neighbors_fit
from shallow_ae._runtime.speed import (
    COST_LIST_LOOKUP,
    COST_SMALL_SYSTEM,
    COST_SPARSE_DENSE,
    COST_SPARSE_SPARSE,
    multiplications_per_second,
)
from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.closed_form import is_dual
from shallow_ae._solvers.gradient_descent.loop import descent_cost
from shallow_ae._solvers.gradient_descent.minibatches import choose_layout
from shallow_ae._solvers.neighborhood.fit import by_popularity, lay_out
from shallow_ae._typing import Interactions


class Cost(NamedTuple):
    """What a fit takes beside its data.

    Attributes
    ----------
    form : str
        Batches as "sparse" or "dense" matrices with "sgd"; an inverse of items x items, "primal",
        or users x users, "dual", with "exact"; "nearest" for systems of an item's nearest.
    bytes : int
        Memory at the peak, with what the model keeps.
    kept_bytes : int
        Memory of the model: its weights, and what `partial_fit` and `forget` of "exact" need.
    multiplications : int
        Of numbers.
    seconds : float
        An estimate, from a trial of how fast this machine multiplies.
    """

    form: str
    bytes: int
    kept_bytes: int
    multiplications: int
    seconds: float


def plan(X: Interactions, batch_size: int, max_iter: int) -> dict[str, Cost]:
    """Return the cost of each solver on checked rows."""
    rate = multiplications_per_second(X.dtype)
    layout = choose_layout(X, backend())
    n_bytes, work = descent_cost(X, batch_size, max_iter, layout)
    seconds = work * (COST_SPARSE_DENSE if layout == "sparse" else 1) / rate
    kept = X.shape[1] ** 2 * X.dtype.itemsize
    return {
        "sgd": Cost(layout, n_bytes, kept, work, seconds),
        "exact": _exact_cost(sp.csr_array(X), rate),
    }


def _exact_cost(X: sp.csr_array[Any], rate: float) -> Cost:
    n_users, n_items = X.shape
    dual = is_dual(n_users, n_items)
    lengths = np.bincount(X.indices, minlength=n_items) if dual else np.diff(X.indptr)
    n = min(X.shape)
    gram = gram_work(n, lengths)
    products = X.nnz * n_users if dual else 0  # for the diagonal of the other inverse
    return Cost(
        "dual" if dual else "primal",
        exact_need(X.shape, X.nnz, X.dtype.itemsize).bytes,
        _kept_bytes(n_users, n_items, X.nnz, X.dtype.itemsize),
        n**3 // 2 + gram.multiplications + products,
        (n**3 // 2 + gram.as_dense + COST_SPARSE_DENSE * products) / rate,
    )


def descent_need(X: Interactions, batch_size: int, max_iter: int, layout: str) -> Need:
    """Return the memory that gradient descent on checked rows takes."""
    n_bytes, _ = descent_cost(X, batch_size, max_iter, layout)
    return Need(X.shape[1], "items", X.dtype.itemsize, n_bytes)


def exact_need(shape: tuple[int, int], n_entries: int, itemsize: int) -> Need:
    """Return the memory that an exact fit takes."""
    n_users, n_items = shape
    of_gram = keeps_gram(n_entries, n_items)
    dual = is_dual(n_users, n_items) and not of_gram
    n = n_users if dual else n_items
    # X as csr, transposed and weighted; for a Gram matrix that is kept, in float64.
    transposed = n_entries * (itemsize + 4 + 3 * 12 if of_gram else 2 * (itemsize + 4))
    of_products = n_threads() * 2 * block_rows(n_users, n_items) * n_items * itemsize * dual
    beside = transposed + max(gram_bytes(n, itemsize), inverse_bytes(n, itemsize), of_products)
    n_bytes = _kept_bytes(n_users, n_items, n_entries, itemsize) + beside
    return Need(n, "users" if dual else "items", itemsize, n_bytes)


def _kept_bytes(n_users: int, n_items: int, n_entries: int, itemsize: int) -> int:
    rows = n_entries * (itemsize + 4)
    if is_dual(n_users, n_items):
        return n_users**2 * itemsize + 2 * rows
    return n_items**2 * itemsize + (n_items**2 * 8 if keeps_gram(n_entries, n_items) else rows)


def nearest_cost(X: sp.csr_array[Any], n_neighbors: int) -> Cost:
    """Return what a fit on the nearest of each item takes beside checked rows."""
    n_users, n_items = X.shape
    itemsize = X.dtype.itemsize
    n_neighbors = min(n_neighbors, n_items - 1)
    _, ordered = by_popularity(X)
    layout = lay_out(ordered)
    lengths = np.diff(X.indptr).astype(np.int64)
    systems = np.minimum(sum_by_item(X, lengths - 1), n_neighbors)
    if n_neighbors == n_items - 1:  # within reach or not
        systems[:] = n_neighbors
    n_pairs, solving = int(np.square(lengths).sum()), int((systems**3).sum() / 6)
    is_listed = ~layout.is_dense
    searched = int(systems.sum() * layout.lengths[is_listed].sum() / n_items)
    rows = X.nnz * (itemsize + 4) + 4 * n_users
    weights = n_items * (n_neighbors * (itemsize + 4) + 8)
    scratch = n_items * (2 * itemsize + 13) + 2 * n_neighbors**2 * itemsize
    arranging = 2 * rows + max(X.nnz * itemsize, 40 * min(X.nnz, ENTRIES_PER_BLOCK))
    fitting = 2 * rows + layout.bytes(itemsize) + weights + n_threads() * scratch
    vectors = 160 * n_items + 40 * n_users  # some twenty of them
    work = COST_SPARSE_SPARSE * n_pairs + COST_SMALL_SYSTEM * solving + COST_LIST_LOOKUP * searched
    return Cost(
        "nearest",
        rows + vectors + max(arranging, fitting, 3 * weights),
        rows + 8 * n_users + weights,
        n_pairs + solving,
        work / multiplications_per_second(X.dtype),
    )


def check_nearest(X: sp.csr_array[Any], n_neighbors: int) -> None:
    """Raise a MemoryError if a fit on the nearest of each item does not fit."""
    check_neighbors_fit(X.shape[1], n_neighbors, lambda number: nearest_cost(X, number).bytes)
