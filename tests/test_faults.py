"""After kills, on full disks and under limits, what is left is whole and messages help."""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from shallow_ae._runtime import cgroups, folders

SLOW = pytest.mark.slow
FOLDER = Path(__file__).with_name("faults")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs are for Linux")


def run(*arguments):
    """Run Python with arguments, and return the process after its end."""
    command = [sys.executable, *map(str, arguments)]
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


# Kills


@pytest.mark.slow
@pytest.mark.parametrize("work", ["fit", "save", "update", "batches", "serve"])
def test_a_killed_process_leaves_the_old_or_the_new_state(work):
    found = run(FOLDER / "kill.py", work, "--times", 20)
    row = re.search(rf"^{work} +(.*)$", found.stdout, re.MULTILINE)
    assert row, found.stderr
    # How many kills come in the midst of a write depends on the machine.
    times, kill, interrupt, terminate, _, _, _, _, lost, _ = map(int, row[1].split())
    assert (times, kill, interrupt, terminate, lost) == (20, 7, 7, 6, 0), found.stdout


LOSING = """
import sys, tempfile, time
from pathlib import Path
import harness, saves
from shallow_ae._model_files import container
from shallow_ae.persistence import model_file

def write_in_place(path, contents):
    container.write(path.with_name("whole"), contents)
    with open(path, "wb") as file:
        whole = path.with_name("whole").read_bytes()
        for part in (whole[:1000], whole[1000:]):
            file.write(part)
            file.flush()
            time.sleep(0.05)

with tempfile.TemporaryDirectory() as folder:
    work = saves.Save(Path(folder))
    model_file.write = write_in_place
    print(*(loss.split(": ")[1] for loss in harness.killed(work, 9).losses))
"""


def test_the_program_sees_a_file_that_is_lost():
    found = run("-c", LOSING)
    assert set(found.stdout.split()) == {"ModelFileError"}, found.stderr


# What killed processes leave


def left_by_a_kill(target, name):
    """Make a folder as a killed process leaves it beside a target, with a folder in it."""
    left = target.with_name(f".{target.name}.{folders._host()}{'0' * 24}.tmp")
    (left / name).mkdir(parents=True)
    return left


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path):
    target = tmp_path / "out"
    left_by_a_kill(target, "new")
    left_by_a_kill(tmp_path / "other", "new")
    with folders.whole_folder(target, overwrite=False) as new:
        (new / "file").touch()
        names = sorted(own.name for own in tmp_path.iterdir())
        with folders.scratch_folder(target):  # a second process: the lock keeps the first's folder
            assert set(names) <= {own.name for own in tmp_path.iterdir()}
    assert sorted(own.name for own in tmp_path.iterdir()) == [
        f".other.{folders._host()}{'0' * 24}.tmp",
        "out",
    ]
    assert [own.name for own in target.iterdir()] == ["file"]


def test_an_empty_folder_is_left_to_a_process_that_has_just_made_it(tmp_path):
    target = tmp_path / "out"
    left = left_by_a_kill(target, "new")
    (left / "new").rmdir()
    folders.delete_abandoned(target)
    assert left.exists()
    os.utime(left, (0, 0))
    folders.delete_abandoned(target)
    assert not left.exists()


def test_a_folder_that_a_kill_between_two_renames_took_away_is_restored(tmp_path):
    target = tmp_path / "out"
    left = left_by_a_kill(target, "old")
    (left / "old" / "file").touch()
    folders.delete_abandoned(target)
    assert [own.name for own in target.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_only_has_the_name_of_a_scratch_folder_is_left_alone(tmp_path):
    target, victim = tmp_path / "out", tmp_path / "victim"
    (victim / "old").mkdir(parents=True)
    (tmp_path / f".out.{folders._host()}{'0' * 24}.tmp").symlink_to(victim)
    os.mkfifo(tmp_path / f".out.{folders._host()}{'1' * 24}.tmp")
    (tmp_path / f".out.{folders._host()}{'2' * 24}.tmp").write_text("a file")
    with folders.whole_folder(target, overwrite=False) as new:
        (new / "part").write_text("new")
    assert [own.name for own in target.iterdir()] == ["part"]
    assert (victim / "old").is_dir()


def test_a_folder_that_is_replaced_keeps_its_permissions(tmp_path):
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    with folders.whole_folder(target, overwrite=True):
        pass
    assert target.stat().st_mode & 0o777 == 0o700


# Disks


@pytest.fixture
def open_folder():
    """Return a folder that users other than root can reach, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(
            "full",
            "No space left on device: .* Free some space there, or pass another path: ",
            marks=SLOW,
        ),
        ("limited", r"File too large: .* Raise the limit on the size of files \(`ulimit -f`\)"),
        pytest.param("read-only", "Read-only file system: .* Pass a path in a folder", marks=SLOW),
        ("refused", "Permission denied: .* Pass a path in a folder that you can write to"),
    ],
)
def test_a_write_that_fails_changes_nothing_and_says_what_to_do(fault, told, open_folder):
    folder = open_folder / "disk"
    folder.mkdir()
    process = run(FOLDER / "writes.py", fault, folder)
    if process.returncode == 77:
        pytest.skip("only root can mount a file system")
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found.pop("whole")
    assert found.pop("no more files")
    assert len(found) == 4
    for kind, message in found.values():
        assert kind == ("PermissionError" if fault == "refused" else "OSError")
        assert re.search(told, message)
        assert "nothing was written, and an earlier version is unchanged" in message
        assert str(folder) in message


# Memory


def test_fits_that_lack_addresses_are_refused_and_say_why():
    process = run(FOLDER / "addresses.py")
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert len(found) == 8
    for fit, (kind, message) in found.items():
        assert kind == "MemoryError", fit
        if fit.startswith("sgd"):
            assert re.search(
                r"JAX needs .*Raise the limit \(`ulimit -v`\), or use solver=", message
            )
        else:
            assert "The process has a limit (`ulimit -v` or `-d`), which you can raise." in message


def test_a_process_in_a_control_group_heeds_its_limit():
    for _, names, own in cgroups._groups():
        group = own / f"shallow_ae-{os.getpid()}"
        try:
            group.mkdir()
            (group / names.limit).write_text("400000000", encoding="ascii")
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            process = run(FOLDER / "addresses.py", group)
        finally:
            group.rmdir()
        assert process.returncode == 0, process.stderr
        found = json.loads(process.stdout)
        assert 0 < found["free"] <= 400_000_000
        assert found["sgd"][0] == "MemoryError"
        return
    pytest.skip("this process cannot make a control group with a limit of memory")


# Machine code

ADD = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
import adds
print(adds.add(2, 3), sum(adds.add.stats.cache_hits.values()))
"""


def test_a_function_is_compiled_where_its_code_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "adds.py").write_text(
        "from shallow_ae._runtime.compiled import compiled\n\n"
        "@compiled\ndef add(a, b):\n    return a + b\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "code"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for _ in range(2):
        assert run("-c", ADD, tmp_path).stdout.split() == ["5", "0"]
    assert not [file for file in (tmp_path / "code").rglob("*") if file.suffix == ".nbc"]
