"""Writes of model files and of recommendations to a disk that refuses them, as a program.

    python tests/faults/writes.py FAULT FOLDER

FAULT is "full" or "read-only" (of a small file system in memory, which root may mount), "limited"
(the size of files) or "refused" (by permissions). The program prints, as JSON, the error of each
write and whether what was there before is whole. Exit code 77: the fault cannot be made here.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from batches import Batches
from saves import Save

CANNOT = 77
NOBODY = 65534


def mounted(folder, size):
    """Mount a file system in memory, or end the program."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        sys.exit(CANNOT)


def full(folder):
    """Leave 20 kB."""
    free = os.statvfs(folder)
    (folder / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - 20_000))


def read_only(folder):
    """Mount the file system again, only for reading."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def limited(_):
    """Let no file grow beyond 1.5 kB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))


def refused(folder):
    """Let this process not write to the folder."""
    folder.chmod(0o555)
    if not os.geteuid():
        folder.parent.chmod(0o755)
        os.setuid(NOBODY)


def told(write):
    """Return the type and the message of the error that a write raises."""
    try:
        write()
    except Exception as error:
        return type(error).__name__, str(error)
    return None


def main(fault, folder):
    """Write what there is before the fault, then try to replace it, and to write it anew."""
    folder = Path(folder)
    if fault in ("full", "read-only"):
        mounted(folder, "2m")
    try:
        save, batches = Save(folder), Batches(folder)
        save.prepare()
        batches.prepare()
        before = save.path.read_bytes(), batches.files()
        {"full": full, "read-only": read_only, "limited": limited, "refused": refused}[fault](
            folder
        )
        names = sorted(own.name for own in folder.iterdir())
        found = {
            "save": told(lambda: next(save.steps(save.path))),
            "new save": told(lambda: next(save.steps(folder / "new"))),
            "batches": told(lambda: batches.written(batches.pipelines[1])),
        }
        batches.path = folder / "new"
        found["new batches"] = told(lambda: batches.written(batches.pipelines[1]))
        batches.path = folder / "recommendations"
        found["whole"] = before == (save.path.read_bytes(), batches.files())
        found["no more files"] = names == sorted(own.name for own in folder.iterdir())
        print(json.dumps(found))
    finally:
        if fault in ("full", "read-only"):
            subprocess.run(["umount", "-l", folder], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
