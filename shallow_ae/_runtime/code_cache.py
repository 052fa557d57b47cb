"""The cache of machine code on disk: where it is read and written, and when it is out of date.

Numba reads machine code only from a folder that it can write to, and notices a change of the file
of a function, but no change of the functions that it calls. This module changes both.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from numba.core import caching
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

_PACKAGE = __name__.partition(".")[0]


def _locator(name: str) -> Any:
    """Return a class of Numba, whose name begins with an underscore in early versions."""
    return getattr(caching, name, None) or getattr(caching, f"_{name}")


_InTreeCacheLocator: Any = _locator("InTreeCacheLocator")
_UserProvidedCacheLocator: Any = _locator("UserProvidedCacheLocator")


class CodeCache:
    """Machine code of a function on disk. Damaged files and a full disk are not errors.

    A function whose machine code cannot be read is compiled, and machine code that cannot be saved
    is not saved. Numba's own class raises these errors in calls of the compiled function.

    Code is saved where Numba saves it: in NUMBA_CACHE_DIR, beside the module, or in the user's
    cache folder. It is read from there and also from a folder that cannot be written to: in a
    container image, code lies beside the modules that was compiled when the image was built.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        kinds = (_WrittenCache, _ReadCache)
        self._caches: list[FunctionCache] = []
        for kind in kinds:
            with suppress(RuntimeError):  # raised if there is no folder
                self._caches.append(kind(function))  # type: ignore[no-untyped-call]

    @property
    def cache_path(self) -> str | None:
        """Return the folder."""
        return str(self._caches[0].cache_path) if self._caches else None

    def load_overload(self, *args: Any) -> Any:
        """Return the machine code for a signature, or None if there is no usable one."""
        for stored in self._caches:
            try:
                found = stored.load_overload(*args)  # type: ignore[no-untyped-call]
            except Exception:  # unpickling damaged bytes may raise anything
                with suppress(Exception):  # so that valid machine code can be saved
                    stored.flush()  # type: ignore[no-untyped-call]
                continue
            if found is not None:
                return found
        return None

    def save_overload(self, *args: Any) -> None:
        """Save the machine code for a signature, if possible."""
        for stored in self._caches[:1]:
            with suppress(Exception):
                stored.save_overload(*args)  # type: ignore[no-untyped-call]

    def enable(self) -> None:
        """Read and save machine code."""
        for stored in self._caches:
            stored.enable()  # type: ignore[no-untyped-call]

    def disable(self) -> None:
        """Neither read nor save machine code."""
        for stored in self._caches:
            stored.disable()  # type: ignore[no-untyped-call]

    def flush(self) -> None:
        """Forget the saved machine code."""
        for stored in self._caches[:1]:
            stored.flush()  # type: ignore[no-untyped-call]


class _WrittenCache(FunctionCache):
    """Numba's cache, which is out of date when a file changes that the function depends on.

    The files are compared by content. Their times differ where a package is copied into an image.
    """

    def _load_overload(self, *args: Any) -> Any:
        self._stamp()
        return super()._load_overload(*args)  # type: ignore[no-untyped-call]

    def _save_overload(self, *args: Any) -> Any:
        self._stamp()
        return super()._save_overload(*args)  # type: ignore[no-untyped-call]

    def _stamp(self) -> None:
        """Set the stamp. All modules that the function needs are imported at its first call."""
        stamp = _sources_of(self._py_func.__module__, self._py_func.__code__.co_filename)
        base = self._impl.filename_base
        self._cache_file = _CheckedFiles(self._cache_path, base, stamp)  # type: ignore[no-untyped-call]


class _CheckedFiles(IndexDataCacheFile):
    """Numba's files of machine code, with a checksum, and with what the code is for.

    The index names the file of each signature and is written before this file. A process that is
    killed in between, or two processes at a time, leave an index that names the code of another
    signature or of an earlier version. Numba would run it.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save the data of a key."""
        text = self._dump((self._source_stamp, key, data))  # type: ignore[no-untyped-call]
        super().save(key, (hashlib.sha256(text).digest(), text))  # type: ignore[no-untyped-call]

    def load(self, key: Any) -> Any:
        """Return the data of a key, or None; raise a ValueError if they are of another key."""
        found = super().load(key)  # type: ignore[no-untyped-call]
        if found is None:
            return None
        digest, text = found
        if hashlib.sha256(text).digest() != digest:
            raise ValueError("damaged machine code")
        stamp, of_key, data = pickle.loads(text)
        if (stamp, of_key) != (self._source_stamp, key):
            raise ValueError("machine code of another function")
        return data


class _GivenFolder(_UserProvidedCacheLocator):
    """The folder NUMBA_CACHE_DIR, whether or not it can be written to."""

    def ensure_cache_path(self) -> None:
        """Accept the folder as it is."""


class _FolderBeside(_InTreeCacheLocator):
    """The folder `__pycache__` beside the module, whether or not it can be written to."""

    def ensure_cache_path(self) -> None:
        """Accept the folder as it is."""


class _ReadImplementation(CompileResultCacheImpl):
    _locator_classes: Any = (_GivenFolder, _FolderBeside)


class _ReadCache(_WrittenCache):
    """A folder that is only read."""

    _impl_class = _ReadImplementation  # type: ignore[assignment]

    def flush(self) -> None:
        """Leave the files as they are."""


@cache
def _sources_of(module: str, file: str) -> str:
    """Return a hash of the files of a module and of the package's modules whose names it uses."""
    found: dict[str, str] = {module: file}
    waiting = [module]
    while waiting:
        for value in vars(sys.modules.get(waiting.pop(), sys)).copy().values():
            name = value.__name__ if isinstance(value, ModuleType) else _home(value)
            if name.partition(".")[0] == _PACKAGE and name not in found and name in sys.modules:
                found[name] = sys.modules[name].__file__ or ""
                waiting.append(name)
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + Path(found[name]).read_bytes())
    return digest.hexdigest()


def _home(value: Any) -> str:
    """Return the name of the module that defines a class or a function, "" for other values."""
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""
