"""Weights on the host: blocks of columns that fit in cache take their steps on threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.gradient_descent.loop import Dispatch
from shallow_ae._solvers.gradient_descent.minibatches import Batches
from shallow_ae._solvers.gradient_descent.sizes import block_columns
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array


class HostWeights:
    """The n_items^2 weights of a descent in one NumPy array, in which each block is replaced."""

    is_copy = False
    is_shared = False

    def __init__(self, n_items: int, dtype: Any, diagonal_slack: float) -> None:
        self._n_items = n_items
        self._dtype = dtype
        self._slack = diagonal_slack
        self._width = block_columns(n_items, dtype)

    def put(self, batches: Batches) -> Batches:
        """Return batches as arrays of JAX."""
        return Batches(*jax.device_put(tuple(batches)))

    def compile_steps(self, dispatch: Dispatch) -> None:
        """Compile the steps of dispatches like this one."""
        self._on_block(np.zeros((self._n_items, self._width), self._dtype), dispatch, 0, 0)

    @contextmanager
    def holding(self, P: Array) -> Iterator[None]:
        """Hold `P`, whose columns take the steps, during a `with` block."""
        with ThreadPoolExecutor(n_threads()) as workers:
            self._P, self._workers = P, workers
            try:
                yield
            finally:
                del self._P, self._workers

    def advance(self, dispatch: Dispatch, n_steps: int) -> Array:
        """Take `n_steps` steps on all columns; return each block's loss before each step."""
        P = self._P

        def on_columns(first: int) -> Array:
            columns = P[:, first : first + self._width]
            missing = (
                self._width - columns.shape[1]
            )  # pads the last block, so that all blocks have the same shape
            block = np.pad(columns, ((0, 0), (0, missing))) if missing else columns
            block, losses = self._on_block(block, dispatch, first, n_steps)
            columns[:] = block[:, : columns.shape[1]]
            return losses

        return np.stack(list(self._workers.map(on_columns, range(0, self._n_items, self._width))))

    def fetch(self) -> None:
        """Do nothing: the steps have been taken on the weights of the host."""

    def _on_block(
        self, block: Array, dispatch: Dispatch, first: int, n_steps: int
    ) -> tuple[Array, Array]:
        batches, rates, _ = dispatch
        with jax_precision(self._dtype):
            after, losses = steps(
                jax.device_put(block, may_alias=False), batches, first, rates, n_steps, self._slack
            )
            return np.asarray(after), np.asarray(losses)
