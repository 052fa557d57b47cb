"""What a fit takes at its peak: the high-water mark of a process of its own, beside the plan.

4,096 users with 50 items each, float32. A process with almost no items shows what Python, the
libraries and the compiler take by themselves.

    python benchmarks/memory.py [n_items ...]
"""

import subprocess
import sys
from pathlib import Path

N_USERS, ITEMS_PER_USER, STEPS = 4096, 50, 10
SIZES = (512, 2048, 4096, 8192)


def peak_and_plan(n_items: int, early_stopping: str) -> str:
    """Return the high-water mark of this process after a fit, and what was planned, in bytes."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    import numpy as np
    import scipy.sparse as sp

    from shallow_ae import ShallowAutoEncoder

    density = ITEMS_PER_USER / n_items
    X = sp.random_array((N_USERS, n_items), density=density, dtype=np.float32, rng=0)
    stopping = {"early_stopping": True, "n_iter_no_change": 5} if early_stopping == "yes" else {}
    model = ShallowAutoEncoder(max_iter=STEPS, random_state=0, **stopping)
    planned = model.plan(X)["sgd"].bytes
    model.fit(X)
    # Not getrusage's ru_maxrss: a child inherits that of the process that has started it.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return f"{int(status['VmHWM'].split()[0]) * 1024} {planned}"


def measured(n_items: int, *, early_stopping: bool = False) -> tuple[int, int]:
    """Return peak and plan of a fit in a child process."""
    stopping = "yes" if early_stopping else "no"
    command = [sys.executable, __file__, "child", str(n_items), stopping]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, planned = map(int, child.stdout.split())
    return peak, planned


def main() -> None:
    """Print a row for each number of items."""
    print("MiB" + f"{'weights':>17}{'planned':>10}{'peak':>8}{'early stopping':>16}")
    for n_items in [int(argument) for argument in sys.argv[1:]] or SIZES:
        peak, planned = measured(n_items)
        stopping, _ = measured(n_items, early_stopping=True)
        cells = (n_items**2 * 4 / 2**20, planned / 2**20, peak / 2**20, stopping / 2**20)
        print(f"{n_items:>8,}{cells[0]:>12.0f}{cells[1]:>10.0f}{cells[2]:>8.0f}{cells[3]:>16.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(peak_and_plan(int(sys.argv[2]), sys.argv[3]))
    else:
        main()
