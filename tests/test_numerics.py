"""Whether JAX starts, and what happens in processes that are forked afterwards."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from shallow_ae import ShallowAutoEncoder
from shallow_ae._runtime import jax_settings

PROGRAM = """
import os
import signal
import sys
import warnings

import numpy as np

from shallow_ae import ShallowAutoEncoder, SparseShallowAutoEncoder

warnings.simplefilter("ignore")  # of forks with threads, by Python and by JAX
X = np.random.default_rng(0).poisson(0.4, (60, 12)).astype(np.float32)

def exact():
    ShallowAutoEncoder(solver="exact").fit(X).recommend(X, k=2)

def nearest():
    SparseShallowAutoEncoder(n_neighbors=5).fit(X).recommend(X, k=2)

def descend():
    ShallowAutoEncoder(max_iter=3).fit(X)

def in_child(work):
    process = os.fork()
    if not process:
        signal.alarm(60)  # ends a process that waits for threads that are not there
        try:
            work()
            os._exit(0)
        except RuntimeError as error:
            os._exit(3 if "forked from one in which JAX had started" in str(error) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

exact(), nearest(), ShallowAutoEncoder().plan(X)
print(in_child(descend), in_child(exact))
descend()
print(in_child(descend), in_child(exact), in_child(nearest))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.slow
def test_a_forked_process_fits_without_jax_and_says_why_it_cannot_with_it():
    settings = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM]
    child = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    assert child.stdout.split() == ["0", "0", "3", "0", "0"]


def test_backends_other_than_the_cpu_are_asked_of_jax(monkeypatch):
    monkeypatch.setattr(jax_settings, "_has_plugins", lambda: True)
    monkeypatch.setitem(jax.config.values, "jax_platforms", None)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert jax_settings.backend() == "gpu"
    monkeypatch.setattr(jax_settings, "_has_plugins", lambda: False)
    assert jax_settings.backend() == "cpu"


@pytest.mark.parametrize("solver", ["sgd", "exact"])
def test_a_guard_against_transfers_is_for_the_callers_own_code(solver):
    X = np.random.default_rng(0).poisson(0.4, (60, 12))
    with jax.transfer_guard("disallow"):
        model = ShallowAutoEncoder(solver=solver, max_iter=2, early_stopping=solver == "sgd")
        assert model.fit(X).recommend(X, k=2).shape == (60, 2)
