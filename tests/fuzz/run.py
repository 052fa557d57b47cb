"""Runs fuzzing targets for a number of seconds each, and prints a table of what they found.

    python tests/fuzz/run.py                                    # all targets, a minute each
    python tests/fuzz/run.py structures_rankings --seconds 600 --seed 3

A target is a file `structures_*.py` or `bytes_*.py` beside this one. It runs in a process of its
own, as `python FILE --seconds N --seed S --findings FOLDER`, and prints as its last line of output
`{"cases": n, "findings": m}`, or `{"skipped": "the reason"}`. What it prints before that says how
to repeat each finding. Before it tries a case it may write it to `FOLDER/NAME.case`: if the process
dies of a signal, the file says of which case. The exit status is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from surroundings import variables

FOLDER = Path(__file__).resolve().parent
FINDINGS = FOLDER / "findings"
GRACE = 900  # seconds after the time is over: a falsifying example is made smaller for up to 300


@dataclass
class Result:
    """What the process of one target came to."""

    target: str
    seconds: float
    cases: int = 0
    findings: int = 0
    skipped: str = ""
    report: str = ""


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Run the targets that the arguments name, print the table, and return the exit status."""
    files = {file.stem: file for file in sorted(folder.glob("*_*.py"))}
    targets = [name for name in files if name.startswith(("structures_", "bytes_"))]
    asked = parsed(arguments, targets)
    asked.findings.mkdir(parents=True, exist_ok=True)
    print(f"{len(asked.targets)} targets, {asked.seconds:g} seconds each, seed {asked.seed}")
    with ThreadPoolExecutor(asked.processes) as pool:
        results = list(pool.map(lambda name: tried(files[name], asked), asked.targets))
    print_table(results)
    return int(any(result.findings for result in results))


def parsed(arguments: list[str] | None, targets: list[str]) -> argparse.Namespace:
    """Return the checked arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="targets at the same time")
    parser.add_argument("--findings", type=Path, default=FINDINGS, help="folder of what is found")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.targets if name not in targets]
    if unknown:
        parser.error(f"no target {unknown[0]!r}: expected some of {', '.join(targets)}")
    asked.targets = asked.targets or targets
    asked.findings = asked.findings.resolve()
    return asked


def tried(file: Path, asked: argparse.Namespace) -> Result:
    """Run one target to its end, report what it found at once, and return the result."""
    (asked.findings / f"{file.stem}.case").unlink(missing_ok=True)
    begin = time.monotonic()
    command = [sys.executable, file, "--seconds", asked.seconds, "--seed", asked.seed]
    try:
        ended = subprocess.run(
            [*map(str, command), "--findings", str(asked.findings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=variables(),
            timeout=asked.seconds + GRACE,
        )
        output, status = ended.stdout, ended.returncode
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(errors="replace"), None
    result = read(file.stem, output, status, asked)
    result.seconds = time.monotonic() - begin
    if result.report:
        print(f"\n{'=' * 30} {file.stem} {'=' * 30}\n{result.report}", flush=True)
    return result


def read(target: str, output: str, status: int | None, asked: argparse.Namespace) -> Result:
    """Return the result that the output of a target and the end of its process tell."""
    result = Result(target, 0.0)
    before, _, last = output.rstrip().rpartition("\n")
    try:
        told = json.loads(last)
        result.cases, result.findings = told.get("cases", 0), told.get("findings", 0)
        result.skipped = told.get("skipped", "")
    except (ValueError, AttributeError):
        before, told = output, None
    if told is None or (status != 0 and not result.findings):
        result.findings += 1
        before += f"\n{ending(status)}, seed {asked.seed}. {case_of(target, asked.findings)}"
    (asked.findings / f"{target}.case").unlink(missing_ok=True)
    result.report = before.strip() if result.findings else ""
    return result


def ending(status: int | None) -> str:
    """Return how a process ended that was not to end so."""
    if status is None:
        return f"The process had not ended {GRACE} seconds after its time"
    if status < 0:
        return f"The process died of {signal.Signals(-status).name}"
    return f"The process ended with status {status} and no counts"


def case_of(target: str, findings: Path) -> str:
    """Return where the last case of a target lies, and its beginning."""
    file = findings / f"{target}.case"
    if not file.exists():
        return "It left no case."
    kept = file.rename(file.with_name(f"{target}-{time.strftime('%Y%m%d-%H%M%S')}.case"))
    return f"The case is in {kept}:\n{kept.read_bytes()[:2000].decode(errors='replace')}"


def print_table(results: list[Result]) -> None:
    """Print a line for each target."""
    width = max([len("target"), *(len(result.target) for result in results)])
    print(f"\n{'target':{width}}  {'cases':>9}  {'findings':>8}  {'seconds':>7}")
    for result in results:
        line = f"{result.target:{width}}  {result.cases:9,}  {result.findings:8,}"
        print(
            f"{line}  {result.seconds:7.0f}" + f"  skipped: {result.skipped}" * bool(result.skipped)
        )


if __name__ == "__main__":
    raise SystemExit(main())
