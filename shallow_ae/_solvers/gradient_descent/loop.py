"""The loop over gradient steps: dispatches, pauses, divergence, interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np

from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._runtime.memory import release_free_memory
from shallow_ae._runtime.threads import off_main_thread
from shallow_ae._solvers.gradient_descent.minibatches import Batches, MinibatchStream
from shallow_ae._solvers.gradient_descent.schedule import check_loss, dispatch_sizes
from shallow_ae._typing import Array


class Dispatch(NamedTuple):
    """Steps that columns take in one call of a compiled function."""

    batches: Batches
    learning_rates: Array  # padded to the size of the largest dispatch
    zero_losses: list[float]  # the loss of zero weights on each batch


class Progress(NamedTuple):
    """How far a descent has come at one of its pauses."""

    P: Array  # with its diagonal, and without the scaling by item counts
    losses: Array  # before each step taken
    n_stored: int  # entries that sparse batches are padded to


class DescentWeights(Protocol):
    """Where the weights are during a descent, and how their columns take the steps."""

    @property
    def is_copy(self) -> bool:
        """Return whether the weights on the host are only a copy, which the next step ignores."""

    @property
    def is_shared(self) -> bool:
        """Return whether several processes hold the weights together."""

    def put(self, batches: Batches) -> Batches:
        """Return batches of NumPy arrays as the steps need them."""

    def compile_steps(self, dispatch: Dispatch) -> None:
        """Compile the steps of dispatches like this one."""

    def holding(self, P: Array) -> AbstractContextManager[None]:
        """Hold the weights, which start as `P`, during a `with` block."""

    def advance(self, dispatch: Dispatch, n_steps: int) -> Array:
        """Take `n_steps` steps on all columns; return the loss of each part before each step."""

    def fetch(self) -> None:
        """Let the host's array `P` hold the weights as they are now."""


class DescentLoop:
    """Takes the steps of gradient descent on the n_items^2 weights P, in place.

    The steps of a dispatch run off the main thread, the only thread that Python interrupts. After a
    KeyboardInterrupt, all columns have therefore taken the same steps. Only a second interrupt
    during a dispatch can leave columns at different steps.

    Several processes that share the devices take their dispatches together. An interrupt in one of
    these processes is raised, because the weights cannot be complete without the others.
    """

    def __init__(
        self,
        stream: MinibatchStream,
        learning_rates: Array,
        weights: DescentWeights,
        *,
        at_once: int,
        pauses: list[int],
        resumed: Progress | None = None,
    ) -> None:
        """Prepare a step for each learning rate, and pauses at all multiples of each of `pauses`.

        A dispatch has at most `at_once` steps. A descent that is `resumed` at one of its pauses
        begins with this pause.

        The steps are compiled here, before the weights P are allocated, so that the compiler's
        memory is free again when the weights need memory.
        """
        # the loss before each step, on the batch of the step
        self.losses: list[float] = resumed.losses.tolist() if resumed else []
        self._stream = stream
        self._learning_rates = learning_rates
        self._weights = weights
        self._dtype = stream.dtype
        self._columns_in_step = True  # whether all columns of P have taken the same steps
        size, parts = dispatch_sizes(len(learning_rates), at_once, pauses)
        if resumed:
            n_steps = len(self.losses)
            parts = [(first, end) for first, end in parts if end >= n_steps]
            stream.skip(parts[0][0], resumed.n_stored)
        dispatches = self._plan(size, parts)
        first = next(dispatches)
        self._dispatches = chain([first], dispatches)
        weights.compile_steps(first)
        release_free_memory()

    def run(self, P: Array, on_pause: Callable[[], bool]) -> bool:
        """Take the steps on `P`, in place; return whether they were interrupted.

        `on_pause` is called after each dispatch, and so at each pause; it ends the descent by
        returning True. If the descent is resumed, the steps of the first dispatch have been taken.

        A KeyboardInterrupt also ends the descent, after the steps in progress. It is raised if no
        step has been taken, if the weights are inconsistent, or if other processes hold a part of
        them.

        Raises
        ------
        ValueError
            If a loss is not finite or is more than 100 times the usual loss. The contents of P are
            undefined after this error and after any other error.
        """
        interrupted, is_taken = False, bool(self.losses)
        with self._weights.holding(P):
            try:
                for dispatch in self._dispatches:
                    if not is_taken:
                        self._columns_in_step = False
                        off_main_thread(partial(self._advance, dispatch))
                    is_taken = False
                    if on_pause():
                        break
            except KeyboardInterrupt:
                if self._weights.is_shared or not (self._columns_in_step and self.losses):
                    raise
                interrupted = True
            # A last step of length 0 computes the loss after the last real step.
            standing = dispatch._replace(learning_rates=np.zeros_like(dispatch.learning_rates))
            self._check(self._step(standing, 1)[0], dispatch.zero_losses[0])
            self._weights.fetch()
        return interrupted

    def progress(self, P: Array) -> Progress:
        """Return, during a pause, all that a later descent needs to continue from this pause."""
        self._weights.fetch()
        return Progress(P, np.array(self.losses), self._stream.n_stored)

    @contextmanager
    def changed(
        self, change: Callable[[], object], change_back: Callable[[], object]
    ) -> Iterator[None]:
        """Change the weights on the host during a pause, and change them back afterwards.

        An interrupt during either change leaves inconsistent weights. A copy of weights that are
        elsewhere is not changed back, and an interrupt does no harm.
        """
        is_copy = self._weights.is_copy
        self._columns_in_step = is_copy
        self._weights.fetch()
        change()
        self._columns_in_step = True
        try:
            yield
        finally:
            if not is_copy:
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

    def _advance(self, dispatch: Dispatch) -> None:
        losses = self._step(dispatch, len(dispatch.zero_losses))
        for value, zero_loss in zip(losses, dispatch.zero_losses, strict=True):
            self._check(value, zero_loss)
            self.losses.append(value)
        self._columns_in_step = True

    def _step(self, dispatch: Dispatch, n_steps: int) -> list[float]:
        """Take `n_steps` steps on all columns; return the loss before each step."""
        of_parts = self._weights.advance(dispatch, n_steps)
        losses: Array = of_parts[:, :n_steps].sum(axis=0, dtype=np.float64)
        return list(map(float, losses))

    def _check(self, value: float, zero_loss: float) -> None:
        start = self.losses[0] if self.losses else value
        usual = max(start, self._stream.zero_loss, zero_loss)
        check_loss(value, usual, len(self.losses), float(self._learning_rates[0]))
