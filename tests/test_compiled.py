"""Machine code on disk: a help where it is whole, and no harm where it is not."""

import errno
import importlib.util
import os
from pathlib import Path

import numba
import pytest
from numba.core import caching

from shallow_ae._runtime import code_cache

SOURCE = """
from shallow_ae._runtime.compiled import compiled

@compiled
def add(a, b):
    return a + b
"""


@pytest.fixture
def path(tmp_path):
    """Return a module with a compiled function, whose code nobody has kept yet."""
    folder = tmp_path / f"{tmp_path.name}_of_{os.getpid()}"  # processes share Numba's folder
    folder.mkdir()
    path = folder / "adds.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def hits_and_misses(path):
    """Call the function as a new process would; return how often its code was found on disk."""
    code_cache._sources_of.cache_clear()
    spec = importlib.util.spec_from_file_location("adds", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.add(2, 3) == 5
    stats = module.add.stats
    return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


def files_of(path):
    """Return the index and the code that were kept for the function."""
    folders = Path(numba.config.CACHE_DIR).glob(f"{path.parent.name}_*")
    found = [file for folder in folders for file in folder.glob("adds.add*")]
    assert {file.suffix for file in found} == {".nbi", ".nbc"}
    return found


def test_code_is_kept(path):
    assert hits_and_misses(path) == (0, 1)
    assert hits_and_misses(path) == (1, 0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [lambda _: b"", lambda b: b[: len(b) // 2], lambda _: b"no"])
def test_damaged_code_is_compiled_and_kept_anew(path, suffix, damage):
    hits_and_misses(path)
    for file in files_of(path):
        if file.suffix == suffix:
            file.write_bytes(damage(file.read_bytes()))
    assert hits_and_misses(path) == (0, 1)
    assert hits_and_misses(path) == (1, 0)


def test_code_of_another_signature_is_not_run(path):
    # As after a process that was killed after it had written the index, and before the code.
    hits_and_misses(path)
    old = {file: file.read_bytes() for file in files_of(path) if file.suffix == ".nbc"}
    path.write_text(SOURCE.replace("a + b", "2 * a + b - 2"), encoding="utf-8")
    hits_and_misses(path)
    for file, code in old.items():
        file.write_bytes(code)
    assert hits_and_misses(path) == (0, 1)
    assert hits_and_misses(path) == (1, 0)


def test_a_flipped_bit_of_the_code_is_noticed(path):
    hits_and_misses(path)
    (file,) = (file for file in files_of(path) if file.suffix == ".nbc")
    whole = file.read_bytes()
    for place in range(0, len(whole), len(whole) // 20):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        hits_and_misses(path)
        assert file.read_bytes()[place] == whole[place]


def test_code_that_cannot_be_written_is_compiled_each_time(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert hits_and_misses(path) == (0, 1)
    assert hits_and_misses(path) == (0, 1)


def test_without_a_folder_to_write_to_nothing_is_kept(path, monkeypatch):
    def nowhere(*_):
        raise RuntimeError("no locator available")

    for kind in ("_WrittenCache", "_ReadCache"):
        monkeypatch.setattr(f"shallow_ae._runtime.code_cache.{kind}", nowhere)
    assert hits_and_misses(path) == (0, 1)
    assert hits_and_misses(path) == (0, 1)
