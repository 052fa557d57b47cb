"""Fits under a limit of addresses or of a control group, as a program that prints their errors.

python tests/faults/addresses.py
python tests/faults/addresses.py GROUP_FOLDER
"""

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np
import psutil
import scipy.sparse as sp

from shallow_ae import LowRankAutoEncoder, ShallowAutoEncoder, SparseShallowAutoEncoder
from shallow_ae._runtime import memory

X = sp.random_array((3000, 2000), density=0.02, dtype=np.float32, rng=0, format="csr")
MODELS = {
    "exact": ShallowAutoEncoder(1.0, solver="exact"),
    "sgd": ShallowAutoEncoder(max_iter=5),
    "nearest": SparseShallowAutoEncoder(1.0, n_neighbors=200),
    "low rank": LowRankAutoEncoder(100, random_state=0),
}
WIDE = sp.random_array((1000, 50_000), density=1e-4, dtype=np.float32, rng=0, format="csr")


def limit_addresses(n_bytes):
    """Leave this process so many bytes of addresses."""
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + n_bytes, resource.RLIM_INFINITY))


def told(model, X):
    """Return the type and the message of the error of a fit."""
    try:
        model.fit(X)
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def under_limits():
    """Return the errors of fits under two narrow limits."""
    found = {}
    for mebibytes in (16, 300):
        limit_addresses(mebibytes * 2**20)
        found |= {f"{name}, {mebibytes} MiB": told(model, X) for name, model in MODELS.items()}
    return found


def in_group(folder):
    """Return the free memory in a control group, and the errors of fits."""
    (folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    return {"free": memory.free_memory(), "sgd": told(ShallowAutoEncoder(max_iter=1), WIDE)}


if __name__ == "__main__":
    print(json.dumps(in_group(Path(sys.argv[1])) if sys.argv[1:] else under_limits()))
