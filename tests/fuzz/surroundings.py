"""The environment of fuzzing targets: checked bounds, and machine code of their own.

Import it before anything else: Numba reads the variables when it is imported.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def variables() -> dict[str, str]:
    """Return the environment with an index out of bounds as an error.

    What is compiled so is kept for the next run, apart from what those who import the library use.
    """
    code = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir(), f"shallow_ae-fuzz-{os.getuid()}-{code}")
    ours = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder)}
    return os.environ | {name: os.environ.get(name, value) for name, value in ours.items()}


os.environ |= variables()
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]  # for what tests and targets share
