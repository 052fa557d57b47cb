"""The loop around the gradient steps: threads, divergence, and what may end it early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import jax
import numpy as np

from shallow_ae._runtime.jax_settings import backend, jax_precision
from shallow_ae._runtime.memory import release_free_memory
from shallow_ae._runtime.threads import n_threads, off_main_thread
from shallow_ae._solvers.gradient_descent.minibatches import Batches, MinibatchStream, batch_cost
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array, Interactions

# A block of columns should stay in cache through all steps of a dispatch, and not be so narrow
# that the sparse indices are read too often. Accelerators want large products and few transfers.
_BLOCK_BYTES = 2**21
_BLOCK_COLUMNS = (64, 512)
_ACCELERATOR_BLOCK_BYTES = 2**28
# Steps at once. More would gain little, for by then it is the products that take the time.
_STEPS = 8
_STACK_BYTES = 2**26
_DIVERGED = 100  # times the usual loss


class Dispatch(NamedTuple):
    """Steps that each block of columns is taken through in one call."""

    batches: Batches
    learning_rates: Array  # padded to the size of the largest dispatch
    zero_losses: list[float]  # of each step's batch with zero weights


class Descent:
    """Gradient descent on the n_items^2 weights P, in place.

    The steps of one dispatch are taken off the main thread, the only one that Python interrupts:
    a KeyboardInterrupt never leaves columns at different steps.
    """

    def __init__(
        self,
        feed: MinibatchStream,
        learning_rates: Array,
        diagonal_slack: float,
        *,
        at_once: int,
        pauses: list[int],
    ) -> None:
        """Prepare a step for each learning rate, with a stop at all multiples of the `pauses`.

        A dispatch has `at_once` of them at most.

        What must be compiled is compiled here, before the weights are there: the compiler's memory
        is free again when theirs is needed.
        """
        self.losses: list[float] = []  # before each step, on its batch
        self._feed = feed
        self._learning_rates = learning_rates
        self._slack = diagonal_slack
        self._dtype = feed.dtype
        self._n_items = feed.n_items
        self._width = block_columns(self._n_items, self._dtype)
        self.whole = True  # every column of P has been through the same steps
        longest = min([len(learning_rates), at_once, *pauses])
        # Of few different lengths: another one would have the steps compiled anew.
        dispatches = self._plan(min(at_once, 1 << (longest - 1).bit_length()), pauses)
        first = next(dispatches)
        self._dispatches = chain([first], dispatches)
        self._on_block(np.zeros((self._n_items, self._width), self._dtype), first, 0, 0)
        release_free_memory()

    def run(self, P: Array, look: Callable[[], bool]) -> bool:
        """Take the steps on `P`; return whether they were interrupted.

        `look` is called now and then, at each pause among others, and ends the descent by
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
                    self.whole = False
                    off_main_thread(partial(self._advance, P, dispatch, workers))
                    if look():
                        break
            except KeyboardInterrupt:
                if not (self.whole and self.losses):
                    raise
                interrupted = True
            # One more step, of length 0, for the loss that the last one has led to.
            standing = dispatch._replace(learning_rates=np.zeros_like(dispatch.learning_rates))
            self._check(self._step(P, standing, 1, workers)[0], dispatch.zero_losses[0])
        return interrupted

    def _plan(self, size: int, pauses: list[int]) -> Iterator[Dispatch]:
        n_steps = len(self._learning_rates)
        first = 0
        while first < n_steps:
            end = min(first + size, n_steps, *(first - first % p + p for p in pauses))
            rates = np.zeros(size, self._dtype)
            rates[: end - first] = self._learning_rates[first:end]
            with jax_precision(self._dtype):
                batches, zero_losses = self._feed.take(end - first, size)
            yield Dispatch(batches, rates, zero_losses)
            first = end

    def _advance(self, P: Array, dispatch: Dispatch, workers: Executor) -> None:
        losses = self._step(P, dispatch, len(dispatch.zero_losses), workers)
        for value, zero_loss in zip(losses, dispatch.zero_losses, strict=True):
            self._check(value, zero_loss)
            self.losses.append(value)
        self.whole = True

    def _step(self, P: Array, dispatch: Dispatch, n_steps: int, workers: Executor) -> list[float]:
        """Take all columns through some steps; return the loss before each."""

        def on_columns(first: int) -> Array:
            columns = P[:, first : first + self._width]
            missing = self._width - columns.shape[1]  # in the last block: one shape for all
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
        usual = max(start, self._feed.zero_loss, zero_loss)
        if np.isfinite(value) and value <= _DIVERGED * usual:
            return
        raise ValueError(
            f"The loss is {value:.3g} after step {len(self.losses)}, where {usual:.3g} is usual: "
            f"gradient descent diverges with steps of {self._learning_rates[0]:.3g}. Lower "
            "`learning_rate` or leave it at 'auto'; if it is, raise `batch_size`."
        )


def descent_cost(X: Interactions, batch_size: int, n_steps: int, layout: str) -> tuple[int, int]:
    """Return bytes, the weights included, and multiplications of so many steps on batches of X."""
    n_items, itemsize = X.shape[1], int(X.dtype.itemsize)
    n_entries, n_bytes = batch_cost(X, batch_size, layout)
    # A block, its copy for the device, what pulls at it, and what the allocator keeps of those.
    of_block = (
        (6 * n_items + min(batch_size, X.shape[0])) * block_columns(n_items, X.dtype) * itemsize
    )
    of_batches = 2 * n_bytes * min(n_steps, steps_at_once(n_bytes))
    return (
        n_items**2 * itemsize + n_threads() * of_block + of_batches,
        n_steps * (2 * n_entries * n_items + 2 * n_items**2),
    )


def steps_at_once(batch_bytes: int) -> int:
    """Return how many steps at most a dispatch has."""
    return max(1, min(_STEPS, _STACK_BYTES // max(1, batch_bytes)))


def block_columns(n_items: int, dtype: Any) -> int:
    """Return how many columns of P make a block, so that the last one is nearly full."""
    on_cpu = backend() == "cpu"
    fewest, most = _BLOCK_COLUMNS if on_cpu else (1, n_items)
    block_bytes = _BLOCK_BYTES if on_cpu else _ACCELERATOR_BLOCK_BYTES
    width = max(fewest, min(most, block_bytes // (n_items * int(dtype.itemsize))))
    return -(-n_items // -(-n_items // width))
