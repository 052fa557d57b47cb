"""Minibatch gradient descent on the shallow autoencoder's objective, in JAX.

For a batch of b rows x_u with weights w_u the objective is

    (1/b) * sum_u w_u ||x_u - x_u P||^2  +  regularization * ||P||_F^2,     diag(P) = 0,

and its gradient (2/b) X_B' W (X_B P - X_B) + 2 * regularization * P. Two choices make a step cost
what the data costs:

- What is stored and stepped is D = P - I. Then the residual X_B P - X_B is the single product
  X_B D, no row is ever made dense, and the constraint diag(P) = 0 reads diag(D) = -1.
- Columns of P do not depend on each other, so D is kept as blocks of columns. A block is the unit
  of cache and of donated memory: one jitted call takes it through both products and the update.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from shallow_ae._batches import Batch, draw_users, make_batch
from shallow_ae._validation import Array, Interactions

# A block of columns of D, and its residual, stay below these sizes: they should find room in cache,
# and glibc hands buffers of over 32 MiB back to the system, to be paged in anew at every step
# (measured at 17,632 items: 1.2 s a step with blocks of 36 MiB, 0.6 s with 18).
_BLOCK_BYTES = 2**24
_BLOCK_COLUMNS = 512  # wider ones read the sparse indices no less often
# Enough for the largest eigenvalue of a Gram matrix of listens to under a percent. Fixed, and not
# until a tolerance is met, so that equal data in another order get the same step.
_POWER_ITERATIONS = 30
_DIVERGED = 100  # times the loss that zero weights have


def loss(
    block: jax.Array, batch: Batch, regularization: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """Return what the columns `block` of D add to the objective, and their residual X_B D."""
    residual = batch.rows @ block
    data = jnp.vdot(batch.weights, jnp.square(residual).sum(axis=1)) / residual.shape[0]
    penalty = jnp.square(block).sum() - block.shape[1]  # the diagonal of D is -1, of P 0
    return data + regularization * penalty, residual


@partial(jax.jit, donate_argnums=0)
def step(
    block: jax.Array,
    batch: Batch,
    first_column: jax.Array | int,
    learning_rate: jax.Array | float,
    regularization: jax.Array | float,
) -> tuple[jax.Array, jax.Array]:
    """Return `block` after one gradient step, and its part of the objective before it."""
    value, residual = loss(block, batch, regularization)
    pull = batch.columns @ (batch.weights[:, None] * residual)
    shrinkage = 1 - 2 * learning_rate * regularization
    block = shrinkage * block - (2 * learning_rate / residual.shape[0]) * pull
    column = jnp.arange(block.shape[1], dtype=jnp.int32)
    return block.at[first_column + column, column].set(-1), value


_loss = jax.jit(loss)


def descend(
    X: Interactions,
    sample_weight: Array,
    *,
    learning_rates: Array,
    regularization: float,
    batch_size: int,
    init_scale: float,
    start_rng: np.random.Generator,
    batch_rng: np.random.Generator,
    on_step: Callable[[float], object],
) -> tuple[Array, list[float]]:
    """Take one step for each learning rate; return P and the loss before each step.

    `on_step` is called with each of those losses. The peak of memory, beside `X`, is that of P and
    of a few blocks of columns.

    Raises
    ------
    ValueError
        When a loss is not finite or has grown a hundredfold.
    """
    n_users, n_items = X.shape
    weights = _mean_one(sample_weight)
    zero_losses = weights * _row_squares(X)  # of each user, at P = 0
    width = _block_columns(max(n_items, min(batch_size, n_users)), X.dtype)
    losses: list[float] = []
    with jax.enable_x64(X.dtype == np.float64), jax.default_matmul_precision("highest"):
        blocks = _start(X, width, init_scale, start_rng)
        draws = draw_users(n_users, batch_size, batch_rng)
        for t, learning_rate in enumerate(learning_rates):
            users = next(draws)
            batch = make_batch(X[users], weights[users])
            parts = []
            for i, block in enumerate(blocks):
                blocks[i], part = step(block, batch, i * width, learning_rate, regularization)
                parts.append(part)
            losses.append(sum(map(float, parts)))
            usual = max(losses[0], float(zero_losses.mean()), float(zero_losses[users].mean()))
            _check_loss(losses[-1], usual, t, learning_rates[0])
            on_step(losses[-1])
        last = sum(float(_loss(block, batch, regularization)[0]) for block in blocks)
        _check_loss(last, usual, len(losses), learning_rates[0])
        return _assemble(blocks, n_items, X.dtype), losses


def safe_learning_rate(
    X: Interactions, sample_weight: Array, regularization: float, rng: np.random.Generator
) -> float:
    """Return 1/L for L = 2 * (largest eigenvalue of X'WX/n + regularization), n the sum of W.

    L is the Lipschitz constant of the gradient over all users: steps up to 2/L do not diverge.
    """
    weights = _mean_one(sample_weight) / X.shape[0]
    vector = np.asarray(rng.standard_normal(X.shape[1]), dtype=X.dtype)
    eigenvalue = 0.0
    for _ in range(_POWER_ITERATIONS):
        vector /= max(float(np.linalg.norm(vector)), np.finfo(X.dtype).tiny)
        vector = X.T @ (weights * (X @ vector))
        eigenvalue = float(np.linalg.norm(vector))
    lipschitz = 2 * (eigenvalue + regularization)
    return 1 / lipschitz if lipschitz > 0 else 1.0


def _block_columns(n_rows: int, dtype: Any) -> int:
    """Return how many columns of `n_rows` numbers a block has."""
    return max(1, min(_BLOCK_COLUMNS, _BLOCK_BYTES // (n_rows * int(dtype.itemsize))))


def _mean_one(sample_weight: Array) -> Array:
    """Return the weights scaled so that the mean over users is a plain mean of weighted terms."""
    mean = sample_weight.sum(dtype=np.float64) / len(sample_weight)
    return np.asarray(sample_weight / mean, dtype=sample_weight.dtype)


def _row_squares(X: Interactions) -> Array:
    """Return ||x_u||^2 of each row."""
    squares = X.multiply(X) if isinstance(X, sp.csr_array) else np.square(X)
    return np.asarray(squares.sum(axis=1))


def _start(X: Interactions, width: int, scale: float, rng: np.random.Generator) -> list[jax.Array]:
    """Return the blocks of D = P - I for P ~ normal(0, scale), diagonal 0.

    P is drawn in float32 and column after column, so that the start depends neither on the type
    nor on the width of a block. Items that nobody has start, and stay, at weight 0.
    """
    n_items = X.shape[1]
    spread = np.float32(scale) * _item_counts(X).astype(bool).astype(np.float32)
    blocks = []
    for first in range(0, n_items, width):
        columns = np.arange(min(width, n_items - first))
        block = rng.standard_normal((len(columns), n_items), dtype=np.float32).T
        block *= spread[:, None]
        block *= spread[first + columns] > 0
        block[first + columns, columns] = -1
        blocks.append(jnp.array(block, dtype=X.dtype))  # a copy: it will be donated
    return blocks


def _item_counts(X: Interactions) -> Array:
    """Return how many users have each item."""
    if isinstance(X, sp.csr_array):
        return np.bincount(X.indices, minlength=X.shape[1])
    return np.asarray(np.count_nonzero(X, axis=0))


def _assemble(blocks: list[jax.Array], n_items: int, dtype: Any) -> Array:
    """Return P from the blocks of D = P - I, emptying the list so that each is freed in turn."""
    P = np.empty((n_items, n_items), dtype=dtype)
    blocks.reverse()
    first = 0
    while blocks:
        block = blocks.pop()
        P[:, first : first + block.shape[1]] = block
        first += block.shape[1]
    np.fill_diagonal(P, 0)
    return P


def _check_loss(value: float, usual: float, n_steps: int, learning_rate: float) -> None:
    if np.isfinite(value) and value <= _DIVERGED * usual:
        return
    raise ValueError(
        f"The loss is {value:.3g} after step {n_steps}, where {usual:.3g} is usual: gradient "
        f"descent diverges with steps of {learning_rate:.3g}. Lower `learning_rate` or leave it at "
        "'auto'; if it is, raise `batch_size`."
    )
