"""Gradient descent with its weights on several devices, in one process and in two."""

import os
import socket
import subprocess
import sys
from itertools import product
from pathlib import Path

import device_fits
import numpy as np
import pytest
from device_fits import FITS, OF_PROCESSES, VARIANT, listens, quick

from shallow_ae._runtime import jax_settings
from shallow_ae._solvers.gradient_descent.fit import weights_of_descent
from shallow_ae._solvers.gradient_descent.host_weights import HostWeights

pytestmark = pytest.mark.slow  # the fixtures start four processes

EIGHT = "--xla_force_host_platform_device_count=8"
# The kernel of a product may depend on the width of a shard, so sums may round differently. All
# weights, scores and losses here are below 100 (seen: 0 for weights, 3e-7 of a loss in float32).
NEAR = {"rtol": 1e-5, "atol": 1e-5}


def free_port():
    with socket.socket() as unbound:
        unbound.bind(("localhost", 0))
        return str(unbound.getsockname()[1])


@pytest.fixture(scope="module")
def one_device():
    """Return the results of this process."""
    return device_fits.results(listens())


@pytest.fixture(scope="module")
def children(tmp_path_factory, one_device):
    """Return the results of a process with eight devices, and of two processes with one each."""
    assert one_device  # comes first: the children load what Numba has compiled for it
    folder = tmp_path_factory.mktemp("devices")
    port = free_port()
    tasks = {"eight devices": (EIGHT,)}
    if sys.platform != "win32":
        tasks |= {"process 0": ("", port, "0"), "process 1": ("", port, "1")}
    running = {}
    for name, (flags, *arguments) in tasks.items():
        command = [sys.executable, device_fits.__file__, str(folder / f"{name}.npz"), *arguments]
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        running[name] = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    try:
        for name, child in running.items():
            output, _ = child.communicate(timeout=150)
            assert child.returncode == 0, f"{name}: {output}"
    finally:
        for child in running.values():
            child.kill()
            child.wait()
    return {path.stem: dict(np.load(path)) for path in Path(folder).iterdir()}


def results_of(children, name):
    if name not in children:
        pytest.skip("jaxlib for Windows has no communication between processes on CPUs")
    return children[name]


@pytest.mark.parametrize(
    ("name", "devices", "processes"),
    [("eight devices", 8, 1), ("process 0", 2, 2), ("process 1", 2, 2)],
)
def test_each_child_had_its_devices(children, name, devices, processes):
    found = results_of(children, name)
    assert (found["devices"], found["processes"]) == (devices, processes)


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        *product(["eight devices"], FITS),
        *product(["process 0", "process 1"], OF_PROCESSES),
    ],
)
def test_fits_on_several_devices_equal_fits_on_one(one_device, children, name, fit):
    spread = results_of(children, name)
    for what in ("weights", "losses", "scores"):
        found, expected = spread[f"{fit}: {what}"], one_device[f"{fit}: {what}"]
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, **NEAR)
    items = f"{fit}: items"
    assert (items in one_device) == ("float32" not in fit)
    np.testing.assert_array_equal(spread.get(items), one_device.get(items))
    layout = "dense" if "dense" in fit else "sparse"
    assert spread[f"{fit}: layout"] == one_device[f"{fit}: layout"] == layout


@pytest.mark.parametrize("interrupt", ["interrupt 3", "interrupt 99"])
def test_an_interrupted_fit_on_devices_keeps_weights_of_so_many_steps(children, interrupt):
    found = children["eight devices"]
    losses = found[f"{interrupt}: losses"]
    assert len(losses) == 24
    expected = quick(max_iter=24, **VARIANT).fit(listens())
    np.testing.assert_allclose(found[f"{interrupt}: weights"], expected.item_weights_, **NEAR)
    np.testing.assert_allclose(losses, expected.loss_curve_, **NEAR)


def test_no_device_hears_of_another_during_steps(children):
    found = children["eight devices"]
    assert len(found["text"]) > 0
    assert all("num_partitions=8" in text for text in found["text"])
    assert found["collectives"].size == 0


def test_weights_stay_on_their_devices_until_the_end(children):
    found = children["eight devices"]
    for fit in ("tol", "float32, dense"):
        assert found[f"copies, {fit}"] == 1
        assert found[f"shard, {fit}"].tolist() == [61, 8]


def test_processes_have_the_same_results(children):
    first, second = (results_of(children, f"process {rank}") for rank in (0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_the_seed_of_the_first_process_counts(children):
    for rank in (0, 1):
        found = results_of(children, f"process {rank}")["own seed: weights"]
        expected = quick(random_state=0).fit(listens())
        np.testing.assert_allclose(found, expected.item_weights_, **NEAR)


def test_an_interrupt_of_one_process_does_not_wait_for_the_other(children):
    for rank in (0, 1):
        assert not results_of(children, f"process {rank}")["has weights"]


def test_one_cpu_keeps_its_weights_on_the_host(monkeypatch):
    for flags in ("", EIGHT):  # JAX has started, and reads its flags no more
        monkeypatch.setenv("XLA_FLAGS", flags)
        assert jax_settings.n_devices() == jax_settings.n_processes() == 1
        assert not jax_settings.uses_devices()
        assert isinstance(weights_of_descent(5, np.dtype(np.float32), 0.0), HostWeights)


@pytest.mark.parametrize(
    ("environment", "is_started"),
    [
        ({}, False),
        ({"XLA_FLAGS": EIGHT}, True),
        ({"JAX_NUM_CPU_DEVICES": "8"}, True),
        ({"JAX_NUM_CPU_DEVICES": "1"}, False),
    ],
)
def test_jax_is_started_only_if_it_may_have_several_devices(environment, is_started):
    code = "; ".join(
        [
            "import sys, shallow_ae, numpy as np",
            "from shallow_ae._runtime.jax_settings import n_devices",
            "shallow_ae.ShallowAutoEncoder().plan(np.eye(4))",
            "print('jax' in sys.modules, n_devices())",
        ]
    )
    settings = {name: os.environ[name] for name in os.environ if name != "XLA_FLAGS"}
    settings |= {"JAX_PLATFORMS": "cpu", **environment}
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    assert child.stdout.split() == [str(is_started), "8" if is_started else "1"]
