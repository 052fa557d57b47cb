"""Weights on JAX's devices: each device holds a part of the columns and takes all their steps.

The devices form a `jax.sharding.Mesh` with one axis, over which the columns of P are divided. Each
device also gets all batches. As the columns of P do not depend on each other, no device needs to
hear of another device during a step, in one process or in several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from shallow_ae._runtime.blocks import block_rows, blocks
from shallow_ae._runtime.jax_settings import jax_precision, n_processes
from shallow_ae._solvers.gradient_descent.loop import Dispatch
from shallow_ae._solvers.gradient_descent.minibatches import Batches
from shallow_ae._solvers.gradient_descent.sizes import shard_columns
from shallow_ae._solvers.gradient_descent.step import steps
from shallow_ae._typing import Array

_AXIS = "columns"
_spec: Callable[..., PartitionSpec] = PartitionSpec  # JAX does not annotate its constructor
_COLUMNS, _PARTS, _EVERYWHERE = _spec(None, _AXIS), _spec(_AXIS), _spec()


class DeviceWeights:
    """The n_items^2 weights of a descent on `devices`, and on request a copy on the host.

    All processes that share the devices call the same methods in the same order. Each process then
    has the same losses, and the same weights on its host.
    """

    is_copy = True

    def __init__(
        self, n_items: int, dtype: Any, diagonal_slack: float, devices: Sequence[Any]
    ) -> None:
        self._n_items = n_items
        self._dtype = dtype
        self._slack = diagonal_slack
        self._mesh = Mesh(np.array(devices), (_AXIS,))
        self._width = shard_columns(n_items, self._mesh.size)
        self._shape = (n_items, self._mesh.size * self._width)
        self.is_shared = n_processes() > 1

    def put(self, batches: Batches) -> Batches:
        """Return batches whose arrays are whole on every device."""
        everywhere = NamedSharding(self._mesh, _EVERYWHERE)

        def put(array: Array) -> jax.Array:
            return jax.make_array_from_callback(array.shape, everywhere, lambda at: array[at])

        return Batches(*jax.tree.map(put, tuple(batches)))

    def compile_steps(self, dispatch: Dispatch) -> None:
        """Compile the steps of dispatches like this one."""
        with jax_precision(self._dtype):
            zeros = jnp.zeros(self._shape, self._dtype, device=self._sharding())
            self._stepped(zeros, dispatch, 0)[0].block_until_ready()

    @contextmanager
    def holding(self, P: Array) -> Iterator[None]:
        """Hold the weights, which start as `P`, on the devices during a `with` block."""
        with jax_precision(self._dtype):
            self._weights = self._on_devices(P)
        self._P = P
        try:
            yield
        finally:
            del self._weights, self._P

    def advance(self, dispatch: Dispatch, n_steps: int) -> Array:
        """Take `n_steps` steps on all columns; return each device's loss before each step."""
        with jax_precision(self._dtype):
            self._weights, losses = self._stepped(self._weights, dispatch, n_steps)
            return _on_host(losses)

    def fetch(self) -> None:
        """Copy the weights to the host, in rows, so that no device and no host holds them twice."""
        n_rows = block_rows(*self._shape)
        with jax_precision(self._dtype):
            for rows in blocks(self._n_items, n_rows):
                first = min(rows.start, self._n_items - n_rows)  # all blocks have one shape
                part = _on_host(_rows(self._weights, first, n_rows=n_rows))
                self._P[first : first + n_rows] = part[:, : self._n_items]

    def _sharding(self) -> NamedSharding:
        return NamedSharding(self._mesh, _COLUMNS)

    def _on_devices(self, P: Array) -> jax.Array:
        """Return P on the devices, each shard padded to its width."""
        shards = []
        for device, at in self._sharding().addressable_devices_indices_map(self._shape).items():
            columns = P[:, at[1]] if at else P
            missing = self._width - columns.shape[1]
            shard = np.pad(columns, ((0, 0), (0, missing))) if missing else columns
            # Waits, so that the host holds the copy of one shard at a time.
            on_device: jax.Array = jax.device_put(shard, device, may_alias=False)
            shards.append(on_device.block_until_ready())
        return jax.make_array_from_single_device_arrays(self._shape, self._sharding(), shards)

    def _stepped(
        self, weights: jax.Array, dispatch: Dispatch, n_steps: int
    ) -> tuple[jax.Array, jax.Array]:
        batches, rates, _ = dispatch
        stepped: tuple[jax.Array, jax.Array] = steps_on_devices(
            weights, batches, rates, n_steps, self._slack, mesh=self._mesh
        )
        return stepped


@partial(jax.jit, static_argnames="mesh", donate_argnums=0)
def steps_on_devices(
    weights: jax.Array,
    batches: Batches,
    learning_rates: jax.Array,
    n_steps: jax.Array | int,
    diagonal_slack: jax.Array | float,
    *,
    mesh: Mesh,
) -> tuple[jax.Array, jax.Array]:
    """Return the weights after `n_steps` steps, and each device's part of the loss before each."""

    # The varying axes are not checked: the trip count and the losses of the loop in `steps` would
    # need a cast that has no meaning on one device.
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(_COLUMNS, _EVERYWHERE, _EVERYWHERE, _EVERYWHERE, _EVERYWHERE),
        out_specs=(_COLUMNS, _PARTS),
        check_vma=False,
    )
    def on_shard(
        block: jax.Array, batches: Batches, rates: jax.Array, n_steps: jax.Array, slack: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        first = lax.axis_index(_AXIS) * block.shape[1]
        block, losses = steps(block, batches, first, rates, n_steps, slack)
        return block, losses[None]

    stepped: tuple[jax.Array, jax.Array] = on_shard(
        weights, batches, learning_rates, n_steps, diagonal_slack
    )
    return stepped


@partial(jax.jit, static_argnames="n_rows")
def _rows(weights: jax.Array, first: jax.Array | int, *, n_rows: int) -> jax.Array:
    return lax.dynamic_slice_in_dim(weights, first, n_rows)


def _on_host(sharded: jax.Array) -> Array:
    """Return an array whose parts may be in several processes; all of them call this function."""
    return np.asarray(multihost_utils.process_allgather(sharded, tiled=True))
