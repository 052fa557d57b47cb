"""Requests for single users: latency, requests in a second on threads, start time and memory.

Each implementation recommends the 10 best items for the same histories, in a separate process:

- serving: ServingRecommender, from a model file;
- frames: the fitted RecommenderPipeline, asked with a frame of one user;
- implicit: its `CosineRecommender(K=100).recommend` for one row, which takes and returns column
  numbers and has no raw ids.

Models: the 100 nearest neighbors of each item on Gowalla, and the exact weights of all pairs on
MovieLens-1M and on Last.fm (forms "serving" and "frames"), all of zeros and ones. Latency is that
of 2,000 requests of one thread. Start is from the start of the process to the first answer, with
compiled code cached; "cold" compiles it. RSS is what the process has in memory, the mapped file and
the code of libraries included; "own" is the part that it shares with no file (RssAnon). Cores and
threads of BLAS: two.

    python benchmarks/serving.py --gowalla FOLDER --ml-1m FOLDER --lastfm FOLDER [--peers FOLDER]
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import environment, memory_mib

K = 10
REQUESTS = 2000
THREADS = (1, 2, 4, 8)
SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serving(folder: Path):
    """Answer from the model file."""
    from shallow_ae import ServingRecommender

    recommender = ServingRecommender.load(folder / "model.safetensors").warm_up()
    return lambda history: recommender.recommend(history, k=K).items


def frames(folder: Path):
    """Answer with frames."""
    import pandas as pd

    recommender = pickle.loads((folder / "model.pkl").read_bytes())

    def answer(history):
        frame = pd.DataFrame({"user": "someone", "item": history})
        return recommender.recommend(frame, k=K)["item"].tolist()

    return answer


def implicit(folder: Path):
    """Answer with implicit's recommender, fitted to the same rows."""
    from implicit.nearest_neighbours import CosineRecommender

    X = sp.csr_matrix(sp.load_npz(folder / "X.npz"))
    model = CosineRecommender(K=100, num_threads=2)
    model.fit(X, show_progress=False)

    def answer(history):
        columns = np.array(history, np.int32)
        ones, ends = np.ones(len(columns)), np.array([0, len(columns)])
        row = sp.csr_matrix((ones, columns, ends), shape=(1, X.shape[1]))
        return model.recommend(0, row, N=K)[0]

    return answer


FORMS = {"serving": serving, "frames": frames, "implicit": implicit}


def child(form: str, folder: Path) -> None:
    """Print what one form takes."""
    answer = FORMS[form](folder)
    histories = json.loads((folder / f"{form}.json").read_text(encoding="utf-8"))
    answer(histories[0])
    started = time.time() - float(os.environ["STARTED"])
    memory = memory_mib("VmRSS"), memory_mib("RssAnon")
    for history in histories[:100]:
        answer(history)
    seconds = []
    for history in histories:
        start = time.perf_counter()
        answer(history)
        seconds.append(time.perf_counter() - start)
    rates = [rate(answer, histories, n) for n in THREADS]
    imported = {"pandas", "sklearn", "jax"} & set(sys.modules)
    print(json.dumps([started, *memory, *np.percentile(seconds, (50, 99)), *rates]))
    print(sorted(imported))


def rate(answer, histories: list, n_threads: int) -> float:
    """Return how many requests a second so many threads answer."""
    start = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as threads:
        parts = [histories[n::n_threads] for n in range(n_threads)]
        list(threads.map(lambda part: [answer(history) for history in part], parts))
    return len(histories) / (time.perf_counter() - start)


def measured(python: str, form: str, folder: Path, cache: str) -> list[float]:
    """Return what `child` prints, of a process with this folder of compiled code."""
    threads = dict.fromkeys(SETTINGS, "2")
    own = {"NUMBA_CACHE_DIR": cache, "STARTED": str(time.time())}
    command = [python, __file__, "child", form, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **threads, **own}
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-2]) + done.stdout.splitlines()[-1:]


def prepare(folder: Path, X: sp.csr_array, model) -> None:
    """Leave a fitted recommender as a file and a pickle, and histories."""
    import pandas as pd

    from shallow_ae import make_recommender, save_model

    users, items = X.nonzero()
    names = np.array([f"item {n}" for n in range(X.shape[1])], object)
    listens = pd.DataFrame({"user": users, "item": names[items]})
    recommender = make_recommender(model).fit(listens)
    save_model(recommender, folder / "model.safetensors")
    (folder / "model.pkl").write_bytes(pickle.dumps(recommender))
    sp.save_npz(folder / "X.npz", X)
    chosen = np.random.default_rng(0).choice(X.shape[0], REQUESTS)
    rows = [X.indices[X.indptr[user] : X.indptr[user + 1]].tolist() for user in chosen]
    named = json.dumps([names[row].tolist() for row in rows])
    for form in FORMS:
        text = json.dumps(rows) if form == "implicit" else named
        (folder / f"{form}.json").write_text(text, encoding="utf-8")


def compare(title: str, X: sp.csr_array, model, forms: dict[str, str]) -> None:
    """Print a row for each form; `forms` names the Python of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, X, model)
        size = (folder / "model.safetensors").stat().st_size / 2**20
        print(f"\n{title}: {X.shape[1]:,} items, model file {size:.1f} MiB")
        print(
            f"{'form':12}{'cold s':>8}{'start s':>8}{'RSS MiB':>9}{'own':>6}{'p50 ms':>8}"
            f"{'p99 ms':>8}" + "".join(f"{n:>6} thr" for n in THREADS) + "  requests a second"
        )
        for form, python in forms.items():
            with tempfile.TemporaryDirectory() as cache:
                cold, *_ = measured(python, form, folder, cache)
                start, rss, own, p50, p99, *rates, imported = measured(python, form, folder, cache)
            print(
                f"{form:12}{cold:8.1f}{start:8.2f}{rss:9.0f}{own:6.0f}{p50 * 1e3:8.2f}"
                f"{p99 * 1e3:8.2f}" + "".join(f"{own:10.0f}" for own in rates) + f"  {imported}"
            )


def main() -> None:
    """Compare on the given data."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gowalla", type=Path)
    parser.add_argument("--ml-1m", type=Path)
    parser.add_argument("--lastfm", type=Path)
    parser.add_argument("--peers", type=Path, help="folder for an environment with implicit")
    arguments = parser.parse_args()

    from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder

    forms = {"serving": sys.executable, "frames": sys.executable}
    peers = {}
    if arguments.peers:
        python = environment(arguments.peers, "implicit")
        peers = {"implicit": python} if python else {}
    if arguments.gowalla:
        X = sp.csr_array(sp.load_npz(arguments.gowalla / "train.npz"))
        near = SparseShallowAutoEncoder(80 / X.shape[0], n_neighbors=100)
        compare("Gowalla, 100 nearest", X, near, forms | peers)
    if arguments.ml_1m:
        X = sp.csr_array(sp.load_npz(arguments.ml_1m / "train.npz"))
        exact = ShallowAutoEncoder(300 / X.shape[0], solver="exact")
        compare("MovieLens-1M, exact", X, exact, forms)
    if arguments.lastfm:
        from shallow_ae import IdMapper
        from shallow_ae.datasets import fetch_lastfm

        X = IdMapper().fit_transform(fetch_lastfm(arguments.lastfm).listens)
        compare("Last.fm, exact", X, ShallowAutoEncoder(2.5, solver="exact"), forms)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
