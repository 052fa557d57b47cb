"""Folders that are written completely or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


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
    """Yield an empty folder beside `folder`, and rename it to `folder` after the block.

    After an error in the block, `folder` is as before. Until the end of the block, a folder that is
    replaced stays as it is.
    """
    check_folder(folder, overwrite=overwrite)
    new, old = (folder.with_name(f".{folder.name}.{uuid4().hex}.{tag}") for tag in ("new", "old"))
    new.mkdir()
    try:
        yield new
        check_folder(folder, overwrite=overwrite)  # another process may have written it
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
