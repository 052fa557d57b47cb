"""Kills a process in the midst of saving a model, and looks at the file that is left.

As a program, it does so many times, at random moments:

    python tests/kill_saves.py --times 200
"""

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shallow_ae import ShallowAutoEncoder, load_model, save_model


class Killed(NamedTuple):
    """How many kills there were, how often the file was whole, and how often in the midst."""

    times: int
    whole: int
    while_writing: int  # kills that left a temporary file


def kill_saves(folder, times, seed=0):
    """Kill a process that saves two models in turn, so many times."""
    path, moment = Path(folder, "songs.safetensors"), random.Random(seed)
    X = np.random.default_rng(0).poisson(0.3, (300, 250)).astype(np.float32)
    models = [ShallowAutoEncoder(own, solver="exact").fit(X) for own in (0.1, 1.0)]
    expected = [model.item_weights_ for model in models]
    save_model(models[0], path)
    whole = while_writing = 0
    for _ in range(times):
        child = os.fork()
        if child == 0:
            while True:
                for model in models:
                    save_model(model, path)
        time.sleep(moment.uniform(0.0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        weights = load_model(path).item_weights_
        whole += any(np.array_equal(weights, own) for own in expected)
        left = [own for own in Path(folder).iterdir() if own != path]
        while_writing += bool(left)
        for own in left:
            own.unlink()
    return Killed(times, whole, while_writing)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as own_folder:
        print(kill_saves(own_folder, arguments.times))
