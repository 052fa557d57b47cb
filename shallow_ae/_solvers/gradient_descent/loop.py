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
from shallow_ae._solvers.gradient_descent.sizes import block_columns
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array

_DIVERGED = 100  # a loss of so many times the usual loss has diverged


class Dispatch(NamedTuple):
    """Steps that each block of columns takes in one call of a compiled function."""

    batches: Batches
    learning_rates: Array  # padded to the size of the largest dispatch
    zero_losses: list[float]  # the loss of zero weights on each batch


class DescentLoop:
    """Takes the steps of gradient descent on the n_items^2 weights P, in place.

    The steps of one dispatch are taken off the main thread, the only one that Python interrupts:
    a KeyboardInterrupt never leaves columns at different steps.
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

        A dispatch has `at_once` of them at most.

        What must be compiled is compiled here, before the weights are there: the compiler's memory
        is free again when theirs is needed.
        """
        self.losses: list[float] = []  # before each step, on its batch
        self._stream = stream
        self._learning_rates = learning_rates
        self._slack = diagonal_slack
        self._dtype = stream.dtype
        self._n_items = stream.n_items
        self._width = block_columns(self._n_items, self._dtype)
        self._columns_in_step = True  # every column of P has been through the same steps
        longest = min([len(learning_rates), at_once, *pauses])
        # Dispatches have few distinct lengths: JAX compiles the steps again for each length.
        dispatches = self._plan(min(at_once, 1 << (longest - 1).bit_length()), pauses)
        first = next(dispatches)
        self._dispatches = chain([first], dispatches)
        self._on_block(np.zeros((self._n_items, self._width), self._dtype), first, 0, 0)
        release_free_memory()

    def run(self, P: Array, on_pause: Callable[[], bool]) -> bool:
        """Take the steps on `P`; return whether they were interrupted.

        `on_pause` is called now and then, at each pause among others, and ends the descent by
        returning True. So does a KeyboardInterrupt, when the steps under way are done; it is raised
        where that leaves nothing to keep.

        Raises
        ------
        ValueError
            When a loss is not finite or has grown a hundredfold. After it, and after any other
            error, P is of no use.
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
        """Change the weights while the descent pauses, and change them back.

        An interrupt in the midst of either change leaves weights that are of no use.
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

    def _plan(self, size: int, pauses: list[int]) -> Iterator[Dispatch]:
        n_steps = len(self._learning_rates)
        first = 0
        while first < n_steps:
            end = min(first + size, n_steps, *(first - first % p + p for p in pauses))
            rates = np.zeros(size, self._dtype)
            rates[: end - first] = self._learning_rates[first:end]
            with jax_precision(self._dtype):
                batches, zero_losses = self._stream.take(end - first, size)
            yield Dispatch(batches, rates, zero_losses)
            first = end

    def _advance(self, P: Array, dispatch: Dispatch, workers: Executor) -> None:
        losses = self._step(P, dispatch, len(dispatch.zero_losses), workers)
        for value, zero_loss in zip(losses, dispatch.zero_losses, strict=True):
            self._check(value, zero_loss)
            self.losses.append(value)
        self._columns_in_step = True

    def _step(self, P: Array, dispatch: Dispatch, n_steps: int, workers: Executor) -> list[float]:
        """Take some steps on all columns; return the loss before each step."""

        def on_columns(first: int) -> Array:
            columns = P[:, first : first + self._width]
            missing = (
                self._width - columns.shape[1]
            )  # pads the last block, so that all have one shape
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
        if np.isfinite(value) and value <= _DIVERGED * usual:
            return
        raise ValueError(
            f"The loss is {value:.3g} after step {len(self.losses)}, where {usual:.3g} is usual: "
            f"gradient descent diverges with steps of {self._learning_rates[0]:.3g}. Lower "
            "`learning_rate` or leave it at 'auto'; if it is, raise `batch_size`."
        )
