"""Text files of interactions: CSV, TSV, and lines of `user item count`."""

from __future__ import annotations

import errno
import lzma
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from csv import QUOTE_NONE
from os import PathLike
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

_MOST_QUOTED = 80  # maximum number of characters of a line quoted in a message
_LISTENS_FORMAT = "Expected lines of `user item count`, with a finite count >= 0."


def read_listens(path: str | PathLike[str]) -> pd.DataFrame:
    """Return the lines of a file of `user item count`, as `load_listens` documents it."""
    with damage_told(path):
        lines = _read_fields(path)
    blank = lines.isna().all(axis=1)
    if blank.all():
        raise ValueError(f"{path} is empty. {_LISTENS_FORMAT}")
    lines = lines[~blank]
    counts = pd.to_numeric(lines["count"], errors="coerce")
    bad = ~counts.between(0, np.inf, inclusive="left") | lines["surplus"].notna()
    if bad.any():
        place = int(bad.to_numpy().argmax())
        number, quoted = int(lines.index[place]) + 1, " ".join(lines.iloc[place].dropna())
        raise ValueError(
            f"{path}, line {number} ({_shortened(quoted)!r}) is the first of {int(bad.sum()):,} "
            f"bad lines. {_LISTENS_FORMAT}"
        )
    return lines.assign(count=counts).drop(columns="surplus").reset_index(drop=True)


def read_separated(path: str | PathLike[str], separator: str) -> pd.DataFrame:
    """Return a file with a header and separated fields. An id may be "NA" or "nan"."""
    options: dict[str, Any] = {
        "sep": separator,
        "keep_default_na": False,
        "na_values": [""],
        "index_col": False,  # without it, a surplus field in each line moves all columns by one
        "low_memory": False,  # with it, the same id may be a number in one part and text in another
    }
    try:
        with damage_told(path), warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(path, **options)
            return frame
    except pd.errors.ParserWarning as error:
        raise ValueError(
            f"{path} has lines with more fields than its header. Expected a name for each field."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise ValueError(
            f"{path} is empty. Expected a header with the names of columns."
        ) from error
    except pd.errors.ParserError as error:
        raise ValueError(f"{path}: {_shortened(str(error))}") from error


def _read_fields(path: str | PathLike[str]) -> pd.DataFrame:
    """Return the first four fields of each line; missing fields are NaN."""
    options: dict[str, Any] = {
        "sep": r"\s+",
        "header": None,
        "names": ["user", "item", "count", "surplus"],
        "dtype": str,
        "keep_default_na": False,  # an id may be "NA" or "nan"
        "na_values": [""],
        "quoting": QUOTE_NONE,  # an id may hold a quotation mark
        "skip_blank_lines": False,  # so that row r is line r + 1
    }
    try:
        # Without `usecols`, pandas would use surplus leading fields of the first line as an index.
        fields: pd.DataFrame = pd.read_csv(path, usecols=range(4), index_col=False, **options)
        return fields
    except pd.errors.ParserError:
        pass  # the first lines have fewer than four fields, so pandas uses none as an index
    try:
        fields = pd.read_csv(path, **options)
        return fields
    except pd.errors.ParserError as error:
        raise ValueError(f"{path}: {_shortened(str(error))} {_LISTENS_FORMAT}") from error


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_QUOTED else f"{text[: _MOST_QUOTED - 3]}..."


@contextmanager
def damage_told(path: str | PathLike[str]) -> Iterator[None]:
    """Convert errors of reading and decompression to a ValueError that names the file."""
    try:
        yield
    except EOFError as error:
        raise ValueError(_damage(path, "cut short", error)) from error
    except UnicodeDecodeError as error:
        raise ValueError(_damage(path, "no text in UTF-8, or damaged", error)) from error
    except (zlib.error, lzma.LZMAError) as error:
        raise ValueError(_damage(path, "damaged", error)) from error
    except (BadZipFile, NotImplementedError) as error:  # the latter of an unknown compression
        raise ValueError(_damage(path, "cut short or damaged", error)) from error
    except RuntimeError as error:
        raise ValueError(_damage(path, "encrypted, or damaged", error)) from error
    except OSError as error:
        is_place = error.errno == errno.EINVAL and error.filename is None  # stated in a zip file
        if error.errno is not None and not is_place:
            raise  # an error of the file system, which does not concern the content
        raise ValueError(_damage(path, "damaged", error)) from error


def _damage(path: str | PathLike[str], fault: str, error: Exception) -> str:
    return f"{path} is {fault} ({_shortened(str(error))}). Write or download the file again."
