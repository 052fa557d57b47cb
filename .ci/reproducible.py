"""Build the distributions again under other circumstances, and fail unless each byte is the same.

python .ci/reproducible.py dist/*.whl dist/*.tar.gz

The second build takes place in a copy of the files in another folder, with other times, another
umask, another time zone and another locale.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
YEAR = 365 * 24 * 3600


def copied(folder: Path) -> Path:
    """Return a copy of the files that git tracks or would track, a year older, for one user."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            target.chmod(target.stat().st_mode & ~0o077)
            os.utime(target, (time.time() - YEAR,) * 2)
    return folder


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Print the digests, or exit with the names of the distributions that differ."""
    with tempfile.TemporaryDirectory() as temporary:
        source, built = copied(Path(temporary, "another name")), Path(temporary, "dist")
        os.umask(0o077)
        subprocess.run(
            [sys.executable, "-m", "build", "--installer", "uv", "--outdir", built, source],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | OTHERS,
        )
        differing = []
        for path in map(Path, sys.argv[1:]):
            again = built / path.name
            print(f"{digest(path)}  {path.name}")
            if not again.exists() or digest(again) != digest(path):
                differing.append(path.name)
    if differing:
        sys.exit(f"A second build gives other bytes: {', '.join(differing)}.")


if __name__ == "__main__":
    main()
