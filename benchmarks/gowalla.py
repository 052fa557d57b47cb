"""Gowalla, the split that LightGCN and most papers since use: quality, time and memory, in float32.

The protocol is that of the published row: fit on `train.npz`, leave out each user's own items, rank
all others; Recall@20 = hits / |test items|, NDCG@20 with the ideal cut at min(20, |test items|),
mean over users with test items. Each fit runs in a child process of its own.

- EASE: lambda 80, beside the published row of the BARS benchmark, whose lambda was chosen on the
  test part.
- variants: the best of a few settings on a part that was cut from train. `--validate` prints that
  choice: fits without a tenth of each user's items, NDCG@20 of those for 6,000 users.

    python benchmarks/gowalla.py FOLDER [--validate]
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import memory_mib

K = 20
PUBLISHED = "EASE, published      .1765     .1467"
VARIANTS = {"dropout": 0.6, "user_exponent": 0.5}
CANDIDATES = {
    "EASE, lambda 80": {"regularization": 80 / 29_858},
    "lambda 20, item 0": {"regularization": 20 / 29_858, **VARIANTS},
    "lambda 80, item 0": {"regularization": 80 / 29_858, **VARIANTS},
    "lambda 80, -.1": {"regularization": 80 / 29_858, **VARIANTS, "item_exponent": -0.1},
    "lambda 80, -.2": {"regularization": 80 / 29_858, **VARIANTS, "item_exponent": -0.2},
}
REPORTED = ("EASE, lambda 80", "lambda 80, -.1")
VALIDATION_USERS = 6000


def child(folder: str, part: str, name: str) -> None:
    """Fit, rank, print a row."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    from shallow_ae import ShallowAutoEncoder, hold_out_items, ndcg_score

    train, test = (sp.load_npz(Path(folder, f"{name}.npz")) for name in ("train", "test"))
    X, hidden = sp.csr_array(train).astype(np.float32), sp.csr_array(test)
    users = np.arange(X.shape[0])
    if part == "validation":
        X, hidden = hold_out_items(X, 0.1, random_state=0)
        users = np.sort(np.random.default_rng(1).permutation(users)[:VALIDATION_USERS])
    model = ShallowAutoEncoder(solver="exact", **CANDIDATES[name])
    start = time.perf_counter()
    model.fit(X)
    fit = time.perf_counter() - start
    start = time.perf_counter()
    items = model.recommend(X[users], k=K)
    rank = time.perf_counter() - start
    peak = memory_mib() / 2**10
    hidden = hidden[users]
    print(
        f"{name:<18}{recall(hidden, items):>8.4f}{ndcg_score(hidden, items, k=K):>10.4f}"
        f"{fit:>8.0f}{rank:>8.0f}{peak:>8.2f}{model.residual_:>10.0e}"
    )


def recall(hidden: sp.csr_array, items: np.ndarray) -> float:
    """Return the mean of hits / |test items| over users with test items."""
    n_users, n_items = hidden.shape
    found = items.ravel() >= 0
    places = (np.repeat(np.arange(n_users), K)[found], items.ravel()[found])
    offered = sp.csr_array((np.ones(len(places[0])), places), shape=(n_users, n_items))
    n_hidden = np.diff(hidden.indptr)
    hits = (offered * (hidden != 0)).sum(axis=1)
    return float((hits[n_hidden > 0] / n_hidden[n_hidden > 0]).mean())


def main() -> None:
    """Print a row for each setting."""
    validates = sys.argv[2:] == ["--validate"]
    print(f"{os.cpu_count()} cores")
    print(f"{'':<17}Recall@20   NDCG@20   fit s  rank s     GiB  residual")
    if not validates:
        print(PUBLISHED)
    for name in CANDIDATES if validates else REPORTED:
        part = "validation" if validates else "test"
        command = [sys.executable, __file__, sys.argv[1], "child", part, name]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[2:3] == ["child"]:
        child(sys.argv[1], *sys.argv[3:])
    else:
        main()
