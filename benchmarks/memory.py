"""Peak memory of a process that fits a model, compared with the estimate of `plan`.

The data have 50 items for each user, in float32. There are 4,096 users for gradient descent, and
twice as many users as items for the exact solution. A process with almost no items shows the memory
of Python, the libraries and the compiler.

    python benchmarks/memory.py [n_items ...]
"""

import subprocess
import sys

from processes import memory_mib

N_USERS, ITEMS_PER_USER, STEPS = 4096, 50, 10
SIZES = (512, 2048, 4096, 8192)


FITS = {
    "sgd": {"max_iter": STEPS},
    "early stopping": {"max_iter": STEPS, "early_stopping": True, "n_iter_no_change": 5},
    "exact": {"solver": "exact"},
}


def peak_and_plan(n_items: int, fit: str) -> str:
    """Return the high-water mark of this process after a fit, and what was planned, in bytes."""
    # pyarrow, which pandas imports where it finds it, is none of the library's requirements.
    sys.modules["pyarrow"] = None
    import numpy as np
    import scipy.sparse as sp

    from shallow_ae import ShallowAutoEncoder

    shape = (2 * n_items if fit == "exact" else N_USERS, n_items)
    density = ITEMS_PER_USER / n_items
    X = sp.random_array(shape, density=density, dtype=np.float32, rng=0, format="csr")
    model = ShallowAutoEncoder(random_state=0, **FITS[fit])
    planned = model.plan(X)[model.solver].bytes
    model.fit(X)
    return f"{int(memory_mib() * 2**20)} {planned}"


def measured(n_items: int, fit: str) -> tuple[int, int]:
    """Return peak and plan of a fit in a child process."""
    command = [sys.executable, __file__, "child", str(n_items), fit]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, planned = map(int, child.stdout.split())
    return peak, planned


def main() -> None:
    """Print a row for each number of items."""
    print(f"{'MiB':<8}{'weights':>10}" + "".join(f"{fit:>16}{'(plan)':>8}" for fit in FITS))
    for n_items in [int(argument) for argument in sys.argv[1:]] or SIZES:
        row = f"{n_items:<8,}{n_items**2 * 4 / 2**20:>10.0f}"
        for fit in FITS:
            peak, planned = (value / 2**20 for value in measured(n_items, fit))
            row += f"{peak:>16.0f}{planned:>8.0f}"
        print(row)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(peak_and_plan(int(sys.argv[2]), sys.argv[3]))
    else:
        main()
