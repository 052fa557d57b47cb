"""The comparison with other libraries: fit, ranking, requests, memory and quality, in one run.

Each row is fitted and ranks in a child process of its own, with equal numbers of threads, and each
peer in an environment of its own, which is made where it is not there yet. Quality is computed from
the saved lists of all rows alike. A stage of a row that takes longer than the limit ends the row,
as does a machine that runs out of memory; the row then says so. Data sets without a folder are made
up.

`--out` receives `results.json`, the tables and the plots; `--record` also keeps the results as
those that README.md and docs/peers.md are written from.

    python benchmarks/peers/run.py [--ml-1m FOLDER] [--lastfm-2k FOLDER] [--gowalla FOLDER]
"""

# ruff: noqa: E402  (processes.py, which the benchmarks share, lies in the folder above)

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import scipy.sparse as sp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import data
import environments
import report
from suite import DATA, OURS, ROWS, K, Row

from shallow_ae.metrics import ndcg_score, recall_score

LIMIT, QUICK_LIMIT = 300, 30
SURELY = 1.5  # times the limit: an estimate beyond it is not tried
RESERVE = 2**30  # bytes that a row leaves free, or it ends
THREAD_SETTINGS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "LK", "LK_BACKEND")
LIMITED = ("warm-up", "load", "fit", "rank")
QUICK_DATA = DATA[:1]


def figures(python: str, job: dict[str, Any], limit: float) -> dict[str, Any]:
    """Return what a child measures, with its quality, or why it has ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        note = ended_by(start(python, folder, job["threads"]), folder, limit)
        known = folder / "figures.json"
        found = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
        if note:
            found["note"] = note
        if (folder / "items.npy").exists():
            items, hidden = np.load(folder / "items.npy"), sp.csr_array(sp.load_npz(job["hidden"]))
            found["recall"] = float(recall_score(hidden, items, k=K))
            found["ndcg"] = float(ndcg_score(hidden, items, k=K))
        return found


def start(python: str, folder: Path, threads: int) -> subprocess.Popen:
    """Start a child."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "") if python == sys.executable else ""]
    own = {f"{name}_NUM_THREADS": str(threads) for name in THREAD_SETTINGS}
    own |= {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / "messages").open("w", encoding="utf-8") as messages:
        return subprocess.Popen(
            [python, str(HERE / "measure.py"), str(folder)],
            env={**os.environ, **own},
            stdout=messages,
            stderr=subprocess.STDOUT,
        )


def ended_by(child: subprocess.Popen, folder: Path, limit: float) -> str:
    """Wait for a child; return "" or why it has not finished."""
    while child.poll() is None:
        time.sleep(0.1)
        stage = folder / "stage"
        name, _, since = (stage.read_text() if stage.exists() else "").partition(" ")
        if name in LIMITED and since and time.time() - float(since) > limit:
            end(child)
            return f"over {limit:g} s" if name in ("fit", "rank") else f"{name} over {limit:g} s"
        if psutil.virtual_memory().available < RESERVE:
            end(child)
            return "no memory"
    if not child.returncode:
        return ""
    if child.returncode < 0:
        return f"crashed ({signal.Signals(-child.returncode).name})"
    messages = (folder / "messages").read_text(encoding="utf-8", errors="replace")
    return "no memory" if "MemoryError" in messages else f"failed: {environments.reason(messages)}"


def end(child: subprocess.Popen) -> None:
    """End a child and the processes that it has started."""
    for process in [*psutil.Process(child.pid).children(recursive=True), child]:
        process.kill()
    child.wait()


def is_over(row: Row, data: str, results: dict[str, Any]) -> bool:
    """Say whether a fit is over the limit by far, judged by an earlier, smaller one."""

    def work(name: str) -> float:
        about, (of_users, of_items) = results["data"][name], row.growth or (0, 0)
        return float(about["n_users"]) ** of_users * float(about["n_items"]) ** of_items

    known = [
        old["fit_s"] * work(data) / work(old["data"])
        for old in results["rows"]
        if (old["library"], old["model"]) == (row.library, row.model) and "fit_s" in old
    ]
    return bool(row.growth and known) and known[-1] > SURELY * results["limit_s"]


def machine(threads: int) -> dict[str, Any]:
    """Return what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all rows on all data sets, and write the results after each."""
    limit = QUICK_LIMIT if arguments.quick else LIMIT
    rows = [row for row in ROWS if not (arguments.quick and row.is_slow)]
    found = environments.prepare(
        arguments.environments, sorted({row.environment for row in rows} - {""})
    )
    results: dict[str, Any] = {
        "machine": machine(arguments.threads),
        "limit_s": limit,
        "k": K,
        "versions": {OURS: version("shallow-ae"), "numpy": version("numpy"), "jax": version("jax")},
        "absent": {},
        "data": {},
        "rows": [],
    }
    for environment in found.values():
        results["versions"] |= environment.versions
    for row in rows:
        if row.environment and found[row.environment].absent:
            results["absent"][row.library] = found[row.environment].absent
    for name in QUICK_DATA if arguments.quick else DATA:
        compare_on(name, arguments, rows, found, results)
    return results


def compare_on(name: str, arguments, rows: list[Row], found, results: dict[str, Any]) -> None:
    """Run all rows on a data set."""
    folder = getattr(arguments, name)
    split = data.load(name, folder, quick=arguments.quick)
    n_users, n_items = split.visible.shape
    results["data"][name] = {
        "title": split.title,
        "n_users": n_users,
        "n_items": n_items,
        "n_visible": split.visible.nnz,
        "n_hidden": split.hidden.nnz,
    }
    print(f"\n{split.title}: {n_users:,} x {n_items:,}, {split.visible.nnz:,} entries", flush=True)
    print(report.HEADER, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = {part: str(Path(scratch, f"{part}.npz")) for part in ("data", "hidden")}
        sp.save_npz(paths["data"], split.visible)
        sp.save_npz(paths["hidden"], split.hidden)
        for row in rows:
            if row.library in results["absent"]:
                continue
            settings = row.settings_on(name)
            result = {
                "library": row.library,
                "model": row.model,
                "label": row.label,
                "data": name,
                "settings": settings,
            }
            if is_over(row, name, results):
                result["note"] = f"over {results['limit_s']:g} s (estimated)"
            else:
                job = {
                    "adapter": row.adapter,
                    "settings": settings,
                    "threads": arguments.threads,
                    "k": K,
                    "serving": row.adapter == "ours:ShallowAE",
                    **paths,
                }
                python = found[row.environment].python if row.environment else sys.executable
                result |= figures(python, job, results["limit_s"])
            results["rows"].append(result)
            print(report.line(result), flush=True)
            save(arguments.out, results)


def save(folder: Path, results: dict[str, Any]) -> None:
    """Write the results."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Compare, write, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in DATA:
        parser.add_argument(f"--{name}", dest=name, metavar="FOLDER", type=Path)
    work = HERE.parents[1] / ".bench"
    parser.add_argument("--quick", action="store_true", help="one data set, without torch")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=work / "out")
    parser.add_argument("--environments", metavar="FOLDER", type=Path, default=work)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="keep the results for the documents")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    results = compare(arguments)
    results["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    save(arguments.out, results)
    report.write_all(results, arguments.out)
    print(f"\n{results['minutes']} minutes; tables, plots and JSON are in {arguments.out}")
    if arguments.record:
        shutil.copy(arguments.out / "results.json", report.RESULTS)
        report.main()


if __name__ == "__main__":
    main()
