"""Fits whose results tests/test_devices.py compares: of one device, of eight, of two processes.

    python tests/device_fits.py RESULTS [PORT RANK]

saves the results in a file. The devices are those that XLA_FLAGS gives to JAX. With a port, this
process is number RANK of two.
"""

import _thread
import re
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import jax
import numpy as np

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder
from shallow_ae._solvers.gradient_descent import device_weights
from shallow_ae._solvers.gradient_descent.loop import DescentLoop
from shallow_ae.datasets import make_listens

N_ITEMS = 61  # no multiple of 8 or of 2
VARIANT = {"dropout": 0.2, "diagonal_slack": 0.3, "user_exponent": 0.4, "item_exponent": 0.3}
COLLECTIVES = r"all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+|send\(|recv\("


def listens():
    """Return log-weighted listens of 300 users to 61 songs, in float64."""
    frame, _ = make_listens(300, N_ITEMS, items_per_user=8, random_state=0)
    return LogCountTransformer().fit_transform(IdMapper().fit_transform(frame).astype(np.float64))


def crowded(X):
    """Return an array that is dense enough for dense batches."""
    return X.toarray() + (np.arange(N_ITEMS) % 3 == 0)


def quick(**parameters):
    return ShallowAutoEncoder(
        **{"random_state": 0, "batch_size": 100, "max_iter": 20, **parameters}
    )


def ended_by_a_callback(X):
    """Return a model whose loss curve is led by the weights that a callback saw after 7 steps."""
    seen = []

    def watched(model):
        seen.append(model.item_weights_.copy())
        return model.n_iter_ == 14

    model = quick(max_iter=50, **VARIANT).fit(X, callback=watched, callback_every=7)
    model.loss_curve_[:0] = seen[0].ravel()
    return model


def resumed(X):
    """Return a model whose fit was ended by a callback and continued from its checkpoint."""

    def end_once(model):
        if model.n_iter_ == 12 and ended.append(model) is None and len(ended) == 1:
            raise InterruptedError

    ended = []
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"checkpoint": Path(folder, "fit"), "checkpoint_every": 5}
        arguments |= {"callback": end_once, "callback_every": 12}
        with suppress(InterruptedError):
            quick(**VARIANT).fit(X, **arguments)
        return quick(**VARIANT).fit(X, **arguments)


def warm_started(X):
    model = quick(batch_size=300, warm_start=True, max_iter=9, **VARIANT).fit(X)
    return model.set_params(max_iter=6, item_exponent=0.0).fit(X)


FITS = {
    "float64": lambda X: quick(**VARIANT).fit(X),
    "float32": lambda X: quick(**VARIANT).fit(X.astype(np.float32)),
    "float64, dense": lambda X: quick(**VARIANT).fit(crowded(X)),
    "float32, dense": lambda X: quick(**VARIANT).fit(crowded(X).astype(np.float32)),
    "few items": lambda X: quick(**VARIANT).fit(X[:, :3]),
    "no variant": lambda X: quick(max_iter=100).fit(X),
    "tol": lambda X: quick(batch_size=300, tol=0.05, n_iter_no_change=4, max_iter=500).fit(X),
    "early stopping": lambda X: quick(early_stopping=True, max_iter=500, **VARIANT).fit(X),
    "callback": ended_by_a_callback,
    "warm start": warm_started,
    "resumed": resumed,
    "passes": lambda X: quick(**VARIANT).partial_fit(X).partial_fit(X[:150]),
}


OF_PROCESSES = ("float64", "float32, dense", "tol", "early stopping", "callback", "passes")


def results(X, names=tuple(FITS)):
    """Return the arrays that each of these fits leads to."""
    found = {}
    for name in names:
        model = FITS[name](X)
        rows = X[:50, : model.n_features_in_].astype(model.item_weights_.dtype)
        found[f"{name}: weights"] = model.item_weights_
        found[f"{name}: losses"] = np.array(model.loss_curve_)
        found[f"{name}: scores"] = model.predict(rows)
        if model.item_weights_.dtype == np.float64:  # equal scores to 1e-5 may be other lists
            found[f"{name}: items"] = model.recommend(rows, k=3)
        found[f"{name}: layout"] = model.batch_layout_
    return found


def interrupted(X, *, at, **arguments):
    """Return a model whose fit is interrupted, before a dispatch or by a callback."""
    calls = []
    advance = DescentLoop._advance

    def interrupting(self, dispatch):
        calls.append(dispatch)
        if len(calls) == at:
            _thread.interrupt_main()
        advance(self, dispatch)

    DescentLoop._advance = interrupting
    model = quick(max_iter=100, **VARIANT)
    try:
        model.fit(X, **arguments)
    except KeyboardInterrupt:
        return model
    finally:
        DescentLoop._advance = advance
    raise AssertionError("the interrupt was lost")


def of_devices(X):
    """Return what is asked of several devices only."""

    def interrupt(_):
        raise KeyboardInterrupt

    def counted(weights):
        copies.append(weights)
        fetch(weights)

    def kept(*arguments, **settings):
        calls.append(arguments[0].sharding.shard_shape(arguments[0].shape))
        if len(calls) == 1:
            texts.append(steps.lower(*arguments, **settings).compile().as_text())
        return steps(*arguments, **settings)

    fetch, steps = device_weights.DeviceWeights.fetch, device_weights.steps_on_devices
    copies, calls, texts = [], [], []
    found = {}
    for at, callback in ((3, None), (99, interrupt)):
        model = interrupted(X, at=at, callback=callback, callback_every=24)
        found[f"interrupt {at}: weights"] = model.item_weights_
        found[f"interrupt {at}: losses"] = model.loss_curve_
    device_weights.DeviceWeights.fetch, device_weights.steps_on_devices = counted, kept
    for name in ("tol", "float32, dense"):
        calls.clear()
        copies.clear()
        FITS[name](X)
        found[f"copies, {name}"] = len(copies)
        found[f"shard, {name}"] = calls[-1]
    found["collectives"] = [re.findall(COLLECTIVES, text) for text in texts]
    found["text"] = texts
    return found


def of_processes(X):
    """Return what is asked of several processes only."""
    return {
        "own seed: weights": quick(random_state=jax.process_index()).fit(X).item_weights_,
        "has weights": hasattr(interrupted(X, at=3), "item_weights_"),
    }


def main():
    """Fit, and save the results."""
    path, *of_process = sys.argv[1:]
    warnings.simplefilter("error")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    if of_process:
        port, rank = of_process
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", 2, int(rank), initialization_timeout=60)
    X = listens()
    found = results(X, OF_PROCESSES) if of_process else results(X)
    found["devices"], found["processes"] = jax.device_count(), jax.process_count()
    np.savez(path, **found, **(of_processes(X) if of_process else of_devices(X)))


if __name__ == "__main__":
    main()
