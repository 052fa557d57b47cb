"""Sizes of minibatches and column blocks, and the memory and multiplications of steps on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._runtime.jax_settings import n_devices, n_local_cpus, uses_devices
from shallow_ae._runtime.threads import n_threads
from shallow_ae._typing import Interactions

# On a CPU, products of batches with a smaller share of nonzero entries are faster in csr form.
# Measured on two cores with 2,048 and 4,096 items.
_DENSE_FROM = 0.2

# Rows and stored entries of a padded batch: the minimum, and the largest number that is rounded up
# to a power of two.
_ROWS = (64, 1024)
ENTRIES = (1024, 2**15)
_DEVIATIONS = 3  # standard deviations above the mean batch size: nearly all have one shape

# A block of columns should stay in cache during all steps of a dispatch. It should not be so narrow
# that the sparse indices are read too often.
_BLOCK_BYTES = 2**21
_BLOCK_COLUMNS = (64, 512)
# A device holds its columns and the gradient of all of them.
_COPIES_OF_SHARD = 2
# Steps in a dispatch, at most. More steps would gain little, as the products already take nearly
# all of the time.
_STEPS = 8
_STACK_BYTES = 2**26


def choose_layout(X: Interactions, backend: str) -> str:
    """Return the form of batches with faster products, "sparse" or "dense".

    Accelerators always use "dense". JAX multiplies csr matrices there through an array with a row
    of weights for each interaction, which takes more memory than the weights themselves.
    """
    return layout_of(_n_stored(X) / (X.shape[0] * X.shape[1]), backend)


def layout_of(share: float, backend: str) -> str:
    """Return the form of batches for rows with a certain share of nonzero entries."""
    return "sparse" if backend == "cpu" and share < _DENSE_FROM else "dense"


def batch_entries(X: Interactions, batch_size: int, layout: str) -> int:
    """Return the number of entries in the product with a batch of average users."""
    n_users, n_items = map(int, X.shape)
    n_rows = min(batch_size, n_users)
    return n_rows * n_items if layout == "dense" else _n_stored(X) * n_rows // n_users


def batch_bytes(X: Interactions, batch_size: int, layout: str) -> int:
    """Return the memory of a batch, in bytes."""
    n_users, n_items = map(int, X.shape)
    n_rows, itemsize = min(batch_size, n_users), int(X.dtype.itemsize)
    n_filled = n_rows_stored(n_rows, batch_size)
    if layout == "dense":
        return n_filled * n_items * itemsize
    n_stored = rounded_up(expected_entries(X, n_rows), *ENTRIES)
    return 2 * n_stored * (itemsize + 4) + 4 * (n_filled + n_items)


def descent_bytes(X: Interactions, batch_size: int, n_steps: int, layout: str) -> int:
    """Return the memory of `n_steps` steps on batches of X, including the weights, in bytes.

    This is the memory of the host. The devices of a CPU share it, accelerators have their own.
    """
    (n_users, n_items), itemsize = map(int, X.shape), int(X.dtype.itemsize)
    n_bytes = batch_bytes(X, batch_size, layout)
    of_weights = n_items**2 * itemsize
    of_stack = n_bytes * min(n_steps, steps_at_once(n_bytes))
    if uses_devices():
        # A shard is copied on its way to its device.
        of_shard = n_items * shard_columns(n_items, n_devices()) * itemsize
        of_devices = (_COPIES_OF_SHARD * of_shard + of_stack) * n_local_cpus()
        return of_weights + of_shard + 2 * of_stack + of_devices
    # A block, its copy on the device, its gradient, and freed memory that the allocator keeps.
    n_numbers = 6 * n_items + min(batch_size, n_users)
    of_block = n_numbers * block_columns(n_items, X.dtype) * itemsize
    return of_weights + n_threads() * of_block + 2 * of_stack


def descent_work(X: Interactions, batch_size: int, n_steps: int, layout: str) -> int:
    """Return the number of multiplications in `n_steps` steps on batches of X."""
    n_items = int(X.shape[1])
    return n_steps * (2 * batch_entries(X, batch_size, layout) * n_items + 2 * n_items**2)


def n_rows_stored(n_rows: int, batch_size: int) -> int:
    """Return the number of rows that a batch of `n_rows` users is padded to."""
    return min(rounded_up(n_rows, *_ROWS), max(n_rows, batch_size))


def expected_entries(X: Interactions, n_rows: int) -> int:
    """Return a number of stored entries that hardly any batch of `n_rows` users exceeds."""
    if n_rows >= X.shape[0]:
        return _n_stored(X)
    lengths = np.diff(X.indptr) if isinstance(X, sp.csr_array) else np.count_nonzero(X, axis=1)
    return likely_entries(n_rows, lengths.mean(), lengths.std())


def likely_entries(n_rows: int, mean: float, deviation: float) -> int:
    """Return a number of entries that `n_rows` random rows hardly ever exceed.

    The arguments are the mean and the standard deviation of the number of entries of a row.
    """
    return int(n_rows * mean + _DEVIATIONS * np.sqrt(n_rows) * deviation)


def steps_at_once(batch_bytes: int) -> int:
    """Return the largest number of steps in a dispatch."""
    return max(1, min(_STEPS, _STACK_BYTES // max(1, batch_bytes)))


def block_columns(n_items: int, dtype: Any) -> int:
    """Return the number of columns in a block of P, such that the last block is nearly full."""
    fewest, most = _BLOCK_COLUMNS
    width = max(fewest, min(most, _BLOCK_BYTES // (n_items * int(dtype.itemsize))))
    return -(-n_items // -(-n_items // width))


def shard_columns(n_items: int, n_devices: int) -> int:
    """Return the number of columns of P on each device; the last columns may be padding."""
    return -(-n_items // n_devices)


def _n_stored(X: Interactions) -> int:
    return int(X.nnz) if isinstance(X, sp.csr_array) else int(np.count_nonzero(X))


def rounded_up(n: int, least: int, most: int) -> int:
    """Return `n` rounded up, to `least` or more.

    Numbers up to `most` are rounded to a power of two, larger numbers to four significant binary
    digits.
    """
    if n <= most:
        return max(least, 1 << max(0, int(n) - 1).bit_length())
    return n + -n % (1 << (int(n).bit_length() - 4))
