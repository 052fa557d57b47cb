"""Time and memory of a fit and of ranking 10,000 users, for 62,500 to a million items.

The listens are made up, with as many users as items and 20 distinct items for each user. There is a
taste for every thousand items. Seven in ten items of a user are from one taste that the user shares
with others, and the other items are from the whole catalogue. In both, the popularity of the item
of rank r is proportional to 1 / (r + 10). Float32, 100 neighbors, lambda 20. Each size
runs in a child process of its own, after a small fit that compiles. "growth" is the exponent of
time from the size before; peak and plan are of the process beside the listens and Python.

The last rows are `LowRankAutoEncoder` on the largest catalogue, with 64 and 256 components: there,
"weights" are the numbers in the item vectors.

`--plot` draws time and memory by size, `--sizes` takes others.

    python benchmarks/catalogue_growth.py [--sizes N ...] [--plot FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import scipy.sparse as sp
from processes import forget_peak, memory_mib
from sklearn.base import clone

SIZES = (62_500, 125_000, 250_000, 500_000, 1_000_000)
ITEMS_PER_USER = 20
ITEMS_PER_TASTE = 1000
OF_TASTE = 0.7
N_NEIGHBORS = 100
PENALTY = 20.0
COMPONENTS = (64, 256)
ASKED = 10_000
K = 20


def make_listens(n: int) -> sp.csr_array:
    """Return n users x n items, zeros and ones."""
    rng = np.random.default_rng(0)
    n_tastes = n // ITEMS_PER_TASTE
    taste_of_rank = rng.integers(n_tastes, size=n)
    ranks = np.argsort(taste_of_rank, kind="stable")  # by taste, and by popularity within it
    starts = np.concatenate([[0], np.cumsum(np.bincount(taste_of_rank, minlength=n_tastes))])
    by_taste = np.concatenate([[0], np.cumsum(1 / (ranks + 10.0))])
    by_rank = np.cumsum(1 / (np.arange(n) + 10.0))
    taste = rng.integers(n_tastes, size=n)
    drawn = []  # more than enough, for the distinct ones among them
    for _ in range(2 * ITEMS_PER_USER):
        low, high = by_taste[starts[taste]], by_taste[starts[taste + 1]]
        at = np.searchsorted(by_taste, low + rng.random(n) * (high - low), side="right") - 1
        anywhere = np.searchsorted(by_rank, rng.random(n) * by_rank[-1])
        drawn.append(np.where(rng.random(n) < OF_TASTE, ranks[np.minimum(at, n - 1)], anywhere))
    table = np.minimum(np.stack(drawn, axis=1), n - 1)
    users = np.arange(n)[:, None]
    order = np.argsort(table, axis=1, kind="stable")
    sorted_ = np.take_along_axis(table, order, axis=1)
    is_first = np.ones(table.shape, bool)
    is_first[users, order] = np.diff(sorted_, axis=1, prepend=-1) > 0
    kept = is_first & (np.cumsum(is_first, axis=1) <= ITEMS_PER_USER)
    items = rng.permutation(n)[table[kept]]
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    X = sp.csr_array(
        (np.ones(len(items), np.float32), items.astype(np.int32), indptr), shape=(n, n)
    )
    X.sort_indices()
    return X


def child(n: int, n_components: int) -> None:
    """Print the figures of one size, of a low-rank model if there are components."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    from shallow_ae import LowRankAutoEncoder, SparseShallowAutoEncoder

    model: Any
    if n_components:
        model = LowRankAutoEncoder(n_components, random_state=0)
    else:
        model = SparseShallowAutoEncoder(PENALTY / n, n_neighbors=N_NEIGHBORS)
    warm = make_listens(2 * ITEMS_PER_TASTE)
    clone(model).set_params(regularization=0.1).fit(warm).recommend(warm, k=K)
    X = make_listens(n)
    plan = model.plan(X)
    forget_peak()
    before = memory_mib("VmRSS")
    start = time.perf_counter()
    model.fit(X)
    fit = time.perf_counter() - start
    peak = memory_mib()
    users = np.sort(np.random.default_rng(1).permutation(n)[:ASKED])
    rows = X[users]
    start = time.perf_counter()
    model.recommend(rows, k=K)
    rank = time.perf_counter() - start
    figures = {
        "items": n,
        "entries": X.nnz,
        "fit": fit,
        "planned": plan.seconds,
        "peak": (peak - before) / 2**10,
        "plan": plan.bytes / 2**30,
        "process": memory_mib() / 2**10,
        "weights": model.item_vectors_.size if n_components else model.item_weights_.nnz,
        "users": ASKED / rank,
        "model": f"low rank, {n_components}" if n_components else f"{N_NEIGHBORS} nearest",
    }
    print(json.dumps(figures))


def draw(rows: list[dict], file: str) -> None:
    """Draw time and memory by the number of items."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter

    mpl.rcParams["svg.hashsalt"] = "shallow_ae"
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    items = [row["items"] for row in rows]
    for ax, name, label in zip(axes, ("fit", "peak"), ("fit, s", "peak, GiB"), strict=True):
        values = [row[name] for row in rows]
        ax.loglog(items, values, "o-", label="measured")
        ax.loglog(items, [values[0] * n / items[0] for n in items], ":", label="as the items")
        ax.set(xlabel="items", ylabel=label)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
            axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        ax.set_xticks(items)
        ax.tick_params("x", rotation=30)
        ax.legend()
    figure.savefig(file, metadata={"Date": None})


def figures_of(n: int, n_components: int) -> dict:
    """Return the figures of one size, from a child process."""
    command = [sys.executable, __file__, "--child", str(n), str(n_components)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(row: dict, growth: str) -> None:
    """Print a row."""
    print(
        f"{row['items']:>12,}{row['entries']:>12,}{row['weights']:>12,}{row['fit']:>12.1f}"
        f"{row['planned']:>12.0f}{growth:>12}{row['peak']:>12.2f}{row['plan']:>12.2f}"
        f"{row['process']:>12.2f}{row['users']:>12,.0f}   {row['model']}",
        flush=True,
    )


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", metavar="N", type=int, nargs="+", default=SIZES)
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    print(f"{os.cpu_count()} cores")
    header = ("items", "entries", "weights", "fit s", "(plan)", "growth", "GiB", "(plan)")
    header += ("process", "users/s", "model")
    print("".join(f"{name:>12}" for name in header))
    rows = []
    for n in arguments.sizes:
        rows.append(row := figures_of(n, 0))
        growth = ""
        if len(rows) > 1:
            before = rows[-2]
            growth = f"{np.log(row['fit'] / before['fit']) / np.log(n / before['items']):.2f}"
        show(row, growth)
    for n_components in COMPONENTS:
        show(figures_of(max(arguments.sizes), n_components), "")
    if len(rows) > 1:
        times = rows[-1]["fit"] / rows[0]["fit"]
        print(f"growth in all: {np.log(times) / np.log(rows[-1]['items'] / rows[0]['items']):.2f}")
    if arguments.plot:
        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
