"""The memory that control groups leave to this process: Linux containers, versions 1 and 2."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROCESS = Path("/proc/self")


class _Names(NamedTuple):
    """The files of a control group, and the field of `memory.stat` with the cache of its files."""

    limit: str
    used: str
    cached: str


_VERSION_1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_VERSION_2 = _Names("memory.max", "memory.current", "inactive_file")


def left_by_control_groups() -> int:
    """Return how many more bytes the control groups of this process allow; `sys.maxsize` if all.

    The limit of a container is the limit of a control group. A group cannot use more than the
    groups above it leave. Files that the system has read and can drop do not count as used.
    """
    return max(0, min(_left_in_groups(), default=sys.maxsize))


def _left_in_groups() -> Iterator[int]:
    for mount, names, group in _groups():
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mount):
                break
            with suppress(OSError, ValueError):  # the group at the top may have no files
                yield _left_in(folder, names)


def _left_in(folder: Path, names: _Names) -> int:
    limit = (folder / names.limit).read_text(encoding="ascii").strip()
    if limit == "max":
        return sys.maxsize
    used = int((folder / names.used).read_text(encoding="ascii"))
    statistics = ""
    with suppress(OSError):
        statistics = (folder / "memory.stat").read_text(encoding="ascii")
    cached = re.search(rf"^{names.cached} (\d+)$", statistics, re.MULTILINE)
    return int(limit) - used + (int(cached[1]) if cached else 0)


def _groups() -> Iterator[tuple[Path, _Names, Path]]:
    """Yield where groups of memory are mounted, their names, and the group of this process."""
    for version, inside, mount in _mounts():
        path = _paths().get(version)
        if path is None:
            continue
        # Inside a container, the mounted part may begin at its own group.
        below = Path(path).relative_to(inside) if Path(path).is_relative_to(inside) else Path()
        yield mount, _VERSION_2 if version == 2 else _VERSION_1, mount / below


def _mounts() -> Iterator[tuple[int, Path, Path]]:
    """Yield the version, the group at the top, and the folder of each mounted hierarchy."""
    for line in _lines("mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, *options) = before.split(), after.split() or [""]
        if len(fields) < 5 or kind not in ("cgroup", "cgroup2"):
            continue
        inside, mount = (Path(_decoded(part)) for part in fields[3:5])
        if kind == "cgroup2":
            yield 2, inside, mount
        elif options and "memory" in options[-1].split(","):
            yield 1, inside, mount


def _decoded(path: str) -> str:
    """Return a path in which the system writes spaces and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _paths() -> dict[int, str]:
    """Return the path of this process's group in the hierarchy of each version."""
    found = {}
    for line in _lines("cgroup"):
        number, controllers, path = [*line.split(":", maxsplit=2), "", ""][:3]
        if number == "0" and not controllers:
            found[2] = path
        elif "memory" in controllers.split(","):
            found[1] = path
    return found


def _lines(name: str) -> list[str]:
    """Return the lines of a file about this process; none on systems other than Linux."""
    with suppress(OSError):
        return (_PROCESS / name).read_text(encoding="utf-8", errors="replace").splitlines()
    return []
