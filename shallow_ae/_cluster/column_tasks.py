"""The tasks of gradient descent on a block of columns of P, and the tasks that make minibatches."""

from __future__ import annotations

from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from shallow_ae._cluster.parts import Part, stacked
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._solvers.gradient_descent.minibatches import Batches, MinibatchStream
from shallow_ae._solvers.gradient_descent.sizes import block_columns
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array

State: TypeAlias = "tuple[Array, Array]"  # a block of columns of P, and the losses of its steps
Stack: TypeAlias = "tuple[Batches, list[float]]"  # minibatches, and the loss of each at P = 0


class BatchSettings(NamedTuple):
    """The layout and sizes of minibatches."""

    layout: str
    batch_size: int
    regularization: float
    dropout: float
    n_stored: int | None  # entries of a padded batch; None if it is the size of the batch


def taken_rows(part: Part, rows: Array) -> Part:
    """Return the rows with the given numbers."""
    return Part(part.X[rows], part.weights[rows])


def all_users(parts: list[Part], settings: BatchSettings) -> Stack:
    """Return the single minibatch of all users."""
    return _stack(stacked(parts), repeat(slice(None)), 1, 1, settings)


def stacked_batches(
    pieces: list[Part], place: Array, lengths: list[int], size: int, settings: BatchSettings
) -> Stack:
    """Return minibatches of given lengths. Row `place[i]` of the pieces is their i-th user."""
    drawn = taken_rows(stacked(pieces), place)
    users = np.split(np.arange(len(place)), np.cumsum(lengths)[:-1])
    return _stack(drawn, iter(users), len(lengths), size, settings)


def first_state(block: Array) -> State:
    """Return a block of start weights as a state."""
    return block, np.zeros(0, block.dtype)


def advance(
    state: State, first: int, stack: Stack, rates: Array, n_steps: int, slack: float
) -> State:
    """Return the columns from `first` on after `n_steps` steps, and the loss before each step."""
    block, _ = state
    after, total = np.empty(block.shape, block.dtype), np.zeros(len(rates))
    with jax_precision(block.dtype):
        batches = jax.device_put(stack[0])
        width = min(block.shape[1], block_columns(len(block), block.dtype))
        for columns in blocks(block.shape[1], width):
            given = block[:, columns]
            missing = width - given.shape[1]  # so that all blocks have one shape
            padded = np.pad(given, ((0, 0), (0, missing)))
            start = first + columns.start
            stepped, losses = steps(
                jax.device_put(padded, may_alias=False), batches, start, rates, n_steps, slack
            )
            after[:, columns] = np.asarray(stepped)[:, : given.shape[1]]
            total += np.asarray(losses)
    return after, total


def loss_at(state: State, first: int, stack: Stack, rates: Array, slack: float) -> float:
    """Return the loss of a block on the first minibatch."""
    _, losses = advance(state, first, stack, np.zeros_like(rates), 1, slack)
    return float(losses[0])


def finished(state: State, first: int, scale: Array | None) -> tuple[Array, Array]:
    """Return a block in the form of a solution, scaled with a zero diagonal, and its diagonal."""
    block = state[0].copy()
    columns = np.arange(block.shape[1])
    own = (first + columns, columns)
    diagonal = block[own]
    block[own] = 0
    if scale is not None:
        block /= scale[:, None]
        block *= scale[None, first : first + len(columns)]
    return block, diagonal


def losses_of_state(state: State) -> Array:
    """Return the losses of a state."""
    return state[1]


def _stack(part: Part, users: Any, n_batches: int, size: int, settings: BatchSettings) -> Stack:
    X, weights = part
    stream = MinibatchStream(
        X,
        weights,
        users,
        layout=settings.layout,
        batch_size=settings.batch_size,
        regularization=settings.regularization,
        dropout=settings.dropout,
        put=_on_host,
        n_stored=settings.n_stored,
    )
    with jax_precision(X.dtype):
        return stream.take(n_batches, size)


def _on_host(arrays: Any) -> Any:
    return arrays
