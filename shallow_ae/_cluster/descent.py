"""Gradient descent with rows in partitions, and with the columns of P in blocks on the workers.

A block of columns takes its steps in tasks, each on the minibatches of several steps. Blocks need
nothing of each other, so that P may be larger than the memory of any one machine. The minibatches
equal the batches of gradient descent in memory, if the rows have the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import getitem
from typing import Any

import numpy as np

from shallow_ae._cluster.column_blocks import ColumnBlocks
from shallow_ae._cluster.column_tasks import (
    advance,
    finished,
    first_state,
    loss_at,
    losses_of_state,
)
from shallow_ae._cluster.minibatches import Dispatch, PartitionedMinibatches
from shallow_ae._cluster.parts import groups_of
from shallow_ae._cluster.random_start import random_blocks
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._cluster.workers import check_cluster_memory, n_worker_threads
from shallow_ae._linalg.csr import column_squares
from shallow_ae._objective.objective import Objective, count_scale
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.dask_graphs import Task, computed, constant, persisted, task, tree_sum
from shallow_ae._runtime.progress import progress_bar
from shallow_ae._solvers.gradient_descent.fit import (
    Descended,
    DescentOptions,
    Monitor,
    RandomStreams,
)
from shallow_ae._solvers.gradient_descent.minibatches import partition_users, sample_batches
from shallow_ae._solvers.gradient_descent.schedule import check_loss, decayed_rates
from shallow_ae._solvers.gradient_descent.sizes import block_columns
from shallow_ae._solvers.gradient_descent.step import safe_learning_rate
from shallow_ae._typing import Array

_BLOCK_BYTES = 2**25
_MOST_BLOCKS = 256  # more blocks would slow down ranking, which has a task per partition and block
_GROUP_BYTES = 2**26  # size of the rows that one task multiplies to find the learning rate

# Steps in a dispatch. Each dispatch reads and writes all of P, which may be on disk. Monitors need
# to see the weights or losses as often as in memory.
_STEPS, _STEPS_WITH_MONITORS = 32, 8


class PartitionedDescent:
    """The counterpart of `GradientDescent` for rows in partitions.

    Parameters
    ----------
    start : callable, default=None
        Function that takes the slices of columns and returns a task for the start weights of each,
        with their diagonal and without the scaling by `item_counts`. None means random weights.
    columns : list of slices, default=None
        The columns of each block. By default, blocks have some 32 MiB.
    """

    def __init__(
        self,
        rows: PartitionedRows,
        item_counts: Array,
        objective: Objective,
        options: DescentOptions,
        random: RandomStreams,
        *,
        start: Callable[[list[slice]], list[Task]] | None = None,
        columns: list[slice] | None = None,
        n_steps_before: int = 0,
    ) -> None:
        self._rows = rows
        self._dtype = rows.dtype
        self._item_counts = item_counts
        self._objective = objective
        self._options = options
        self._random = random
        self._start = start
        self._n_steps_before = n_steps_before
        check_cluster_memory(rows.n_items, self._dtype)
        self._parts = rows.weighted(objective.user_exponent, keeps_all=True)
        self._minibatches = PartitionedMinibatches(rows, self._parts, objective, options)
        squares = [task(_mean_squares, [part], rows.n_rows) for part in self._parts]
        self._zero_loss = float(computed([tree_sum(squares, np.add)])[0].sum())
        self._blocks = columns or _column_slices(rows.n_items, self._dtype)
        self._losses: list[float] = []
        self._states: list[Task] = []

    @property
    def losses(self) -> list[float]:
        """Return the loss before each step taken so far, on the batch of the step."""
        return self._losses

    @property
    def is_at_end(self) -> bool:
        """Return whether all steps have been taken."""
        return len(self.losses) == self._n_steps

    def learning_rate(self) -> float:
        """Return the learning rate before any decay."""
        if not isinstance(self._options.learning_rate, str):
            return float(self._options.learning_rate)
        groups = groups_of(self._parts, self._rows.part_bytes, _GROUP_BYTES)
        n_rows, objective = self._rows.n_rows, self._objective

        def times_gram(vector: Array) -> Array:
            tasks = [task(_times_gram, group, vector, n_rows) for group in groups]
            product: Array = computed([tree_sum(tasks, np.add)])[0]
            return product

        penalty: Any = objective.regularization
        if objective.dropout:
            tasks = [task(_mean_squares, group, n_rows) for group in groups]
            share = objective.dropout / (1 - objective.dropout)
            penalty = penalty + share * computed([tree_sum(tasks, np.add)])[0]
        shape, rng = (self._rows.n_items, self._dtype), self._random.power_iteration()
        return safe_learning_rate(times_gram, penalty, *shape, rng)

    def run(
        self, learning_rate: float, n_steps: int, monitors: Sequence[Monitor] = ()
    ) -> Descended:
        """Take `n_steps` steps on random batches, unless a monitor or an interrupt ends them."""
        decay = self._options.learning_rate_decay
        rates = decayed_rates(learning_rate, decay, self._n_steps_before, n_steps)
        batch_size = self._options.batch_size
        users = sample_batches(self._rows.n_rows, batch_size, self._random.batches())
        return self._descend(users, rates, monitors)

    def single_pass(self, learning_rate: float) -> Descended:
        """Take one pass over the users in batches, with a constant learning rate."""
        batch_size = self._options.batch_size
        users = partition_users(self._rows.n_rows, batch_size, self._random.batches())
        return self._descend(iter(users), np.full(len(users), learning_rate), ())

    @contextmanager
    def lent_weights(self) -> Iterator[tuple[ColumnBlocks, Array]]:
        """Provide, during a pause, the weights and their diagonal in the form of a solution."""
        yield self._finish()

    def _descend(
        self, users: Iterator[Any], rates: Array, monitors: Sequence[Monitor]
    ) -> Descended:
        self._losses = []
        self._n_steps = len(rates)
        self._states = self._first_states()
        is_ended = is_interrupted = False
        pauses = [monitor.every for monitor in monitors if monitor.every]
        at_once = self._minibatches.most_at_once(_STEPS_WITH_MONITORS if monitors else _STEPS)
        dispatches = self._minibatches.dispatches(users, rates, at_once, pauses)
        with progress_bar(len(rates), "fit", "step", verbose=self._options.verbose) as bar:
            try:
                for dispatch in dispatches:
                    self._advance(dispatch)
                    bar.advance_to(len(self.losses), loss=f"{self.losses[-1]:.4g}")
                    is_ended = any([monitor.is_done(self) for monitor in monitors])  # calls all
                    if is_ended:
                        break
            except KeyboardInterrupt:
                if not self.losses:
                    raise
                is_interrupted = True
        self._check_last(dispatch)
        weights, diagonal = self._finish()
        self._states = []
        return Descended(weights, diagonal, self.losses, is_ended, is_interrupted)

    def _first_states(self) -> list[Task]:
        if self._start is not None:
            start = self._start(self._blocks)
        else:
            rng, scale = self._random.start(), self._options.init_scale
            start = random_blocks(self._item_counts, scale, self._dtype, rng, self._blocks)
        return persisted([task(first_state, block) for block in start])

    def _advance(self, dispatch: Dispatch) -> None:
        slack = self._objective.diagonal_slack
        steps = (dispatch.batches, dispatch.learning_rates, dispatch.n_steps, slack)
        states = persisted(
            [
                task(advance, state, columns.start, *steps)
                for state, columns in zip(self._states, self._blocks, strict=True)
            ]
        )
        of_blocks = [task(losses_of_state, state) for state in states]
        *parts, zero_losses = computed([*of_blocks, dispatch.batches[1]])
        of_steps = np.stack(parts)[:, : dispatch.n_steps].sum(axis=0, dtype=np.float64)
        losses = list(self._losses)
        for value, zero_loss in zip(of_steps.tolist(), zero_losses, strict=False):
            self._check(losses, value, zero_loss, dispatch)
            losses.append(value)
        self._states, self._losses = states, losses

    def _check_last(self, dispatch: Dispatch) -> None:
        """Check the loss after the last step."""
        slack = self._objective.diagonal_slack
        tasks = [
            task(loss_at, state, columns.start, dispatch.batches, dispatch.learning_rates, slack)
            for state, columns in zip(self._states, self._blocks, strict=True)
        ]
        *parts, zero_losses = computed([*tasks, dispatch.batches[1]])
        self._check(self._losses, float(np.sum(parts)), zero_losses[0], dispatch)

    def _check(
        self, losses: list[float], value: float, zero_loss: float, dispatch: Dispatch
    ) -> None:
        """Raise a ValueError if a loss shows that the descent diverges after some losses."""
        usual = max(losses[0] if losses else value, self._zero_loss, zero_loss)
        check_loss(value, usual, len(losses), float(dispatch.learning_rates[0]))

    def _finish(self) -> tuple[ColumnBlocks, Array]:
        """Return the weights in the form of a solution, and their diagonal."""
        scale = count_scale(self._item_counts, self._objective.item_exponent)
        exponent = self._objective.item_exponent
        scale_task = constant(scale.astype(self._dtype) if exponent else None)
        pairs = [
            task(finished, state, columns.start, scale_task)
            for state, columns in zip(self._states, self._blocks, strict=True)
        ]
        arrays = persisted([task(getitem, pair, place) for place in (0, 1) for pair in pairs])
        n_blocks = len(self._blocks)
        diagonal = np.concatenate(computed(arrays[n_blocks:]))
        starts = [columns.start for columns in self._blocks]
        weights = ColumnBlocks(arrays[:n_blocks], starts, self._rows.n_items, self._dtype)
        return weights, diagonal


def _column_slices(n_items: int, dtype: np.dtype[Any]) -> list[slice]:
    """Return the columns of each block: a multiple of the columns that stay in cache."""
    in_cache = block_columns(n_items, dtype)
    n_bytes = max(_BLOCK_BYTES, n_items**2 * dtype.itemsize // _MOST_BLOCKS)
    fitting = n_bytes // (n_items * in_cache * dtype.itemsize)
    per_thread = -(-n_items // (in_cache * 2 * n_worker_threads()))
    return blocks(n_items, in_cache * max(1, min(fitting, per_thread)))


def _times_gram(parts: list[Any], vector: Array, n_rows: int) -> Array:
    """Return the part of X'WX/n times a vector that comes from some rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        products = [X.T @ (weights / n_rows * (X @ vector)) for X, weights in parts]
    return np.asarray(sum(products))


def _mean_squares(parts: list[Any], n_rows: int) -> Array:
    return np.asarray(sum(column_squares(X, weights / n_rows) for X, weights in parts))
