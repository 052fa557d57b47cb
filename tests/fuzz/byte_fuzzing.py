"""Runs a target of the fuzzing suite on bytes: with atheris, which keeps what reaches new code.

A target is a function that takes bytes and raises an error if the library has a fault. Each file
`bytes_*.py` holds one, and runs it as a program:

    python tests/fuzz/bytes_text_files.py --seconds 60 --seed 0 --findings FOLDER

Each fault is written to the folder once, as the bytes and a text with the traceback. The last line
of the output is JSON: {"cases": n, "findings": m}. `--case FILE` tries one such file again.

The cases are tried in a child process. If it dies or hangs, that is a fault too, and another child
goes on with the next seed. Without atheris, the seeds are changed at random.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import json
import mmap
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LONGEST = 2**16  # bytes of a case
_MOST_SECONDS = 120  # for one case: more is a hang
_START = time.monotonic()
_CURRENT, _COUNT, _STACKS = "current", "count", "stacks"


class Target(NamedTuple):
    """What a target tries.

    Parameters
    ----------
    check : callable `check(data)`
        Raises an error if the library has a fault.
    seeds : callable `seeds()`
        Returns the bytes to start from.
    mutate : callable `mutate(data, rng)`, optional
        Changes a case. None changes bytes at random, as libFuzzer does.
    """

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, random.Random], bytes] | None = None


def instrumented():
    """Return a context in which atheris instruments imports of the library, in a child process.

    Modules with compiled functions are left as they are: Numba reads their bytecode.
    """
    if "--child" not in sys.argv:
        return contextlib.nullcontext()
    try:
        import atheris
    except ImportError:
        return contextlib.nullcontext()
    root = Path(__file__).resolve().parents[2]
    compiled = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.glob("shallow_ae/**/*.py")
        if re.search("^ *@(compiled|callee|inlined)", path.read_text("utf-8"), re.MULTILINE)
    ]
    return atheris.instrument_imports(include=["shallow_ae"], exclude=compiled)


def changed_bytes(data, rng):
    """Return bytes with a few of them changed, inserted, left out or repeated."""
    own = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        place, kind = rng.randrange(len(own) + 1), rng.randrange(4)
        length = rng.choice([1, 1, 2, 4, 8])
        if kind == 0:
            own[place : place + length] = rng.randbytes(length)
        elif kind == 1:
            own[place:place] = rng.randbytes(length)
        elif kind == 2:
            del own[place : place + length]
        else:
            start = rng.randrange(len(own) + 1)
            own[place:place] = own[start : start + 4 * length]
    return bytes(own[:LONGEST])


def try_at_random(target, n_cases, seed=0):
    """Try the seeds of a target and so many changes of them; raise the error of the first fault."""
    rng, seeds = random.Random(seed), target.seeds()
    for data in seeds:
        target.check(data)
    for _ in range(n_cases):
        target.check(_changed(target, rng.choice(seeds), rng))


def main(target):
    """Run a target as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--case", type=Path, help="try one file again, in this process")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        target.check(given.case.read_bytes())
    elif given.child:
        _try_many(target, given)
    else:
        _supervise(given)


def _supervise(given):
    """Start children until the time is over, and tell what they have tried and found."""
    given.findings /= Path(sys.argv[0]).stem  # of this target: others may run at the same time
    given.findings.mkdir(parents=True, exist_ok=True)
    end, n_cases, seed = time.monotonic() + given.seconds, 0, given.seed
    earlier = set(given.findings.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        # An index out of bounds is an error, and each child finds the machine code of the first.
        environment = _environment(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=folder + "/compiled")
        while (left := end - time.monotonic()) > 1:
            own = Path(folder, f"child{seed}")
            own.mkdir()
            arguments = ["--seconds", left, "--seed", seed, "--findings", given.findings]
            command = [sys.executable, sys.argv[0], *map(str, arguments), "--child", str(own)]
            child = subprocess.Popen(command, env=environment, stdout=2)
            cause = _cause_of_end(child, own, left + _MOST_SECONDS)
            n_cases += _number_in(own / _COUNT)
            if cause and (own / _CURRENT).exists():
                _write(given.findings, _bytes_in(own / _CURRENT), cause.splitlines()[0], cause)
            seed += 1
            if cause and not (own / _CURRENT).exists():
                raise SystemExit(f"The target cannot start: {cause}.")
    found = {file for file in given.findings.iterdir() if file.suffix == ".txt"} - earlier
    for file in sorted(found):
        print(f"{file.with_suffix('.bin')}:\n{file.read_text(encoding='utf-8')}")
    print(json.dumps({"cases": n_cases, "findings": len(found)}))


def _environment(**values):
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return os.environ | values | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _cause_of_end(child, folder, seconds):
    """Wait for a child, and return why it died or was ended; None if it came to its end."""
    end, last, since = time.monotonic() + seconds, -1, time.monotonic()
    while child.poll() is None:
        time.sleep(0.2)
        count, now = _number_in(folder / _COUNT), time.monotonic()
        if count != last or not (folder / _CURRENT).exists():
            last, since = count, now
        if now > end:  # it was slow to start
            child.kill()
            child.wait()
            return None
        if now - since > _MOST_SECONDS:
            child.send_signal(signal.SIGUSR1)
            time.sleep(1)
            child.kill()
            child.wait()
            stacks = (folder / _STACKS).read_text("utf-8") if (folder / _STACKS).exists() else ""
            return f"a case took more than {_MOST_SECONDS} seconds\n{stacks}"
    if child.returncode < 0:
        return f"the process died of {signal.Signals(-child.returncode).name}"
    return f"the process ended with {child.returncode}" if child.returncode else None


def _try_many(target, given):
    """Try cases until the time is over. Only a fault that ends the process ends it earlier."""
    counter, seen = _Mapped(given.child / _COUNT), set()
    stacks = open(given.child / _STACKS, "w", encoding="utf-8")  # noqa: SIM115
    faulthandler.register(signal.SIGUSR1, stacks)
    warnings.simplefilter("ignore")
    seeds = target.seeds()
    current = _Mapped(given.child / _CURRENT)

    def check(data):
        current.set(data)
        try:
            target.check(data)
        except (Exception, SystemExit) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            if (key := f"{type(error).__name__} {place.filename}:{place.lineno}") not in seen:
                seen.add(key)
                _write(given.findings, data, key, traceback.format_exc())
        counter.add()

    for data in seeds:
        check(data)
    with contextlib.suppress(ImportError):
        return _try_with_atheris(target, check, seeds, given)
    rng, end = random.Random(given.seed), _START + given.seconds
    while time.monotonic() < end:
        check(_changed(target, rng.choice(seeds), rng))
    return None


def _try_with_atheris(target, check, seeds, given):
    import atheris

    corpus = given.child.with_name("corpus")  # a child goes on with what the earlier ones kept
    corpus.mkdir(exist_ok=True)
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
    options = {}
    if target.mutate is not None:

        def changed(data, _, seed):
            return _changed(target, data, random.Random(seed))

        options = {"custom_mutator": changed}
    left = max(1, int(given.seconds + _START - time.monotonic()))
    arguments = [f"-seed={given.seed + 1}", f"-max_total_time={left}"]
    arguments += [
        f"-max_len={LONGEST}",
        "-rss_limit_mb=6000",
        "-timeout=900",
        "-handle_usr1=0",
        "-verbosity=0",
    ]
    arguments += [f"-artifact_prefix={given.child}/", str(corpus)]
    atheris.Setup([sys.argv[0], *arguments], check, **options)
    atheris.Fuzz()  # ends the process


def _changed(target, data, rng):
    return (target.mutate or changed_bytes)(data, rng)


def _write(folder, data, key, text):
    """Write a fault under a name that follows from its kind and place."""
    stem = hashlib.sha256(key.encode()).hexdigest()[:12]
    if not (folder / f"{stem}.txt").exists():
        (folder / f"{stem}.bin").write_bytes(data)
        (folder / f"{stem}.txt").write_text(text, encoding="utf-8")


class _Mapped:
    """A file that another process can read after this process has died."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.truncate(LONGEST + 8)
            self._map = mmap.mmap(file.fileno(), LONGEST + 8)
        self._n = 0

    def set(self, data):
        self._map[8 : 8 + len(data)] = data
        self._map[:8] = len(data).to_bytes(8, "little")

    def add(self):
        self._n += 1
        self._map[:8] = self._n.to_bytes(8, "little")


def _number_in(path):
    return int.from_bytes(path.read_bytes()[:8], "little") if path.exists() else 0


def _bytes_in(path):
    own = path.read_bytes()
    return own[8 : 8 + int.from_bytes(own[:8], "little")]
