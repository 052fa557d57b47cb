"""Gradient descent from start to solution: learning rate, steps, monitors, interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from shallow_ae._objective.objective import Objective, item_penalty, scale_by_counts
from shallow_ae._runtime.jax_settings import uses_devices
from shallow_ae._runtime.progress import progress_bar
from shallow_ae._solvers.gradient_descent.host_weights import HostWeights
from shallow_ae._solvers.gradient_descent.loop import DescentLoop, DescentWeights, Progress
from shallow_ae._solvers.gradient_descent.minibatches import (
    MinibatchStream,
    partition_users,
    sample_batches,
)
from shallow_ae._solvers.gradient_descent.schedule import decayed_rates
from shallow_ae._solvers.gradient_descent.sizes import batch_bytes, steps_at_once
from shallow_ae._solvers.gradient_descent.step import random_start, safe_learning_rate
from shallow_ae._typing import Array, Interactions
from shallow_ae._weights.item_weights import DenseWeights, WeightMatrix


class DescentOptions(NamedTuple):
    """The options of gradient descent; ShallowAutoEncoder documents these parameters."""

    learning_rate: float | str
    learning_rate_decay: float
    batch_size: int
    init_scale: float
    layout: str  # "sparse" or "dense": the form of batches
    verbose: int


class RandomStreams:
    """Random streams, one for each use, so that the uses do not depend on each other.

    The stream of batches depends on `n_steps_before`, so that a fit that continues an earlier fit
    does not draw the same batches again.
    """

    def __init__(self, seed: int, n_steps_before: int) -> None:
        self._seed = seed
        self._n_before = n_steps_before

    def _stream(self, use: int, seed: Any) -> np.random.Generator:
        return np.random.default_rng(seed).spawn(4)[use]

    def start(self) -> np.random.Generator:
        """Return the stream for the start weights."""
        return self._stream(0, self._seed)

    def batches(self) -> np.random.Generator:
        """Return the stream for the users of each batch, at its beginning."""
        return self._stream(1, [self._seed, self._n_before] if self._n_before else self._seed)

    def power_iteration(self) -> np.random.Generator:
        """Return the stream for the start vector of the power iteration for the learning rate."""
        return self._stream(2, self._seed)

    def held_out_users(self) -> np.random.Generator:
        """Return the stream for the users that early stopping holds out."""
        return self._stream(3, self._seed)


class Descent(Protocol):
    """What a monitor sees of a descent, in memory or on Dask's workers."""

    @property
    def losses(self) -> list[float]:
        """Return the loss before each step taken so far, on the batch of the step."""

    @property
    def is_at_end(self) -> bool:
        """Return whether all steps have been taken."""

    def lent_weights(self) -> AbstractContextManager[tuple[WeightMatrix, Array]]:
        """Provide the weights and their diagonal in the form of a solution."""


class Monitor(Protocol):
    """Checks the descent at its pauses, and ends it by returning True."""

    @property
    def every(self) -> int | None:
        """Return the number of steps between its pauses; None if any pauses will do."""

    def is_done(self, descent: Descent) -> bool:
        """Return whether the descent should end."""


class LossPlateau:
    """Ends a descent whose mean loss falls by less than `tol` over `n_steps` steps."""

    every = None

    def __init__(self, tol: float, n_steps: int) -> None:
        self._tol = tol
        self._n_steps = n_steps

    def is_done(self, descent: Descent) -> bool:
        """Return whether the losses have settled."""
        return has_settled(descent.losses, self._n_steps, self._tol)


def has_settled(losses: Sequence[float], n_steps: int, tol: float) -> bool:
    """Return whether the mean loss has last fallen by less than `tol` over `n_steps` steps.

    The means of the last `n_steps` losses and of the `n_steps` losses before are compared, because
    the losses of single batches differ by more than the gain of a step.
    """
    if len(losses) < 2 * n_steps:
        return False
    before, now = losses[-2 * n_steps : -n_steps], losses[-n_steps:]
    return float(np.mean(before) - np.mean(now)) < tol


def weights_of_descent(n_items: int, dtype: Any, diagonal_slack: float) -> DescentWeights:
    """Return the place for the weights of a descent: the host, or JAX's devices."""
    if not uses_devices():
        return HostWeights(n_items, dtype, diagonal_slack)
    from shallow_ae._solvers.gradient_descent.device_weights import DeviceWeights

    return DeviceWeights(n_items, dtype, diagonal_slack, jax.devices())


class Descended(NamedTuple):
    """The result of a descent."""

    weights: WeightMatrix  # P, without its diagonal
    diagonal: Array  # diagonal of P
    losses: list[float]  # loss before each step, on the batch of the step
    is_ended: bool  # whether a monitor ended the descent
    is_interrupted: bool


class GradientDescent:
    """Gradient descent on the objective over rows X, from random or given start weights.

    Parameters
    ----------
    X : csr_array or ndarray of shape (n_users, n_items)
    user_weights : ndarray of shape (n_users,)
        Weights of the users, with a mean of 1.
    item_counts : ndarray of shape (n_items,)
        Users of each item, for the scaling of the finished weights.
    start : callable, default=None
        Function that returns the start weights as a new array, with their diagonal and without the
        scaling by `item_counts`. It is called after the steps have been compiled. None means random
        weights.
    n_steps_before : int
        Number of steps by which the learning rate has decayed before the first step.
    """

    def __init__(
        self,
        X: Interactions,
        user_weights: Array,
        item_counts: Array,
        objective: Objective,
        options: DescentOptions,
        random: RandomStreams,
        *,
        start: Callable[[], Array] | None = None,
        n_steps_before: int = 0,
    ) -> None:
        self._X = X
        self._user_weights = user_weights
        self._item_counts = item_counts
        self._objective = objective
        self._options = options
        self._random = random
        self._start = start
        self._n_steps_before = n_steps_before
        self._resumed: Progress | None = None
        self._loop: DescentLoop
        self._P: Array

    @property
    def losses(self) -> list[float]:
        """Return the loss before each step taken so far, on the batch of the step."""
        return self._loop.losses

    @property
    def is_at_end(self) -> bool:
        """Return whether all steps have been taken."""
        return len(self.losses) == self._n_steps

    def learning_rate(self) -> float:
        """Return the learning rate before any decay."""
        if not isinstance(self._options.learning_rate, str):
            return float(self._options.learning_rate)
        X, objective = self._X, self._objective
        weights = self._user_weights / X.shape[0]
        penalty = item_penalty(X, weights, objective.regularization, objective.dropout)
        return safe_learning_rate(
            lambda vector: np.asarray(X.T @ (weights * (X @ vector))),
            penalty,
            X.shape[1],
            X.dtype,
            self._random.power_iteration(),
        )

    def run(
        self, learning_rate: float, n_steps: int, monitors: Sequence[Monitor] = ()
    ) -> Descended:
        """Take `n_steps` steps on random batches, unless a monitor or an interrupt ends them."""
        decay = self._options.learning_rate_decay
        rates = decayed_rates(learning_rate, decay, self._n_steps_before, n_steps)
        n_users, batch_size = self._X.shape[0], self._options.batch_size
        users = sample_batches(n_users, batch_size, self._random.batches())
        return self._descend(users, rates, monitors)

    def single_pass(self, learning_rate: float) -> Descended:
        """Take one pass over the users in batches, with a constant learning rate."""
        n_users, batch_size = self._X.shape[0], self._options.batch_size
        users = partition_users(n_users, batch_size, self._random.batches())
        return self._descend(iter(users), np.full(len(users), learning_rate), ())

    def resume(self, progress: Progress) -> None:
        """Let the next `run` continue at a pause of an earlier run that had the same arguments."""
        self._resumed = progress

    def progress(self) -> Progress:
        """Return, during a pause, how far the descent is. The next step changes the weights."""
        return self._loop.progress(self._P)

    @contextmanager
    def lent_weights(self) -> Iterator[tuple[DenseWeights, Array]]:
        """Provide, during a pause, the weights and their diagonal in the form of a solution.

        The weights are read-only, and the next step changes them.
        """
        P = self._P
        lent = P.view()
        lent.flags.writeable = False
        with self._loop.changed(lambda: self._finish(P), lambda: self._unfinish(P)):
            yield DenseWeights(lent), self._diagonal

    def _descend(
        self, users: Iterator[Any], rates: Array, monitors: Sequence[Monitor]
    ) -> Descended:
        options, objective = self._options, self._objective
        weights = weights_of_descent(self._X.shape[1], self._X.dtype, objective.diagonal_slack)
        stream = MinibatchStream(
            self._X,
            self._user_weights,
            users,
            layout=options.layout,
            batch_size=options.batch_size,
            regularization=objective.regularization,
            dropout=objective.dropout,
            put=weights.put,
        )
        self._n_steps = len(rates)
        resumed, self._resumed = self._resumed, None
        self._loop = DescentLoop(
            stream,
            rates,
            weights,
            at_once=steps_at_once(batch_bytes(self._X, options.batch_size, options.layout)),
            pauses=[monitor.every for monitor in monitors if monitor.every],
            resumed=resumed,
        )
        self._P = resumed.P.copy() if resumed else self._first_weights()
        del resumed  # and with it the mapped file that holds the weights
        is_ended = False
        with progress_bar(len(rates), "fit", "step", verbose=options.verbose) as bar:

            def on_pause() -> bool:
                nonlocal is_ended
                bar.advance_to(len(self.losses), loss=f"{self.losses[-1]:.4g}")
                is_ended = any([monitor.is_done(self) for monitor in monitors])  # calls all
                return is_ended

            is_interrupted = self._loop.run(self._P, on_pause)
        P = self._P
        del self._P  # the caller owns the weights from here on
        self._finish(P)
        return Descended(DenseWeights(P), self._diagonal, self.losses, is_ended, is_interrupted)

    def _first_weights(self) -> Array:
        if self._start is not None:
            return self._start()
        scale, random = self._options.init_scale, self._random.start()
        return random_start(self._item_counts, scale, self._X.dtype, random)

    def _finish(self, P: Array) -> None:
        """Turn the weights of the descent into the weights of a solution, in place."""
        self._diagonal = P.diagonal().copy()
        np.fill_diagonal(P, 0)
        scale_by_counts(P, self._item_counts, self._objective.item_exponent)

    def _unfinish(self, P: Array) -> None:
        """Undo the changes of `_finish`."""
        scale_by_counts(P, self._item_counts, -self._objective.item_exponent)
        np.fill_diagonal(P, self._diagonal)
