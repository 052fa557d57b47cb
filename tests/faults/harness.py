"""Kills a process at random moments of its work, and looks at what is left.

A work is an object with these methods:

    prepare()      in the parent, once
    run()          in the child: works until it is killed, or returns an exit code
    interrupted()  in the child after a KeyboardInterrupt: whether all is as it was
    is_writing()   in the parent, while the child is stopped: whether it is in the midst of a write
    check()        in the parent after the kill: raises a LossError if anything is not whole

Every other kill comes after a random time of at most `seconds`. The rest are aimed: they come a
random moment after a write has begun. The child is forked, which takes milliseconds: the parent has
imported everything, and has neither started JAX nor a thread.
"""

import os
import random
import signal
import time
from dataclasses import dataclass, field

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
MOST_SECONDS_OF_A_WRITE, MOST_SECONDS_TO_END = 0.02, 20.0
INTERRUPTED, NOT_AS_BEFORE, BROKEN = 130, 70, 71  # exit codes of the child


class LossError(Exception):
    """A state is neither the old nor the new one, or the next run does not succeed."""


@dataclass
class Kills:
    """What became of the kills of one work."""

    name: str
    by_signal: dict = field(default_factory=lambda: dict.fromkeys(SIGNALS, 0))
    while_writing: int = 0
    ended: int = 0  # runs that ended before they were killed
    ignored: int = 0  # signals that did not end the process; it was then killed by SIGKILL
    checked: int = 0  # states and answers compared
    losses: list = field(default_factory=list)

    @property
    def times(self):
        """The number of kills."""
        return sum(self.by_signal.values())


def killed(work, times, seed=0):
    """Kill a process that does a work so many times, by each signal in turn."""
    moments, kills = random.Random(seed), Kills(work.name)
    work.prepare()
    try:
        while kills.times < times:
            kill(work, kills, moments)
    finally:
        work.close()
    return kills


def kill(work, kills, moments):
    """Start a work, kill it, and check what is left."""
    number, is_aimed = SIGNALS[kills.times % len(SIGNALS)], kills.times // len(SIGNALS) % 2
    child = start(work)
    if is_aimed:
        is_over = ended_within(child, 20 * work.seconds, work.is_writing)
        wait = moments.uniform(0, MOST_SECONDS_OF_A_WRITE)
    else:
        is_over, wait = False, moments.uniform(0, work.seconds)
    if not is_over and not ended_within(child, wait) and stopped(child):
        kills.while_writing += work.is_writing()
        os.kill(child, number)
        os.kill(child, signal.SIGCONT)
        kills.by_signal[number] += 1
        if not ended_within(child, MOST_SECONDS_TO_END):
            kills.ignored += 1
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            last_status[child] = INTERRUPTED
        status = last_status.pop(child)
        expected = (0, INTERRUPTED) if number == signal.SIGINT else (-number, 0)
    else:
        status, expected = last_status.pop(child), (0,)
        kills.ended += 1
    try:
        if status not in expected:
            raise LossError(f"the process ended with {status}")
        kills.checked += work.check()
    except Exception as error:
        kills.losses.append(f"{number.name}: {type(error).__name__}: {error}")
        work.prepare()


last_status = {}


def start(work):
    """Return the id of a child that does the work."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        os._exit(status_of(work))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return child


def status_of(work):
    """Do the work, and return the exit code. An interrupt may come between any two lines."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the parent ignores it
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return work.run() or 0
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        return INTERRUPTED if work.interrupted() else NOT_AS_BEFORE
    except BaseException as error:
        os.write(2, f"{work.name}: {error!r}\n".encode())
        return BROKEN


def ended_within(child, seconds, until=lambda: False):
    """Wait so long, or until a condition holds, and return whether the child has ended."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not until():
        if has_ended(child):
            return True
        time.sleep(min(left, 0.001))
    return False


def stopped(child):
    """Stop a child, and return whether it is stopped: it may have ended."""
    os.kill(child, signal.SIGSTOP)
    _, status = os.waitpid(child, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return True
    last_status[child] = os.waitstatus_to_exitcode(status)
    return False


def has_ended(child):
    """Return whether a child has ended, and note its exit code."""
    found, status = os.waitpid(child, os.WNOHANG)
    if found:
        last_status[child] = os.waitstatus_to_exitcode(status)
    return bool(found)


class InFolder:
    """A work that writes to one path, with temporary files beside it."""

    def __init__(self, folder):
        self.folder = folder

    def note(self):
        """Return a line for below the table, or an empty text."""
        return ""

    def close(self):
        """End what else is running: nothing."""

    def interrupted(self):
        """Return whether an interrupt has left no temporary file."""
        return not self.temporary()

    def is_writing(self):
        """Return whether there is a temporary file."""
        return bool(self.temporary())

    def temporary(self):
        """Return the temporary files and folders that are not empty."""
        found = [own for own in self.folder.iterdir() if own.name.startswith(".")]
        return [own for own in found if own.is_file() or names_in(own)]

    def check_next_run(self):
        """Raise a LossError if the run after a kill has left temporary files."""
        if left := self.temporary():
            raise LossError(f"the next run left {[own.name for own in left]}")


def names_in(folder):
    """Return the names in a folder; none if the child has deleted it meanwhile."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
