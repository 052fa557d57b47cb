"""The loss and one gradient step in JAX, the random start, the longest safe step.

For a batch of users x_u whose weights w_u sum to 1 on average over batches, the objective is

    sum_u w_u ||x_u - x_u P||^2  +  sum_i penalty_i ||P_i||^2,     0 <= diag(P) <= diagonal_slack,

where P_i is row i of P. Its gradient is 2 X_B' W (X_B P - X_B) + 2 diag(penalty) P. Three choices
limit the cost of a step:

- The kernel stores D = P - I instead of P. The residual X_B P - X_B is then the single product
  X_B D, and no sparse row is converted to a dense row.
- The columns of P do not depend on each other. A block of columns that fits in cache takes many
  steps before the next block does, so that the n_items^2 weights are read once for all these steps.
- The blocks are independent. Threads share them, and no thread writes what another thread reads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shallow_ae._objective.objective import too_large
from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.gradient_descent.minibatches import Batches
from shallow_ae._typing import Array

# This number of iterations gives the largest eigenvalue of a Gram matrix of listens with an error
# below one percent. The number is fixed, and does not depend on a tolerance, so that the same data
# in another order get the same learning rate.
_POWER_ITERATIONS = 30
DRAWN_ROWS = 256  # rows of the start weights that share a random generator


def loss(
    block: jax.Array, batch: Batches, first_column: jax.Array | int
) -> tuple[jax.Array, jax.Array]:
    """Return the contribution of columns `block` of D to the objective, and the residual X_B D."""
    residual = batch.rows @ block
    data = jnp.vdot(batch.weights, jnp.square(residual).sum(axis=1))
    row = jnp.arange(block.shape[0], dtype=jnp.int32)[:, None]
    column = first_column + jnp.arange(block.shape[1], dtype=jnp.int32)[None, :]
    # The sum is over squares of P, not of D: a difference of sums over D would lose small weights.
    squares = (
        batch.penalty[:, None] * jnp.square(jnp.where(row == column, block + 1, block))
    ).sum()
    return data + squares, residual


def step(
    block: jax.Array,
    batch: Batches,
    first_column: jax.Array | int,
    learning_rate: jax.Array | float,
    diagonal_slack: jax.Array | float,
) -> tuple[jax.Array, jax.Array]:
    """Return `block` after one projected gradient step, and its part of the objective before it."""
    value, residual = loss(block, batch, first_column)
    columns = batch.rows.T if batch.columns is None else batch.columns
    pull = columns @ (batch.weights[:, None] * residual)
    shrinkage = 1 - 2 * learning_rate * batch.penalty
    block = shrinkage[:, None] * block - 2 * learning_rate * pull
    own, own_penalty = _diagonal(block, first_column, batch.penalty)
    diagonal = block[own] - 2 * learning_rate * own_penalty
    return block.at[own].set(jnp.clip(diagonal, -1, diagonal_slack - 1)), value


@partial(jax.jit, donate_argnums=0)
def steps(
    block: jax.Array,
    batches: Batches,
    first_column: jax.Array | int,
    learning_rates: jax.Array,
    n_steps: jax.Array | int,
    diagonal_slack: jax.Array | float,
) -> tuple[jax.Array, jax.Array]:
    """Return columns of P after `n_steps` steps on successive batches, and the loss before each.

    `n_steps` is traced, so that a shorter dispatch runs the same compiled function.
    """

    def one(t: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        D, losses = state
        batch = jax.tree.map(lambda leaf: leaf[t % leaf.shape[0]], batches)
        D, value = step(D, batch, first_column, learning_rates[t], diagonal_slack)
        return D, losses.at[t].set(value)

    own, _ = _diagonal(block, first_column, batches.penalty[0])
    D, losses = jax.lax.fori_loop(
        0, n_steps, one, (block.at[own].add(-1), jnp.zeros_like(learning_rates))
    )
    return D.at[own].add(1), losses


def _diagonal(
    block: jax.Array, first_column: jax.Array | int, penalty: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """Return the indices of the diagonal of D in `block`, and the penalty on its entries.

    Columns that only pad the last block have their diagonal entries below the block, where JAX
    writes nothing. The penalty on these entries is 0, so that they do not add to the loss.
    """
    column = jnp.arange(block.shape[1], dtype=jnp.int32)
    row = first_column + column
    penalties = jnp.broadcast_to(penalty, block.shape[:1])
    return (row, column), penalties.at[row].get(mode="fill", fill_value=0)


def random_start(counts: Array, scale: float, dtype: Any, rng: np.random.Generator) -> Array:
    """Return start weights P ~ normal(0, scale) with a zero diagonal.

    The weights are drawn in float32, so that they do not depend on `dtype`. Each block of rows has
    its own generator, so that they do not depend on the number of threads. Items with a count of 0
    have no users: their weights start at 0 and stay 0.
    """
    n_items = len(counts)
    P = np.empty((n_items, n_items), dtype=dtype)

    parts = [P[first : first + DRAWN_ROWS] for first in range(0, n_items, DRAWN_ROWS)]
    with ThreadPoolExecutor(n_threads()) as threads:
        list(threads.map(draw_rows, parts, rng.spawn(len(parts))))
    P *= np.asarray(scale, dtype)
    P[counts == 0] = 0
    P[:, counts == 0] = 0
    np.fill_diagonal(P, 0)
    return P


def draw_rows(rows: Array, generator: np.random.Generator) -> None:
    """Fill rows of the start weights with standard normal numbers."""
    for row in rows:
        row[:] = generator.standard_normal(len(row), dtype=np.float32)


def _norm(vector: Array) -> float:
    """Return the length of a vector in float64, whose squares may underflow or overflow."""
    largest = float(np.abs(vector).max())
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(vector.astype(np.float64) / largest))


def safe_learning_rate(
    times_gram: Callable[[Array], Array],
    penalty: Array,
    n_items: int,
    dtype: Any,
    rng: np.random.Generator,
) -> float:
    """Return the learning rate 1/L for L = 2 * (largest eigenvalue of X'WX/n + diag(penalty)).

    Here n is the sum of W. L is the Lipschitz constant of the gradient over all users. Gradient
    descent with learning rates up to 2/L does not diverge. `times_gram` maps v to X'WX/n v.
    """
    vector = np.asarray(rng.standard_normal(n_items), dtype=dtype)
    eigenvalue = 0.0
    for _ in range(_POWER_ITERATIONS):
        vector /= max(eigenvalue or _norm(vector), np.finfo(dtype).tiny)
        with np.errstate(over="ignore", invalid="ignore"):
            vector = times_gram(vector) + np.asarray(penalty, dtype) * vector
        eigenvalue = _norm(vector)
        if not eigenvalue <= float(np.finfo(dtype).max):
            raise ValueError(too_large(np.dtype(dtype)))
    return 1 / (2 * eigenvalue) if eigenvalue > 0 else 1.0
