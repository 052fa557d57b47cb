"""Functions that the benchmarks share: peak memory, and environments with another library."""

import subprocess
import sys
from pathlib import Path


def memory_mib(what: str = "VmHWM") -> float:
    """Return the high-water mark of this process, or its present size by "VmRSS"."""
    # Not getrusage's ru_maxrss: a child inherits that of the process that has started it.
    status = dict(
        line.split(":")
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    )
    return int(status[what].split()[0]) / 1024


def forget_peak() -> None:
    """Let the high-water mark begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def make_environment(folder: Path, *requirements: str) -> str:
    """Make an environment where it is not there yet; return what pip has said against it, or ""."""
    python = folder / "bin" / "python"
    if python.exists():
        return ""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [python, "-m", "pip", "install", "-q", *requirements]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def environment(folder: Path, package: str, *beside: str) -> str | None:
    """Return the Python of an environment with a peer, made where it is not there yet."""
    python = folder / package / "bin" / "python"
    print(make_environment(folder / package, package, *beside), end="")
    probe = f"import {package}, importlib.metadata as m; print(m.version({package!r}))"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    print(f"{package}: {found.stdout.strip() or 'absent'}")
    return str(python) if found.returncode == 0 else None
