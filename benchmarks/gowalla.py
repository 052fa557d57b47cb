"""Quality, time and memory on Gowalla, in float32, with the split of LightGCN and later papers.

The protocol is the same as for the published rows. A model is fitted to `train.npz` and ranks all
items that a user does not have. Recall@20 is hits / |test items|. The ideal list of NDCG@20 has
min(20, |test items|) places. Both are means over users with test items. Each fit runs in a separate
child process, after a small fit that compiles.

- all pairs: `ShallowAutoEncoder(solver="exact")` with EASE's objective, beside the published row of
  the BARS benchmark, whose lambda was chosen on the test part, and with variants.
- nearest: `SparseShallowAutoEncoder`, with both.
- low rank: `LowRankAutoEncoder` as it comes, and with the settings of GF-CF's low-pass filter.
- sum: `BlendedRecommender` of a nearest and a low-rank model.
- SANSA, a sparse approximate inverse, where it is there or installs (it needs SuiteSparse's
  headers), at two densities and three penalties; the best of these is compared.

The variants of the rows "tuned on test" were chosen as those of the published rows were. "tuned
on train" are the best of a few settings on a part that was cut from train: `--validate` prints that
choice (fits without a tenth of each user's items, NDCG@20 of those for 6,000 users).
`--search` prints what 20 weights of the sum cost with `BlendedRecommenderCV`, beside one fit of it.

    python benchmarks/gowalla.py FOLDER [--validate | --search] [--peers FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from processes import environment, memory_mib

K = 20
N_USERS = 29_858
PUBLISHED = """EASE, published                .1765     .1467
BSPM, published                .1920     .1597
RLAE + DAN, published          .1922     .1605
ChebyCF, published             .1941     .1616
NESCL, published               .1917     .1617"""


def all_pairs(penalty: float, **variants: float) -> Any:
    """Return the exact solution with an unscaled lambda."""
    from shallow_ae import ShallowAutoEncoder

    return ShallowAutoEncoder(penalty / N_USERS, solver="exact", **variants)


def nearest(penalty: float, n_neighbors: int, **variants: float) -> Any:
    """Return the solution on the nearest items with an unscaled lambda."""
    from shallow_ae import SparseShallowAutoEncoder

    return SparseShallowAutoEncoder(penalty / N_USERS, n_neighbors=n_neighbors, **variants)


def low_rank(**parameters: float) -> Any:
    """Return a low-rank model."""
    from shallow_ae import LowRankAutoEncoder

    return LowRankAutoEncoder(random_state=0, **parameters)


def blend(near: Any, tastes: Any, weight: float) -> Any:
    """Return the sum of a nearest model and a weighted low-rank model."""
    from shallow_ae import BlendedRecommender

    return BlendedRecommender([("near", near), ("tastes", tastes)], weights=[1.0, weight])


DENOISED = {"dropout": 0.6, "user_exponent": 0.5}
NEAR = {"n_neighbors": 200, "dropout": 0.7, "user_exponent": 0.5, "item_exponent": 0.2}
CUT = {"regularization": 0.0, "item_normalization": 0.5, "item_exponent": 0.5}
SOFT = {
    "regularization": 0.02,
    "item_normalization": 0.5,
    "user_exponent": 0.8,
    "item_exponent": 0.5,
}
SETTINGS: dict[str, Callable[[], Any]] = {
    "all pairs, EASE": lambda: all_pairs(80),
    "all pairs, lambda 20, item 0": lambda: all_pairs(20, **DENOISED),
    "all pairs, lambda 80, item 0": lambda: all_pairs(80, **DENOISED),
    "all pairs, tuned on train": lambda: all_pairs(80, **DENOISED, item_exponent=-0.1),
    "all pairs, as tuned for 100": lambda: all_pairs(80, **DENOISED, item_exponent=0.2),
    "all pairs, lambda 80, -.2": lambda: all_pairs(80, **DENOISED, item_exponent=-0.2),
    "100 nearest, EASE": lambda: nearest(80, 100),
    "100 nearest, tuned on train": lambda: nearest(20, 100, **DENOISED),
    "100 nearest, lambda 80, item 0": lambda: nearest(80, 100, **DENOISED),
    "100 nearest, lambda 20, .2": lambda: nearest(20, 100, **DENOISED, item_exponent=0.2),
    "100 nearest, tuned on test": lambda: nearest(80, 100, **DENOISED, item_exponent=0.2),
    "200 nearest, tuned on test": lambda: nearest(80, **NEAR),
    "low rank, default": lambda: low_rank(),
    "low rank, GF-CF's filter": lambda: low_rank(**CUT),
    "sum, tuned on train": lambda: blend(nearest(20, 100, **DENOISED), low_rank(**SOFT), 0.2),
    "sum, tuned on test": lambda: blend(nearest(80, **NEAR), low_rank(**SOFT), 0.6),
}
# Candidates for the sum: its parts, and the weights of the low-rank part.
SUMS: dict[str, Callable[[], Any]] = {
    f"sum with {cut}": lambda of=of: blend(nearest(20, 100, **DENOISED), low_rank(**of), 1.0)
    for cut, of in {"a hard cut": CUT, "a soft cut": SOFT, "the default": {}}.items()
}
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
REPORTED = [name for name in SETTINGS if not ("lambda" in name or "-.2" in name)]
VALIDATION_USERS = 6000
SANSA = [(l2, density) for density in (0.0005, 0.002) for l2 in (1.0, 5.0, 20.0)]


def load(folder: str, name: str) -> sp.csr_array:
    """Return a part of the data."""
    return sp.csr_array(sp.load_npz(Path(folder, f"{name}.npz"))).astype(np.float32)


def ours(folder: str, part: str, name: str) -> None:
    """Fit, rank, print a row, or a row for each weight of a sum."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    from shallow_ae import hold_out_items

    X, hidden = load(folder, "train"), load(folder, "test")
    users = np.arange(X.shape[0])
    if part == "validation":
        X, hidden = hold_out_items(X, 0.1, random_state=0)
        users = np.sort(np.random.default_rng(1).permutation(users)[:VALIDATION_USERS])
    model = {**SETTINGS, **SUMS}[name]()
    model.fit(X[:100, :500]).recommend(X[:100, :500], k=K)
    start = time.perf_counter()
    model.fit(X)
    fit = time.perf_counter() - start
    for weight in WEIGHTS if name in SUMS else [None]:
        if weight is not None:
            model.set_params(weights=[1.0, weight])
        start = time.perf_counter()
        items = model.recommend(X[users], k=K)
        rank = time.perf_counter() - start
        title = name if weight is None else f"{name}, {weight}"
        figures = f"{fit:>8.1f}{rank:>8.1f}{memory_mib() / 2**10:>8.2f}"
        report(title, hidden[users], items, figures)


def search(folder: str) -> None:
    """Print the times of one fit of the sum, and of a choice among 20 weights by folds of users."""
    from shallow_ae import BlendedRecommenderCV, make_ranking_scorer

    X, model = load(folder, "train"), SETTINGS["sum, tuned on test"]()
    model.fit(X[:100, :500])
    start = time.perf_counter()
    model.fit(X)
    once = time.perf_counter() - start
    weights = [[1.0, 0.1 * step] for step in range(20)]
    chosen = BlendedRecommenderCV(
        model.estimators, weights=weights, cv=5, scoring=make_ranking_scorer(k=K)
    )
    start = time.perf_counter()
    chosen.fit(X)
    whole = time.perf_counter() - start
    results = chosen.cv_results_
    fits = 5 * float(results["mean_fit_time"][0])
    scores = 5 * float(results["mean_score_time"].sum())
    print(f"one fit of the parts: {once:.1f} s")
    print(f"the search: {whole:.1f} s, of which {fits:.1f} s are five fits of the parts on folds,")
    print(f"  {scores:.1f} s scores of all folds for 20 weights, and the rest the final fit")
    print(f"chosen: {chosen.best_params_['weights']}, mean NDCG@{K} {chosen.best_score_:.4f}")
    for step in (0, 5, 10, 19):
        print(f"  weights {weights[step]}: {results['mean_test_score'][step]:.4f}")


def sansa(folder: str, weights: str, l2: str, density: str) -> None:
    """Fit SANSA by its incomplete factorization, leave its weights, print seconds and GiB."""
    import sansa as peer

    train = sp.csr_matrix(load(folder, "train"))

    def fitted(X):
        settings = peer.SANSAConfig(
            l2=float(l2),
            weight_matrix_density=float(density),
            gramian_factorizer_config=peer.ICFGramianFactorizerConfig(),
            lower_triangle_inverter_config=peer.UMRUnitLowerTriangleInverterConfig(
                scans=1, finetune_steps=5
            ),
        )
        return peer.SANSA(settings).fit(X)

    fitted(train[:1000, :500])
    start = time.perf_counter()
    model = fitted(train)
    print(time.perf_counter() - start, memory_mib() / 2**10)
    for place, factor in enumerate(model.weights):
        sp.save_npz(Path(weights, f"{place}.npz"), factor)


def report(name: str, hidden: sp.csr_array, items: np.ndarray, figures: str) -> None:
    """Print a row."""
    from shallow_ae.metrics import ndcg_score, recall_score

    quality = recall_score(hidden, items, k=K), ndcg_score(hidden, items, k=K)
    print(f"{name:<28}{quality[0]:>8.4f}{quality[1]:>10.4f}{figures}", flush=True)


def compare_sansa(folder: str, peers: Path) -> None:
    """Print a row for each setting of SANSA, ranked by products of its factors."""
    python = environment(peers, "sansa", "scikit-sparse<0.5")
    if not python:
        return
    X, hidden = load(folder, "train"), load(folder, "test")
    for l2, density in SANSA:
        with tempfile.TemporaryDirectory() as weights:
            command = [python, __file__, folder, "--sansa", weights, str(l2), str(density)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            first, second = (sp.load_npz(Path(weights, f"{place}.npz")) for place in (0, 1))
        items = []
        for start in range(0, X.shape[0], 1024):
            rows = X[start : start + 1024]
            scores = (rows @ first @ second).toarray()
            scores[rows.nonzero()] = -np.inf
            best = np.argpartition(-scores, K, axis=1)[:, :K]
            order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
            items.append(np.take_along_axis(best, order, axis=1))
        fit, gib = map(float, done.stdout.split()[-2:])
        figures = f"{fit:>8.1f}{'':>8}{gib:>8.2f}"
        report(f"SANSA, l2 {l2:g}, {density:g}", hidden, np.concatenate(items), figures)


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--peers", metavar="FOLDER", type=Path, default=Path("build", "peers"))
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--sansa", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        ours(arguments.folder, *arguments.ours)
        return
    if arguments.sansa:
        sansa(arguments.folder, *arguments.sansa)
        return
    print(f"{os.cpu_count()} cores")
    if arguments.search:
        search(arguments.folder)
        return
    print(f"{'':<27}Recall@20   NDCG@20   fit s  rank s     GiB")
    if not arguments.validate:
        print(PUBLISHED, flush=True)
    for name in [*SETTINGS, *SUMS] if arguments.validate else REPORTED:
        part = "validation" if arguments.validate else "test"
        command = [sys.executable, __file__, arguments.folder, "--ours", part, name]
        subprocess.run(command, check=True)
    if not arguments.validate:
        compare_sansa(arguments.folder, arguments.peers)


if __name__ == "__main__":
    main()
