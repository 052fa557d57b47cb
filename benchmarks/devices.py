"""Time of gradient descent on one and on all devices of JAX, and of two inverses on a device.

Each measurement runs in a child process, and prints JAX's description of the devices.

- A step of gradient descent as `fit` takes it, with 1,024 users of 50 items in each batch, in
  float32: with the weights on one device, on all devices, and with the weights on the host. The
  host's weights take their steps in blocks on JAX's default device, which is fast on a CPU only.
- -A^-1 of a symmetric matrix in float32, from the host to the host: by the sweep, which the exact
  solution uses on accelerators, and by JAX's Cholesky factorization and two triangular solves.
  "error" is the largest entry of A A^-1 - I.

Times are the least of three, ratios are of one run. To see more than one device on a CPU, set
XLA_FLAGS=--xla_force_host_platform_device_count=2. Such devices share the cores, so that two are
not faster than one.

    python benchmarks/devices.py [n_items ...]
"""

import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from gradient_step import LEARNING_RATE, N_USERS, REGULARIZATION, batches, listens
from jax.scipy.linalg import cho_solve

from shallow_ae._linalg.device_inverse import negated_inverse_on_device
from shallow_ae._runtime.jax_settings import jax_precision
from shallow_ae._solvers.gradient_descent.device_weights import DeviceWeights
from shallow_ae._solvers.gradient_descent.host_weights import HostWeights
from shallow_ae._solvers.gradient_descent.loop import DescentLoop
from shallow_ae._solvers.gradient_descent.minibatches import MinibatchStream
from shallow_ae._solvers.gradient_descent.sizes import batch_bytes, choose_layout, steps_at_once
from shallow_ae._solvers.gradient_descent.step import random_start

SIZES = (2048, 4096, 8192)
BATCH, ITEMS_PER_USER, STEPS, ROUNDS = 1024, 50, 48, 3
PLACES = ("one", "all", "host")
INVERSES = ("sweep", "cholesky")


def step(n_items: int, place: str) -> float:
    """Return the seconds that a step takes on average."""
    X = listens(n_items, ITEMS_PER_USER)
    settings = (n_items, X.dtype, 0.0)
    devices = jax.devices()[:1] if place == "one" else jax.devices()
    weights = HostWeights(*settings) if place == "host" else DeviceWeights(*settings, devices)
    layout = choose_layout(X, jax.default_backend())
    seconds = []
    for _ in range(ROUNDS):
        stream = MinibatchStream(
            X,
            np.ones(N_USERS, np.float32),
            batches(),
            layout=layout,
            batch_size=BATCH,
            regularization=REGULARIZATION,
            dropout=0.0,
            put=weights.put,
        )
        at_once = steps_at_once(batch_bytes(X, BATCH, layout))
        rates = np.full(STEPS, LEARNING_RATE)
        loop = DescentLoop(stream, rates, weights, at_once=at_once, pauses=[])
        P = random_start(np.ones(n_items), 1e-3, X.dtype, np.random.default_rng(0))
        began = time.perf_counter()
        loop.run(P, lambda: False)
        seconds.append((time.perf_counter() - began) / STEPS)
    return min(seconds)


@partial(jax.jit, donate_argnums=0)
def _by_cholesky(A: jax.Array) -> jax.Array:
    return -cho_solve((jnp.linalg.cholesky(A), True), jnp.eye(len(A), dtype=A.dtype))


def negated_inverse_by_cholesky(A: np.ndarray) -> None:
    """Overwrite A with -A^-1."""
    with jax_precision(A.dtype):
        A[:] = _by_cholesky(jax.device_put(A))


def inverse(n_items: int, name: str) -> tuple[float, float]:
    """Return the seconds of an inverse, and its error."""
    invert = negated_inverse_on_device if name == "sweep" else negated_inverse_by_cholesky
    rows = np.random.default_rng(0).standard_normal((2 * n_items, n_items), dtype=np.float32)
    A = rows.T @ rows / np.float32(n_items)
    A[np.diag_indices(n_items)] += 1
    seconds = []
    for _ in range(ROUNDS + 1):  # the first compiles
        found = A.copy()
        began = time.perf_counter()
        invert(found)
        seconds.append(time.perf_counter() - began)
    lower = np.tril(found)
    found = lower + np.tril(lower, -1).T
    return min(seconds[1:]), float(np.abs(A @ found + np.eye(n_items, dtype=A.dtype)).max())


def child(n_items: int, what: str) -> str:
    """Return a measurement of this process as text."""
    if what == "devices":
        device = jax.devices()[0]
        return f"{jax.default_backend()}, {device.device_kind}, {jax.device_count()} device(s)"
    return str(step(n_items, what)) if what in PLACES else "{} {}".format(*inverse(n_items, what))


def in_child(n_items: int, what: str) -> str:
    """Return what a child process of this program prints."""
    command = [sys.executable, __file__, "child", str(n_items), what]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Print the devices and both tables."""
    sizes = [int(argument) for argument in sys.argv[1:]] or SIZES
    print(in_child(0, "devices"))
    print(
        f"\nms a step\n{'items':>8}{'one':>10}{'all':>10}{'host':>10}{'one/all':>10}"
        f"{'host/one':>10}"
    )
    for n_items in sizes:
        one, every, host = (1000 * float(in_child(n_items, place)) for place in PLACES)
        print(
            f"{n_items:>8,}{one:>10.2f}{every:>10.2f}{host:>10.2f}{one / every:>10.2f}"
            f"{host / one:>10.2f}",
            flush=True,
        )
    print(
        f"\nms an inverse\n{'items':>8}{'sweep':>10}{'Cholesky':>10}{'ratio':>10}"
        f"{'error':>10}{'error':>10}"
    )
    for n_items in sizes:
        found = [map(float, in_child(n_items, name).split()) for name in INVERSES]
        (sweep, its_error), (cholesky, other_error) = found
        print(
            f"{n_items:>8,}{1000 * sweep:>10.1f}{1000 * cholesky:>10.1f}{sweep / cholesky:>10.2f}"
            f"{its_error:>10.1e}{other_error:>10.1e}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(child(int(sys.argv[2]), sys.argv[3]))
    else:
        main()
