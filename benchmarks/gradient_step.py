"""Time of a gradient step, compared with the notebook's step and with one pass over the weights.

The notebook's step uses dense batches. It computes the loss, the gradient, the update and the
diagonal one after the other, each by a jitted function. The step of this library is `DescentLoop`,
as `fit` runs it. Both take the same steps from the same start on the same batches of 1,024 users
with 50 items each, in float32. Each runs in a separate child process with all cores. The figures
are the least time for each step of two rounds.

- floor: reading and writing n_items^2 float32 once, by as many threads, at the best rate seen.
- error: largest difference of the weights after five steps, in units of the largest weight.

A second table has a step with dense and with sparse batches by the density of their rows.

    python benchmarks/gradient_step.py [n_items ...]
    python benchmarks/gradient_step.py densities
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from shallow_ae._runtime.threads import n_threads
from shallow_ae._solvers.gradient_descent.fit import weights_of_descent
from shallow_ae._solvers.gradient_descent.loop import DescentLoop
from shallow_ae._solvers.gradient_descent.minibatches import MinibatchStream
from shallow_ae._solvers.gradient_descent.sizes import batch_bytes, steps_at_once
from shallow_ae._solvers.gradient_descent.step import random_start

SIZES = (2048, 4096, 8192, 16384)
N_USERS, BATCH, ITEMS_PER_USER = 4096, 1024, 50
REGULARIZATION, LEARNING_RATE = 0.02, 1e-3
SAFE_LEARNING_RATE = 1e-6  # for dense rows, too
DENSITIES, DENSE_SIZES = (0.05, 0.1, 0.15, 0.2, 0.3), (2048, 4096)
CHECKED_STEPS = 5
ROUNDS = 2


def listens(n_items: int, items_per_user: int) -> sp.csr_array:
    """Return log-weighted counts of distinct items, uniformly drawn for each user."""
    rng = np.random.default_rng(0)
    items = [np.sort(rng.choice(n_items, items_per_user, replace=False)) for _ in range(N_USERS)]
    data = 1 + np.log1p(rng.integers(1, 300, size=N_USERS * items_per_user))
    indptr = np.arange(N_USERS + 1) * items_per_user
    shape = (N_USERS, n_items)
    return sp.csr_array((data.astype(np.float32), np.concatenate(items), indptr), shape=shape)


def batches(seed: int = 0):
    """Yield the users of each batch."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.integers(N_USERS, size=BATCH)


def start(X: sp.csr_array) -> np.ndarray:
    """Return the weights that both forms start from."""
    return random_start(np.ones(X.shape[1]), 1e-3, X.dtype, np.random.default_rng(0))


def notebook(n_items: int) -> tuple[float, np.ndarray]:
    """Return the seconds of the notebook's step, and its weights after some."""
    X = listens(n_items, ITEMS_PER_USER)

    @jax.jit
    def loss(P, x):
        return jnp.square(x - x @ P).sum(axis=1).mean() + REGULARIZATION * jnp.square(P).sum()

    gradient = jax.jit(jax.grad(loss))

    @jax.jit
    def update(P, direction):
        return P - LEARNING_RATE * direction

    @jax.jit
    def without_diagonal(P):
        return jnp.fill_diagonal(P, 0, inplace=False)

    P = jnp.asarray(start(X))
    seconds = []
    for users, _ in zip(batches(), range(CHECKED_STEPS), strict=False):
        began = time.perf_counter()
        x = jnp.asarray(X[users].toarray())
        float(loss(P, x))
        P = without_diagonal(update(P, gradient(P, x))).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:]), np.asarray(P)


def descent(P: np.ndarray, X: sp.csr_array, n_steps: int, layout: str, rate: float) -> float:
    """Return the seconds that a step of ours takes on average."""
    weights = weights_of_descent(X.shape[1], X.dtype, 0.0)
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
    rates = np.full(n_steps, rate)
    at_once = steps_at_once(batch_bytes(X, BATCH, layout))
    steps = DescentLoop(stream, rates, weights, at_once=at_once, pauses=[])
    began = time.perf_counter()
    steps.run(P, lambda: False)
    return (time.perf_counter() - began) / n_steps


def ours(n_items: int) -> tuple[float, np.ndarray]:
    """Return the seconds of our step, and our weights after some."""
    X = listens(n_items, ITEMS_PER_USER)
    P = start(X)
    descent(P, X, CHECKED_STEPS, "sparse", LEARNING_RATE)
    return min(descent(P.copy(), X, 48, "sparse", LEARNING_RATE) for _ in range(2)), P


def floor(n_items: int) -> tuple[float, np.ndarray]:
    """Return the seconds of one pass over the weights, in place."""
    P = np.ones((n_items, n_items), np.float32)
    parts = np.array_split(P, n_threads())
    seconds = []
    with ThreadPoolExecutor(n_threads()) as threads:
        for _ in range(10):
            began = time.perf_counter()
            list(threads.map(np.negative, parts, parts))
            seconds.append(time.perf_counter() - began)
    return min(seconds), np.empty(0)


def layout(n_items: int, name: str, density: float) -> float:
    """Return the seconds of our step with batches of one layout."""
    X = listens(n_items, int(n_items * density))
    P = start(X)
    return min(descent(P, X, 8, name, SAFE_LEARNING_RATE) for _ in range(2))


def in_child(*arguments: str) -> float:
    """Return the seconds that a child process of this program prints."""
    command = [sys.executable, __file__, *arguments]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(child.stdout)


def main() -> None:
    """Print the tables that the command line asks for."""
    if sys.argv[1:] != ["densities"]:
        compare_forms([int(argument) for argument in sys.argv[1:]] or SIZES)
    if sys.argv[1:] in ([], ["densities"]):
        compare_layouts()


def compare_layouts() -> None:
    """Print a row for each number of items and density."""
    print(f"\n{BATCH} users a step by the density of their rows; ms a step")
    print(f"{'items':>8}{'density':>10}{'sparse':>8}{'dense':>8}")
    for n_items, density in product(DENSE_SIZES, DENSITIES):
        seconds = [in_child(name, str(n_items), str(density)) for name in ("sparse", "dense")]
        print(f"{n_items:>8,}{density:>10.2f}" + "".join(f"{1000 * s:>8.0f}" for s in seconds))


def compare_forms(sizes: Sequence[int]) -> None:
    """Print a row for each number of items."""
    print(f"{BATCH} users of {ITEMS_PER_USER} items a step, {n_threads()} threads; ms a step")
    print(
        f"{'items':>8}{'notebook':>10}{'ours':>8}{'ratio':>8}{'floor':>8}{'ours/floor':>12}{'error':>10}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for n_items in sizes:
            best = dict.fromkeys(("notebook", "ours", "floor"), np.inf)
            for _ in range(ROUNDS):
                for form in best:
                    best[form] = min(best[form], in_child(form, str(n_items), folder))
            weights = [np.load(Path(folder, f"{form}.npy")) for form in ("notebook", "ours")]
            error = np.abs(weights[0] - weights[1]).max() / np.abs(weights[0]).max()
            slow, fast, least = (1000 * seconds for seconds in best.values())
            print(
                f"{n_items:>8,}{slow:>10.1f}{fast:>8.1f}{slow / fast:>8.1f}{least:>8.1f}"
                f"{fast / least:>12.1f}{error:>10.1e}",
                flush=True,
            )


def child(form: str, n_items: str, folder: str) -> None:
    """Print the seconds of a form's step and leave its weights in a folder."""
    if form in ("sparse", "dense"):
        print(layout(int(n_items), form, float(folder)))
        return
    seconds, weights = {"notebook": notebook, "ours": ours, "floor": floor}[form](int(n_items))
    np.save(Path(folder, f"{form}.npy"), weights)
    print(seconds)


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].isdigit():
        child(*sys.argv[1:])
    else:
        main()
