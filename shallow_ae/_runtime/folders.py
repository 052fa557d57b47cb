"""Files and folders that are written completely or not at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_IS_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_IS_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_SECONDS_TO_LOCK, _SECONDS_OF_OTHER_HOSTS = 60.0, 86_400.0
_LONGEST = 200  # bytes of a name, of the 255 that file systems allow


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise an OSError unless a folder can be written at `folder`."""
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"{folder} cannot be written: there is no folder {folder.parent}. Make it first."
        )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder. Pass another path.")
    if not overwrite and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} exists and is not empty. Pass another path, or `overwrite=True` to replace "
            "the folder with all that it holds."
        )


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder, which takes the place of `folder` after the block.

    After an error in the block, `folder` is as before. A folder that is replaced stays as it is
    until the end of the block. On Linux, the two change places in one step.
    """
    check_folder(folder, overwrite=overwrite)
    with scratch_folder(folder) as scratch:
        new = scratch / "new"
        new.mkdir()
        if folder.exists():
            new.chmod(folder.stat().st_mode & 0o777)
        yield new
        _flush(new)
        check_folder(folder, overwrite=overwrite)  # another process may have written it
        _put(new, folder, scratch / "old")
        flush_folder(folder.parent)


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`, in which to write what will be renamed to `target`.

    The folder is deleted after the block, and errors say what became of `target`. A process that is
    killed leaves its folder; the next process that writes to the same target deletes it. A folder
    of a living process is locked, and the system unlocks it when the process ends.
    """
    scratch = target.with_name(f".{_stem(target)}.{_host()}{uuid4().hex[8:]}.tmp")
    try:
        delete_abandoned(target)
        scratch.mkdir(mode=0o700)  # what is written may be for fewer eyes than its folder
        lock = _locked(scratch, wait=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if lock is not None:
                os.close(lock)
    except OSError as error:
        if (explained := _explained(error, target, scratch)) is None:
            raise
        raise explained from error


def flush_folder(folder: Path) -> None:
    """Have the system write the names in a folder to the disk, if it can."""
    with suppress(OSError):  # Windows has no files for folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _stem(target: Path) -> str:
    name = os.fsencode(target.name)
    return target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()


def delete_abandoned(target: Path) -> None:
    """Delete the scratch folders of processes that were killed while they wrote to `target`.

    Locks may not reach other hosts that share the folder. Their scratch folders are deleted after a
    day without a change.
    """
    pattern = re.compile(rf"\.{re.escape(_stem(target))}\.([0-9a-f]{{8}})[0-9a-f]{{24}}\.tmp")
    found_there: list[Path] = []
    with suppress(PermissionError):  # a folder that may be written to, but not listed
        found_there += target.parent.iterdir()
    for found in found_there:
        named = pattern.fullmatch(found.name)
        lock = _locked(found) if named else None
        if named is None or lock is None:
            continue
        try:
            with suppress(FileNotFoundError):  # the process has ended meanwhile, and deleted it
                _delete(found, target, is_own_host=named[1] == _host())
        finally:
            os.close(lock)


@cache
def _host() -> str:
    """Return eight characters that tell this host from others."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _delete(abandoned: Path, target: Path, *, is_own_host: bool) -> None:
    """Delete a scratch folder whose lock this process holds."""
    # A process may have made an empty folder a moment ago, and be about to lock it.
    age = time.time() - abandoned.stat().st_mtime
    if age < _SECONDS_TO_LOCK and not any(abandoned.iterdir()):
        return
    if age < _SECONDS_OF_OTHER_HOSTS and not is_own_host:
        return
    if (abandoned / "old").exists() and not os.path.lexists(target):
        (abandoned / "old").rename(target)  # killed between the two renames
    shutil.rmtree(abandoned, ignore_errors=True)


def _locked(folder: Path, *, wait: bool = False) -> int | None:
    """Return a descriptor that holds the lock of a folder; None if another process holds it."""
    if fcntl is None:
        return None
    try:
        # Only a folder: neither a link to one, nor a pipe, whose opening would wait.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # deleted meanwhile, or something else
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _put(new: Path, folder: Path, old: Path) -> None:
    """Rename `new` to `folder`. A folder that is there is moved to `new` or to `old`."""
    if not folder.exists():
        new.rename(folder)
    elif not _exchanged(new, folder):
        folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            old.rename(folder)
            raise


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step. Return False if the system cannot."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: Linux, glibc from 2.28 on
    try:
        rename: Any = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no CDLL(None)
        return False
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _flush(folder: Path) -> None:
    """Have the system write all files in a folder to the disk."""
    for path in folder.iterdir():
        with open(path, "r+b") as file:
            os.fsync(file.fileno())
    flush_folder(folder)


def _explained(error: OSError, target: Path, scratch: Path) -> OSError | None:
    """Return the error of a write to `target`, with what to do; None for others."""
    name = error.filename
    is_ours = name is None or (isinstance(name, str) and Path(name).is_relative_to(scratch))
    if error.errno is None or not is_ours:
        return None
    if error.errno == errno.EFBIG:
        way = "Raise the limit on the size of files (`ulimit -f`), or pass another path"
    elif error.errno in _IS_FULL:
        way = "Free some space there, or pass another path"
    elif error.errno in _IS_REFUSED and error.filename is not None:
        way = (
            f"Pass a path in a folder that you can write to, or get that right for {target.parent}"
        )
    else:
        return None
    reason = f"{os.strerror(error.errno)}: nothing was written, and an earlier version is unchanged"
    return OSError(error.errno, f"{reason}. {way}", str(target))
