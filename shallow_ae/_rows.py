"""Rows of a matrix, as compiled functions take them, shared among threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm.auto import tqdm

from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.threads import Workers, n_threads, with_workers
from shallow_ae._typing import Array

_TASKS_PER_THREAD = 8  # so that threads end together
_ROWS_PER_TASK = 16  # at least: to hand a task over takes as long as to rank a few rows


class Rows(NamedTuple):
    """The arrays of a csr matrix, as compiled functions take them."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: Array


def rows_of(X: sp.csr_array[Any], dtype: Any) -> Rows:
    """Return the arrays of `X`, its numbers of type `dtype`."""
    return Rows(
        X.indptr.astype(np.int64),
        np.asarray(X.indices).astype(np.int32, copy=False),
        np.asarray(X.data).astype(dtype, copy=False),
    )


def share_rows(
    n_rows: int,
    task: Callable[[slice], None],
    *,
    most: int | None = None,
    verbose: int = 0,
    label: tuple[str, str] = ("rank", "user"),
) -> None:
    """Call `task` on slices of at most `most` rows, on all threads.

    The progress bar is labelled by what is done, and by what a row is.
    """
    size = _ROWS_PER_TASK
    if n_rows > size:
        size = max(size, -(-n_rows // (_TASKS_PER_THREAD * n_threads())))
    slices = blocks(n_rows, min(size, most or size))
    with tqdm(total=n_rows, desc=label[0], unit=label[1], disable=not verbose) as bar:
        if len(slices) == 1:
            task(slices[0])
            bar.update(n_rows)
        else:
            _share(slices, task, bar.update)


@with_workers
def _share(
    workers: Workers,
    slices: list[slice],
    task: Callable[[slice], None],
    done: Callable[[int], object],
) -> None:
    for rows, _ in zip(slices, workers.map(task, slices), strict=True):
        done(rows.stop - rows.start)
