"""Time of `import shallow_ae`, compared with the import of scikit-learn's pipelines and pandas.

Each import is timed in a separate process, the two by turns, with warm caches. The program prints
the median and the smallest time of each import, and their ratios.

    python benchmarks/import_time.py
"""

import statistics
import subprocess
import sys
import time

IMPORTS = {
    "scikit-learn and pandas": "import sklearn.pipeline, pandas",
    "shallow_ae": "import shallow_ae",
}
N_TIMES = 15


def seconds(code: str) -> float:
    """Return how long a process takes that runs some code."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Time both in turn."""
    for code in IMPORTS.values():
        seconds(code)
    empty = min(seconds("pass") for _ in range(N_TIMES))
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(N_TIMES):
        for name, code in IMPORTS.items():
            times[name].append(seconds(code) - empty)
    for name, of_import in times.items():
        print(f"{name}: median {statistics.median(of_import):.2f} s, least {min(of_import):.2f} s")
    base, ours = times.values()
    medians = statistics.median(ours) / statistics.median(base)
    print(f"ratio: {medians:.2f} of medians, {min(ours) / min(base):.2f} of the least")


if __name__ == "__main__":
    main()
