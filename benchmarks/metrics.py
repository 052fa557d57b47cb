"""Time of NDCG@100 for 30,000 users, compared with the notebook's function and ranx.

Each user has 100 recommended items of 40,000, and 1 to 40 hidden items. Each function runs in a
separate child process on one thread. `shallow_ae` is measured with item indices and with dicts of
ids, and the other functions with dicts of ids. The data are in memory and compiled functions have
run before the time is measured. The figures are the least time of three. ranx first builds its own
objects, from dicts of dicts or from frames. Another row has its time without building them. "apart"
is the difference from the value of `shallow_ae` by the same definition: the notebook does not cut
the ideal list.

    python benchmarks/metrics.py [--peers FOLDER]
"""

import argparse
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import environment

N_USERS, N_ITEMS, K = 30_000, 40_000, 100
ROUNDS = 3


def notebook_ndcg(recommended: dict, truth: dict) -> float:
    """Return NDCG as the notebook has it."""
    total, n_users = 0.0, 0
    for user, items in truth.items():
        if not items or not recommended.get(user):
            continue
        dcg, idcg = 0.0, 0.0
        for rank, item in enumerate(recommended[user]):
            if item in items:
                dcg += 1 / math.log2(rank + 2)
        for rank in range(len(items)):
            idcg += 1 / math.log2(rank + 2)
        total += dcg / idcg
        n_users += 1
    return total / n_users


def notebook(data: dict):
    """Take the notebook's function."""
    return [("notebook", lambda: notebook_ndcg(data["recommended"], data["truth"]))]


def ours(data: dict):
    """Take each form of the same lists, by both definitions."""
    from shallow_ae import ndcg_score

    forms = {
        "indices": (data["matrix"], data["items"]),
        "ids": (data["truth"], data["recommended"]),
    }
    return [
        (f"shallow_ae, {form}, {ideal}", lambda y=y, ideal=ideal: ndcg_score(*y, k=K, ideal=ideal))
        for form, y in forms.items()
        for ideal in ("full", "cutoff")
    ]


def ranx(data: dict):
    """Build ranx's objects from dicts and from frames, and evaluate."""
    import pandas as pd
    from ranx import Qrels, Run, evaluate

    qrels = {user: dict.fromkeys(items, 1) for user, items in data["truth"].items()}
    run = {
        user: {item: float(K - rank) for rank, item in enumerate(items)}
        for user, items in data["recommended"].items()
    }
    columns = ["q_id", "doc_id", "score"]
    frames = [
        pd.DataFrame(
            [(u, i, s) for u, own in both.items() for i, s in own.items()], columns=columns
        )
        for both in (qrels, run)
    ]
    for frame in frames:
        frame[columns[:2]] = frame[columns[:2]].astype(object)
    objects = Qrels(qrels), Run(run)
    return [
        ("ranx, from dicts", lambda: evaluate(Qrels(qrels), Run(run), f"ndcg@{K}")),
        (
            "ranx, from frames",
            lambda: evaluate(Qrels.from_df(frames[0]), Run.from_df(frames[1]), f"ndcg@{K}"),
        ),
        ("ranx, objects there", lambda: evaluate(*objects, f"ndcg@{K}")),
    ]


def make_data() -> dict:
    """Return lists of item indices and ids, and what is to be found."""
    rng = np.random.default_rng(0)
    items = np.array([rng.choice(N_ITEMS, K, replace=False) for _ in range(N_USERS)])
    rows = []
    for listed in items:
        n = rng.integers(1, 41)
        found = rng.choice(listed, rng.binomial(n, 0.3), replace=False)
        others = rng.choice(N_ITEMS, n, replace=False)
        rows.append(np.unique(np.concatenate([found, others])[:n]))
    starts = np.cumsum([0, *map(len, rows)])
    matrix = sp.csr_array((np.ones(starts[-1]), np.concatenate(rows), starts), (N_USERS, N_ITEMS))
    users = [f"user_{u}" for u in range(N_USERS)]
    names = [f"song_{i}" for i in range(N_ITEMS)]
    return {
        "items": items,
        "matrix": matrix,
        "recommended": {u: [names[i] for i in own] for u, own in zip(users, items, strict=True)},
        "truth": {u: [names[i] for i in own] for u, own in zip(users, rows, strict=True)},
    }


def child(which: str, path: str) -> None:
    """Print seconds and value of each form."""
    data = pickle.loads(Path(path).read_bytes())
    for name, call in {"notebook": notebook, "shallow_ae": ours, "ranx": ranx}[which](data):
        call()
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            value = call()
            seconds.append(time.perf_counter() - start)
        print(f"RESULT|{name}|{min(seconds)}|{value!s}")


def measured(python: str, which: str, path: str) -> dict[str, tuple[float, float]]:
    """Return seconds and value of each form, from a child process."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [python, __file__, "child", which, path]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **one}
    )
    lines = [line.split("|")[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return {name: (float(seconds), float(value)) for name, seconds, value in lines}


def main() -> None:
    """Print a row for each form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="FOLDER", type=Path, default=Path("build", "peers"))
    arguments = parser.parse_args()
    peer = environment(arguments.peers, "ranx")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.pkl")
        path.write_bytes(pickle.dumps(make_data()))
        rows = measured(sys.executable, "notebook", str(path))
        rows |= measured(sys.executable, "shallow_ae", str(path))
        rows |= measured(peer, "ranx", str(path)) if peer else {}
    print(f"\n{'':<32}{'seconds':>10}{'over indices':>14}{'NDCG@100':>10}{'apart':>10}")
    for name, (seconds, value) in rows.items():
        ideal = "full" if name == "notebook" or name.endswith("full") else "cutoff"
        fastest, reference = rows[f"shallow_ae, indices, {ideal}"]
        print(
            f"{name:<32}{seconds:>10.4f}{seconds / fastest:>14.1f}{value:>10.6f}"
            f"{abs(value - reference):>10.0e}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
