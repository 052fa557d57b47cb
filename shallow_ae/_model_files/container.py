"""One file of JSON and named arrays: atomic writing, checksum, memory-mapped reading.

The file is a safetensors file: the length of a JSON header, the header, and the arrays. Any
safetensors reader can open it. The header's metadata holds the JSON and a SHA-256 checksum. The
checksum is computed over the whole file with zeros in place of the checksum, so it covers every
byte. The safetensors package writes the file, but it copies arrays when it reads them. This module
therefore reads the header itself and maps the arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shallow_ae._runtime.folders import flush_folder, scratch_folder
from shallow_ae._typing import Array

_LENGTH = 8  # bytes of the length of the header
_DOCUMENT, _CHECKSUM = "shallow_ae", "sha256"
_NO_CHECKSUM = "0" * 64
_MOST_AXES = 32
# The quotes of a checksum inside the JSON text are escaped, so that only the metadata matches.
_CHECKSUM_FIELD = re.compile(rf'"{_CHECKSUM}":"([0-9a-f]{{64}})"'.encode())
_DTYPES = {
    "BOOL": "?",
    "I8": "<i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "<u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}


class ModelFileError(ValueError):
    """Raised if a file is not a model file, or is damaged, incomplete or from a newer version.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from shallow_ae import ModelFileError, load_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "notes.txt"
    ...     _ = path.write_text("no model")
    ...     try:
    ...         load_model(path)
    ...     except ModelFileError:
    ...         print("not a model file")
    not a model file
    """


class Contents(NamedTuple):
    """The contents of a model file."""

    document: Any  # JSON
    arrays: dict[str, Array]


def write(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write contiguous arrays, and replace an earlier file of this name in one step.

    A process that is killed, or a full disk, leaves the earlier file whole.
    """
    save_file = _safetensors_writer()
    text = json.dumps(contents.document, allow_nan=False, ensure_ascii=False)
    with _replacement(Path(path)) as temporary:
        with _errors_of_the_system():
            save_file(contents.arrays, temporary, {_DOCUMENT: text, _CHECKSUM: _NO_CHECKSUM})
        with open(temporary, "r+b") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                place = _LENGTH + _place_of_checksum(_header(buffer))
                digest = hashlib.sha256(buffer).hexdigest().encode()
            # Not in the map: a write to a map that the disk has no room for kills the process.
            file.seek(place)
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an error if `write` is known to fail, so that long work before it is not lost."""
    _safetensors_writer()
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"{path} cannot be written: {folder} is read-only. Pass another path."
        )


def read(path: str | os.PathLike[str], *, mapped: bool = True) -> Contents:
    """Return the contents of a file whose checksum is right.

    Arrays are views of the mapped file if `mapped`, or else of a copy in memory. They may be
    written to; the file does not change.

    Raises
    ------
    ModelFileError
        If the file is not exactly as it was written. No memory is allocated by a size that the file
        states.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _LENGTH:
            raise ModelFileError(f"{path} has {size} bytes: it is not a model file, or truncated.")
        buffer: Any = (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            if mapped
            else bytearray(file.read())
        )
    try:
        return _contents(memoryview(buffer))
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error.__cause__


def _contents(buffer: memoryview) -> Contents:
    """Return the contents of a file's bytes. Errors begin after the name of the file."""
    header = _header(buffer)
    data = buffer[_LENGTH + len(header) :]
    fields, metadata = _fields_of(header)
    expected = max((_end(field) for field in fields.values()), default=0)
    if len(data) < expected:
        raise ModelFileError(
            f"is truncated: {len(data):,} bytes of arrays, expected {expected:,}. Copy or save it "
            "again."
        )
    place = _place_of_checksum(header)
    digest = hashlib.sha256(buffer[: _LENGTH + place])
    digest.update(_NO_CHECKSUM.encode())
    digest.update(buffer[_LENGTH + place + len(_NO_CHECKSUM) :])
    if digest.hexdigest() != metadata[_CHECKSUM]:
        raise ModelFileError("has changed since it was saved: its checksum is wrong.")
    arrays = {name: _array(name, field, data) for name, field in fields.items()}
    return Contents(_parsed(metadata[_DOCUMENT]), arrays)


def _header(buffer: Any) -> bytes:
    """Return the header, without the length that precedes it."""
    n, left = int.from_bytes(buffer[:_LENGTH], "little"), len(buffer) - _LENGTH
    if n > left:
        raise ModelFileError(
            f"is not a model file, or truncated: its header should have {n:,} bytes, and only "
            f"{left:,} bytes follow."
        )
    return bytes(buffer[_LENGTH : _LENGTH + n])


def _fields_of(header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the descriptions of the arrays, and the metadata."""
    fields = _parsed(header)
    metadata = fields.pop("__metadata__", None) if isinstance(fields, dict) else None
    if not isinstance(metadata, dict) or not {_DOCUMENT, _CHECKSUM} <= metadata.keys():
        raise ModelFileError("was not written by `save_model`: its header describes no model.")
    return fields, metadata


def _parsed(text: Any) -> Any:
    try:  # json would take bytes in other encodings, too
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except (ValueError, AttributeError, RecursionError, TypeError) as error:
        raise ModelFileError("is not a model file, or damaged: its JSON is invalid.") from error


def _place_of_checksum(header: bytes) -> int:
    found = list(_CHECKSUM_FIELD.finditer(header))
    if len(found) != 1:
        raise ModelFileError("is damaged, or was not written by `save_model`: it has no checksum.")
    return found[0].start(1)


def _end(field: Any) -> int:
    """Return where an array ends in the data."""
    match field:
        case {"dtype": str(), "shape": [*shape], "data_offsets": [int(), int() as end]} if all(
            type(n) is int and n >= 0 for n in shape
        ):
            return end
    raise ModelFileError("is damaged: its header describes no arrays.")


def _array(name: str, field: dict[str, Any], data: memoryview) -> Array:
    """Return an array as a view of the data."""
    dtype, shape = _DTYPES.get(field["dtype"]), field["shape"]
    start, stop = field["data_offsets"]
    if dtype is None:
        raise ModelFileError(f"holds the array {name!r} of an unknown type {field['dtype']!r}.")
    size = np.dtype(dtype).itemsize
    if len(shape) > _MOST_AXES or any(n >= 2**63 for n in shape):
        raise ModelFileError(f"declares the array {name!r} with an impossible shape.")
    is_placed = 0 <= start <= stop <= len(data) and start % size == 0
    if not is_placed or math.prod(shape) * size != stop - start:
        raise ModelFileError(
            f"declares the array {name!r} with the shape {tuple(shape)}, which does not match its "
            f"{stop - start:,} bytes."
        )
    try:
        return np.frombuffer(data[start:stop], dtype).reshape(shape)
    except ValueError as error:  # an axis of length 0 and another that is too long
        raise ModelFileError(f"declares the array {name!r} with an impossible shape.") from error


@contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    """Give the name of a new file in the same folder, which replaces `path` at the end."""
    target = Path(os.path.realpath(path))  # a symbolic link is kept, and its target replaced
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder: pass the name of a file.")
    with scratch_folder(target) as scratch:
        temporary = scratch / "new"
        with open(temporary, "xb") as file:  # has the permissions that new files get
            mode = os.fstat(file.fileno()).st_mode
        yield temporary
        if target.exists():
            mode = target.stat().st_mode
        os.chmod(temporary, mode & 0o777)  # the writer may have made the file again
        os.replace(temporary, target)
        flush_folder(target.parent)


@contextmanager
def _errors_of_the_system() -> Iterator[None]:
    """Raise errors of the file system as OSErrors. safetensors has a class of its own for them."""
    try:
        yield
    except Exception as error:
        # The second form is that of older versions.
        if (number := re.search(r"(?:\(os error |Os \{ code: )(\d+)", str(error))) is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _safetensors_writer() -> Any:
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(
            "Model files are written by safetensors: pip install 'shallow-ae[files]'."
        ) from error
    return save_file
