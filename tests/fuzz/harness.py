"""Tries a property on cases that hypothesis makes, and says how to repeat what it finds.

A target consists of a strategy, and of a function that fails if the library's answers to a case
are wrong, or if the library raises an error that does not tell the caller what to change. As a
script, it calls `run(check, cases)`.
"""

import surroundings  # isort: skip: Numba reads the variables when it is imported
import argparse
import faulthandler
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hypothesis
import jax
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

BATCH = 50  # cases
MOST_FINDINGS = 10
SETTINGS = settings(
    database=None,
    deadline=None,
    derandomize=False,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
OWN = (str(surroundings.CHECKOUT / "shallow_ae"), str(Path(__file__).resolve().parent))


class Trials:
    """Tries cases in batches, each with a seed of its own, and keeps counts and findings."""

    def __init__(
        self,
        check: Callable[[Any], None],
        cases: SearchStrategy[Any],
        case_file: Path | None = None,
        deadline: float = np.inf,
        phases: Iterable[Phase] = (Phase.generate, Phase.shrink),
    ) -> None:
        self.cases, self.findings = 0, list[str]()
        self._check, self._strategy, self._deadline = check, cases, deadline
        self._settings = settings(SETTINGS, phases=phases)
        self._known = set[tuple[Any, ...]]()
        self._has_failed = False  # in this batch
        self._case_file = case_file

    def batch(self, seed: int, n_cases: int = BATCH) -> None:
        """Try one batch of cases."""

        def check(case: Any) -> None:
            self._try(case)

        self._has_failed = False
        try:
            own = settings(self._settings, max_examples=n_cases)
            hypothesis.seed(seed)(own(given(self._strategy)(check)))()
        except ExceptionGroup as group:
            for error in group.exceptions:
                self._note(error, seed)
        except Exception as error:
            self._note(error, seed)

    def _try(self, case: Any) -> None:
        if not self._has_failed and time.monotonic() > self._deadline:
            return  # what has failed is made smaller to the end
        self.cases += 1
        self._write(case)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", RuntimeWarning)  # of NumPy, in the library
                self._check(case)
        except Exception as error:
            if origin(error) in self._known:
                return  # for what hides behind it
            self._has_failed = True
            raise

    def _write(self, case: Any) -> None:
        """Keep a case before it is tried, as the process may die of it."""
        if self._case_file is not None:
            self._case_file.write_bytes(repr(case).encode(errors="replace"))

    def _note(self, error: Exception, seed: int) -> None:
        self._known.add(origin(error))
        told = "".join(traceback.format_exception(error, limit=-8))
        self.findings.append(told)
        print(f"--- finding {len(self.findings)}, in the batch of seed {seed}\n{told}", flush=True)


def origin(error: BaseException) -> tuple[Any, ...]:
    """Return what errors of the same fault have in common: type, lines, beginning of the text."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(OWN) and f.filename != __file__]
    lines = tuple((f.filename, f.lineno) for f in own)
    named = str(error).strip().partition("\n")[0].partition(":")[0]
    return type(error), lines[-3:], named if isinstance(error, AssertionError) else ""


def be_strict() -> None:
    """Have JAX refuse what is not written out, and print arrays so that a case can be repeated."""
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    np.set_printoptions(threshold=sys.maxsize, floatmode="unique")


def run(check: Callable[[Any], None], cases: SearchStrategy[Any]) -> None:
    """Try cases for as long as the command line says, and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path(__file__).parent / "findings")
    asked = parser.parse_args()
    asked.findings.mkdir(parents=True, exist_ok=True)
    faulthandler.enable()
    be_strict()
    end, batch = time.monotonic() + asked.seconds, 0
    file = asked.findings / f"{Path(sys.argv[0]).stem}.case"
    trials = Trials(check, cases, file, end)
    while time.monotonic() < end and len(trials.findings) < MOST_FINDINGS:
        trials.batch(asked.seed * 1_000_003 + batch)
        batch += 1
    print(json.dumps({"cases": trials.cases, "findings": len(trials.findings)}))
    raise SystemExit(bool(trials.findings))
