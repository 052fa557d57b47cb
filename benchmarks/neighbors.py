"""Quality, time and memory by `n_neighbors` and by the number of items.

- by neighbors: MovieLens-1M (lambda 300) and Gowalla (lambda 80), EASE's objective; NDCG@20 on the
  test part as in gowalla.py, seconds of the fit, GiB that it adds to the process. On MovieLens-1M
  beside it the exact solution, and its largest weights by `sparsify`.
- by items: the most popular 2,500 to 20,000 items of Gowalla; all pairs beside 100 neighbors.
- by rule: the same 25 and 100 neighbors by |G_ij| / A_ii ** e for other e than 1/2.

Each fit runs in a child process of its own, after a small one that compiles. `--plot` draws the
first.

    python benchmarks/neighbors.py --ml-1m FOLDER --gowalla FOLDER [--plot FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import forget_peak, memory_mib

K = 20
NEIGHBORS = (10, 25, 50, 100, 200, 400)
POPULAR = (2_500, 5_000, 10_000, 20_000)
PENALTIES = {"ml-1m": 300, "gowalla": 80}


def child(task: dict) -> None:
    """Fit as asked and print the figures."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder, ndcg_score
    from shallow_ae._solvers.neighborhood import fit as neighborhood_fit

    X, hidden = (
        sp.csr_array(sp.load_npz(Path(task["folder"], f"{part}.npz"))).astype(np.float32)
        for part in ("train", "test")
    )
    if "popular" in task:
        chosen = np.sort(np.argsort(-np.diff(X.tocsc().indptr), kind="stable")[: task["popular"]])
        X, hidden = (sp.csr_array(part.tocsc()[:, chosen]) for part in (X, hidden))
    regularization = PENALTIES[task["data"]] / X.shape[0]
    if task["form"] == "exact":
        model = ShallowAutoEncoder(regularization, solver="exact")
    else:
        model = SparseShallowAutoEncoder(regularization, n_neighbors=task["n_neighbors"])
    if "exponent" in task:
        systems = neighborhood_fit._systems

        def by_another_rule(*arguments):
            built = systems(*arguments)
            nearness = built.ranking.diagonal ** -np.float32(task["exponent"])
            return built._replace(ranking=built.ranking._replace(nearness=nearness))

        neighborhood_fit._systems = by_another_rule
    model.fit(X[:100, :500]).recommend(X[:100, :500], k=K)
    forget_peak()
    before = memory_mib("VmRSS")
    start = time.perf_counter()
    model.fit(X)
    figures = {"fit": time.perf_counter() - start, "gib": (memory_mib() - before) / 2**10}
    figures["ndcg"] = ndcg_score(hidden, model.recommend(X, k=K), k=K)
    if task["form"] == "exact" and "popular" not in task:
        for n in NEIGHBORS:
            pruned = model.sparsify(n)
            figures[f"pruned {n}"] = ndcg_score(hidden, pruned.recommend(X, k=K), k=K)
            figures[f"loss {n}"] = pruned.loss_curve_[1] / pruned.loss_curve_[0] - 1
    figures["loss"] = model.loss_curve_[0]
    print(json.dumps(figures))


def run(folder: str, data: str, form: str, **more) -> dict:
    """Return the figures of one fit."""
    task = json.dumps({"folder": folder, "data": data, "form": form, **more})
    command = [sys.executable, __file__, "--child", task]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def by_neighbors(folder: str, data: str) -> list[dict]:
    """Print a table by the number of neighbors and return its rows."""
    exact = run(folder, data, "exact") if data == "ml-1m" else None
    print(f"\n{data}, lambda {PENALTIES[data]}")
    print("   neighbors   NDCG@20     fit s       GiB      loss    largest of exact: NDCG@20, loss")
    rows = []
    for n in NEIGHBORS:
        row = run(folder, data, "nearest", n_neighbors=n)
        rows.append({"n_neighbors": n, **row})
        line = f"{n:>12}{row['ndcg']:>10.4f}{row['fit']:>10.2f}{row['gib']:>10.2f}"
        if exact:
            line += f"{row['loss'] / exact['loss'] - 1:>+10.1%}{exact[f'pruned {n}']:>28.4f}"
            line += f"{exact[f'loss {n}']:>+10.1%}"
        print(line, flush=True)
    if exact:
        print(f"{'all, exact':>12}{exact['ndcg']:>10.4f}{exact['fit']:>10.2f}{exact['gib']:>10.2f}")
    return rows


def by_items(folder: str) -> None:
    """Print a table by the number of items."""
    print("\ngowalla, the most popular items: NDCG@20, fit s, GiB")
    print(f"{'items':>12}{'exact':>30}{'100 nearest':>30}")
    for n in POPULAR:
        line = f"{n:>12,}"
        for form in ("exact", "nearest"):
            row = run(folder, "gowalla", form, n_neighbors=100, popular=n)
            line += f"{row['ndcg']:>10.4f}{row['fit']:>10.2f}{row['gib']:>10.2f}"
        print(line, flush=True)


def by_rule(folder: str, data: str) -> None:
    """Print a table by the exponent of the rule."""
    print(f"\n{data}, NDCG@20 by the exponent e of |G_ij| / A_ii ** e")
    exponents = (0.0, 0.25, 0.5, 0.75, 1.0)
    print(f"{'neighbors':>12}" + "".join(f"{e:>10}" for e in exponents))
    for n in (25, 100):
        found = [run(folder, data, "nearest", n_neighbors=n, exponent=e) for e in exponents]
        print(f"{n:>12}" + "".join(f"{row['ndcg']:>10.4f}" for row in found), flush=True)


def draw(rows: dict[str, list[dict]], file: str) -> None:
    """Draw quality, time and memory by the number of neighbors."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "shallow_ae"
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    names = {"ndcg": "NDCG@20", "fit": "fit, s", "gib": "GiB added"}
    for ax, (name, label) in zip(axes, names.items(), strict=True):
        for data, of_data in rows.items():
            ax.plot(NEIGHBORS, [row[name] for row in of_data], "o-", label=data)
        ax.set(xscale="log", xlabel="n_neighbors", ylabel=label)
        if name != "ndcg":
            ax.set_yscale("log")
        ax.set_xticks(NEIGHBORS, [str(n) for n in NEIGHBORS], minor=False)
        ax.minorticks_off()
        ax.legend()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ml-1m", metavar="FOLDER")
    parser.add_argument("--gowalla", metavar="FOLDER")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    print(f"{os.cpu_count()} cores")
    folders = {"ml-1m": arguments.ml_1m, "gowalla": arguments.gowalla}
    folders = {data: folder for data, folder in folders.items() if folder}
    rows = {data: by_neighbors(folder, data) for data, folder in folders.items()}
    if arguments.plot:
        draw(rows, arguments.plot)
    if "gowalla" in folders:
        by_items(folders["gowalla"])
    for data, folder in folders.items():
        by_rule(folder, data)


if __name__ == "__main__":
    main()
