"""Environments of the peers: one for each peer, one for those that use torch, made by venv and pip.

Versions are pinned. A peer that does not install is absent, with the reason, and its rows are left
out. SANSA compiles scikit-sparse, which needs the headers of SuiteSparse (Debian's
`libsuitesparse-dev`).
"""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from processes import make_environment

REQUIREMENTS = {
    "implicit": ("implicit==0.7.3",),
    "irspack": ("irspack==0.5.2",),
    "rectools": ("rectools==0.19.0",),
    "sansa": ("sansa==1.1.0", "scikit-sparse==0.4.16"),
    "sklearn": ("scikit-learn==1.9.1",),
    "torch": ("torch==2.14.1", "lenskit==2025.8.1", "elsarec==0.1.4"),
}
# An import of each says whether its compiled parts load.
IMPORTS = {"sklearn": "sklearn.decomposition", "torch": "lenskit, elsa"}
# What is stated of an environment: its peers, and the numerics under them.
STATED = ("torch", "lenskit", "elsarec", "implicit", "irspack", "rectools", "sansa", "scikit-learn")
PROBE = """import {imports}, importlib.metadata as m, json
have = {{d.name.lower(): d.version for d in m.distributions()}}
print(json.dumps({{name: have[name] for name in {stated} if name in have}}))"""


class Environment(NamedTuple):
    """The Python of a peer and its versions, or why it is absent."""

    python: str
    versions: dict[str, str]
    absent: str = ""


def prepare(folder: Path, names: list[str]) -> dict[str, Environment]:
    """Return the environments with these names, made where they are not there yet."""
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        found = dict(zip(names, threads.map(lambda n: _environment(folder, n), names), strict=True))
    for name, environment in found.items():
        state = environment.absent or ", ".join(
            " ".join(pair) for pair in environment.versions.items()
        )
        print(f"{name}: {'absent: ' if environment.absent else ''}{state}", flush=True)
    print(f"environments: {time.perf_counter() - start:.0f} s", flush=True)
    return found


def _environment(folder: Path, name: str) -> Environment:
    complaint = make_environment(folder / name, *REQUIREMENTS[name])
    python = str(folder / name / "bin" / "python")
    probe = PROBE.format(imports=IMPORTS.get(name, name), stated=STATED)
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    if found.returncode:
        return Environment("", {}, reason(complaint or found.stderr))
    return Environment(python, json.loads(found.stdout.splitlines()[-1]))


def reason(complaint: str) -> str:
    """Return the line that says most of what has gone wrong."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no message"])[-1][:200]
