"""The loop over gradient steps: column blocks on threads, divergence, interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import NamedTuple

import jax
import numpy as np

from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._runtime.memory import release_free_memory
from shallow_ae._runtime.threads import n_threads, off_main_thread
from shallow_ae._solvers.gradient_descent.minibatches import Batches, MinibatchStream
from shallow_ae._solvers.gradient_descent.schedule import check_loss, dispatch_sizes
from shallow_ae._solvers.gradient_descent.sizes import block_columns
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array


class Dispatch(NamedTuple):
    """Steps that each block of columns takes in one call of a compiled function."""

    batches: Batches
    learning_rates: Array  # padded to the size of the largest dispatch
    zero_losses: list[float]  # the loss of zero weights on each batch


class DescentLoop:
    """Takes the steps of gradient descent on the n_items^2 weights P, in place.

    The steps of a dispatch run off the main thread, the only thread that Python interrupts. After a
    KeyboardInterrupt, all columns have therefore taken the same steps. Only a second interrupt
    during a dispatch can leave columns at different steps.
    """

    def __init__(
        self,
        stream: MinibatchStream,
        learning_rates: Array,
        diagonal_slack: float,
        *,
        at_once: int,
        pauses: list[int],
    ) -> None:
        """Prepare a step for each learning rate, and pauses at all multiples of each of `pauses`.

        A dispatch has at most `at_once` steps.

        The steps are compiled here, before the weights are allocated, so that the compiler's memory
        is free again when the weights need memory.
        """
        self.losses: list[float] = []  # loss before each step, on the batch of the step
        self._stream = stream
        self._learning_rates = learning_rates
        self._slack = diagonal_slack
        self._dtype = stream.dtype
        self._n_items = stream.n_items
        self._width = block_columns(self._n_items, self._dtype)
        self._columns_in_step = True  # whether all columns of P have taken the same steps
        dispatches = self._plan(*dispatch_sizes(len(learning_rates), at_once, pauses))
        first = next(dispatches)
        self._dispatches = chain([first], dispatches)
        self._on_block(np.zeros((self._n_items, self._width), self._dtype), first, 0, 0)
        release_free_memory()

    def run(self, P: Array, on_pause: Callable[[], bool]) -> bool:
        """Take the steps on `P`; return whether they were interrupted.

        `on_pause` is called after each dispatch, and so at each pause; it ends the descent by
        returning True. A KeyboardInterrupt also ends the descent, after the steps in progress. It
        is raised if no step has been taken, or if the weights are inconsistent.

        Raises
        ------
        ValueError
            If a loss is not finite or is more than 100 times the usual loss. The contents of P are
            undefined after this error and after any other error.
        """
        interrupted = False
        with ThreadPoolExecutor(n_threads()) as workers:
            try:
                for dispatch in self._dispatches:
                    self._columns_in_step = False
                    off_main_thread(partial(self._advance, P, dispatch, workers))
                    if on_pause():
                        break
            except KeyboardInterrupt:
                if not (self._columns_in_step and self.losses):
                    raise
                interrupted = True
            # A last step of length 0 computes the loss after the last real step.
            standing = dispatch._replace(learning_rates=np.zeros_like(dispatch.learning_rates))
            self._check(self._step(P, standing, 1, workers)[0], dispatch.zero_losses[0])
        return interrupted

    @contextmanager
    def changed(
        self, change: Callable[[], object], change_back: Callable[[], object]
    ) -> Iterator[None]:
        """Change the weights during a pause of the descent, and change them back afterwards.

        An interrupt during either change leaves inconsistent weights.
        """
        self._columns_in_step = False
        change()
        self._columns_in_step = True
        try:
            yield
        finally:
            self._columns_in_step = False
            change_back()
            self._columns_in_step = True

    def _plan(self, size: int, parts: list[tuple[int, int]]) -> Iterator[Dispatch]:
        for first, end in parts:
            rates = np.zeros(size, self._dtype)
            rates[: end - first] = self._learning_rates[first:end]
            with jax_precision(self._dtype):
                batches, zero_losses = self._stream.take(end - first, size)
            yield Dispatch(batches, rates, zero_losses)

    def _advance(self, P: Array, dispatch: Dispatch, workers: Executor) -> None:
        losses = self._step(P, dispatch, len(dispatch.zero_losses), workers)
        for value, zero_loss in zip(losses, dispatch.zero_losses, strict=True):
            self._check(value, zero_loss)
            self.losses.append(value)
        self._columns_in_step = True

    def _step(self, P: Array, dispatch: Dispatch, n_steps: int, workers: Executor) -> list[float]:
        """Take `n_steps` steps on all columns; return the loss before each step."""

        def on_columns(first: int) -> Array:
            columns = P[:, first : first + self._width]
            missing = (
                self._width - columns.shape[1]
            )  # pads the last block, so that all blocks have the same shape
            block = np.pad(columns, ((0, 0), (0, missing))) if missing else columns
            block, losses = self._on_block(block, dispatch, first, n_steps)
            columns[:] = block[:, : columns.shape[1]]
            return losses

        parts = list(workers.map(on_columns, range(0, self._n_items, self._width)))
        losses: Array = np.stack(parts)[:, :n_steps].sum(axis=0, dtype=np.float64)
        return list(map(float, losses))

    def _on_block(
        self, block: Array, dispatch: Dispatch, first: int, n_steps: int
    ) -> tuple[Array, Array]:
        batches, rates, _ = dispatch
        with jax_precision(self._dtype):
            after, losses = steps(
                jax.device_put(block, may_alias=False), batches, first, rates, n_steps, self._slack
            )
            return np.asarray(after), np.asarray(losses)

    def _check(self, value: float, zero_loss: float) -> None:
        start = self.losses[0] if self.losses else value
        usual = max(start, self._stream.zero_loss, zero_loss)
        check_loss(value, usual, len(self.losses), float(self._learning_rates[0]))
