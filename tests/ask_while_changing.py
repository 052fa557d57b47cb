"""Asks models from many threads while another thread changes them, and checks each answer.

Every kind of model goes through a cycle of states: fits, updates, files. An answer must be the
answer of one of these states, never a mixture of two. As a program:

    python tests/ask_while_changing.py --minutes 10 --threads 8 --seed 0
"""

import argparse
import faulthandler
import random
import sys
import tempfile
import threading
import time
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from changing_models import KINDS, Subject

STUCK_S = 120.0  # an answer or a change takes milliseconds
SWITCH_S = 1e-5  # Python changes threads every 5 ms otherwise: between calls, not inside them


class Counted(NamedTuple):
    """What the threads found for one kind of model."""

    answers: int
    changes: int
    states: int
    wrong: list[str]  # answers of no state
    errors: list[str]  # errors that no state raises

    def __str__(self) -> str:
        counts = f"{self.answers:>9,} answers {self.changes:>7,} changes of {self.states} states"
        return f"{counts} {len(self.wrong):>4} wrong {len(self.errors):>4} errors"


def answer_of(question):
    """Return the answer as plain values and arrays. An error is an answer, too."""
    try:
        return _plain(question())
    except Exception as error:  # whatever a user may get
        return type(error).__name__, str(error)


def _plain(value: Any) -> Any:
    """Return a value as nested lists of numbers, texts and arrays."""
    if isinstance(value, pd.DataFrame):
        return [list(value.columns), *(value[name].to_numpy() for name in value.columns)]
    if sp.issparse(value):
        return [value.shape, value.indptr, value.indices, value.data]
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def is_same(found: Any, expected: Any, tolerance: float) -> bool:
    """Return whether two answers are equal: numbers to a tolerance, everything else exactly."""
    if isinstance(expected, list | tuple):
        return (
            type(found) is type(expected)
            and len(found) == len(expected)
            and all(is_same(*own, tolerance) for own in zip(found, expected, strict=True))
        )
    if not isinstance(expected, np.ndarray | float):
        return bool(found == expected)
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.dtype.kind != "f":
        return np.array_equal(found, expected)
    largest = np.nanmax(np.abs(expected), initial=0)
    return np.allclose(found, expected, rtol=0, atol=tolerance * largest, equal_nan=True)


class Answers:
    """The answers of each state of a subject, given while nothing else runs."""

    def __init__(self, subject: Subject) -> None:
        self._tolerance = subject.tolerance
        self._known: dict[str, list[Any]] = {name: [] for name in subject.questions}
        for change in subject.changes:
            change()
            for name, question in subject.questions.items():
                answer = answer_of(question)
                if not self.has(name, answer):
                    self._known[name].append(answer)

    def check(self, subject: Subject) -> None:
        """Raise an AssertionError unless another cycle leads to the same states."""
        for change in subject.changes:
            change()
            for name, question in subject.questions.items():
                assert self.has(name, answer_of(question)), name

    def has(self, name: str, answer: Any) -> bool:
        """Return whether a state gives this answer."""
        return any(is_same(answer, own, self._tolerance) for own in self._known[name])


def ask_while_changing(
    kind: str, seconds: float, n_threads: int = 8, seed: int = 0, *, is_checked: bool = False
) -> Counted:
    """Change a model of this kind in one thread, ask it in others, and compare their answers."""
    with tempfile.TemporaryDirectory() as folder:
        subject = KINDS[kind](folder)
        answers, end, n_answers = Answers(subject), threading.Event(), [0] * n_threads
        if is_checked:
            answers.check(subject)
        counted = Counted(0, 0, len(subject.changes), [], [])

        def ask(number: int) -> None:
            chance = random.Random(f"{seed} {number}")
            try:
                while not end.is_set() or not n_answers[number]:
                    _ask(subject, answers, counted, chance.choice(sorted(subject.questions)))
                    n_answers[number] += 1
            except Exception as error:  # of this program
                counted.errors.append(f"a thread: {error!r}")

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        try:
            n_changes = _change_for(seconds, subject, counted.errors)
        finally:
            end.set()
            for thread in threads:
                thread.join()
    return counted._replace(answers=sum(n_answers), changes=n_changes)


def _ask(subject: Subject, answers: Answers, counted: Counted, name: str) -> None:
    """Ask one question, and note an answer that no state gives."""
    answer = answer_of(subject.questions[name])
    if not answers.has(name, answer):
        found = counted.errors if isinstance(answer, tuple) else counted.wrong
        found.append(f"{name}: {answer}")


def _change_for(seconds: float, subject: Subject, errors: list[str]) -> int:
    """Go through the cycle of changes for this time, and return how many there were."""
    stop, n_changes = time.monotonic() + seconds, 0
    try:
        while time.monotonic() < stop or n_changes < len(subject.changes):
            subject.changes[n_changes % len(subject.changes)]()
            n_changes += 1
    except Exception as error:  # whatever a user may get
        errors.append(f"a change: {error!r}")
    return n_changes


def main() -> int:
    """Ask all kinds for the given time, print what was counted, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="one kind only")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of columns that a state does not know
    sys.setswitchinterval(SWITCH_S)
    kinds = [given.kind] if given.kind else list(KINDS)
    seconds, is_wrong = 60 * given.minutes / len(kinds), False
    for kind in kinds:
        faulthandler.dump_traceback_later(seconds + STUCK_S, exit=True)
        counted = ask_while_changing(kind, seconds, given.threads, given.seed, is_checked=True)
        print(f"{kind:<28}{counted}", flush=True)
        for told in (counted.wrong[:2], counted.errors[:2]):
            print("".join(f"    {text[:400]}\n" for text in told), end="")
        is_wrong |= bool(counted.wrong or counted.errors)
    faulthandler.cancel_dump_traceback_later()
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
