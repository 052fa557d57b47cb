"""The inverse of a positive definite matrix on an accelerator, in JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve

from shallow_ae._runtime.blocks import block_rows, blocks
from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._typing import Array

_DEVICE_WIDTH = 1024


def negated_inverse_on_device(A: Array) -> None:
    """Overwrite A with -A^-1; only the lower triangle of A is read."""
    with jax_precision(A.dtype):
        swept = _sweep(jax.device_put(A))
    for rows in blocks(len(A), block_rows(*A.shape)):
        A[rows] = swept[rows]


@partial(jax.jit, donate_argnums=0)
def _sweep(A: jax.Array) -> jax.Array:
    """Return -A^-1, or NaN if A is not positive definite; only the lower triangle of A is read.

    The sweep updates both triangles. It takes twice the multiplications, in a few large products.
    """
    n = len(A)
    A = jnp.tril(A) + jnp.tril(A, -1).T

    def sweep_block(start: Any, width: int, A: jax.Array) -> jax.Array:
        rows = lax.dynamic_slice(A, (start, 0), (width, n))
        block = lax.dynamic_slice(rows, (0, start), (width, width))
        inverse = cho_solve((jnp.linalg.cholesky(block), True), jnp.eye(width, dtype=A.dtype))
        scaled = inverse @ rows

        def update(first: Any, height: int, A: jax.Array) -> jax.Array:
            tile = lax.dynamic_slice(A, (first, 0), (height, n))
            left = lax.dynamic_slice(rows, (0, first), (width, height))
            return lax.dynamic_update_slice(A, tile - left.T @ scaled, (first, 0))

        A = _for_blocks(n, update, A)
        scaled = lax.dynamic_update_slice(scaled, -inverse, (0, start))
        A = lax.dynamic_update_slice(A, scaled.T, (0, start))
        return lax.dynamic_update_slice(A, scaled, (start, 0))

    return _for_blocks(n, sweep_block, A)


def _for_blocks(
    n: int, body: Callable[[Any, int, jax.Array], jax.Array], A: jax.Array
) -> jax.Array:
    """Return A after `A = body(start, width, A)` for consecutive blocks of `range(n)`."""
    n_full, rest = divmod(n, _DEVICE_WIDTH)
    if n_full:
        A = lax.fori_loop(0, n_full, lambda k, A: body(k * _DEVICE_WIDTH, _DEVICE_WIDTH, A), A)
    return body(n_full * _DEVICE_WIDTH, rest, A) if rest else A
