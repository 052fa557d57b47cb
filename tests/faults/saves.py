"""Saving two fitted pipelines in turn under one name, with all that they keep."""

import itertools

import numpy as np
from harness import InFolder, LossError

from shallow_ae import (
    LogCountTransformer,
    ShallowAutoEncoder,
    load_model,
    make_recommender,
    save_model,
)
from shallow_ae.datasets import make_listens


class Save(InFolder):
    """`save_model` with keep="all", and `load_model`."""

    name, seconds = "save", 0.06

    def prepare(self):
        """Fit two pipelines, and save one of them."""
        listens, _ = make_listens(300, 200, random_state=0)
        self.path = self.folder / "songs.safetensors"
        self.pipelines = [
            make_recommender(
                LogCountTransformer(),
                ShallowAutoEncoder(own, solver="exact"),
                keep_interactions=True,
            ).fit(listens)
            for own in (0.1, 1.0)
        ]
        self.expected = [own[-1].item_weights_ for own in self.pipelines]
        save_model(self.pipelines[0], self.path, keep="all")

    def run(self):
        """Save the pipelines in turn, forever."""
        for _ in self.steps(self.path):
            pass

    def steps(self, path):
        """Save the next pipeline at each step."""
        for pipeline in itertools.cycle(self.pipelines):
            yield save_model(pipeline, path, keep="all")

    def check(self):
        """Compare the file with both pipelines, save once more, and compare again."""
        self.compare(self.expected)
        save_model(self.pipelines[1], self.path, keep="all")
        self.compare(self.expected[1:])
        self.check_next_run()
        return 2

    def compare(self, expected):
        """Raise a LossError unless the file holds one of the weights, and all interactions."""
        found = load_model(self.path, memory_map=False)
        if not any(np.array_equal(found[-1].item_weights_, own) for own in expected):
            raise LossError("the file holds other weights")
        if len(found[0].users_) != len(self.pipelines[0][0].users_):
            raise LossError("the file holds other users")
