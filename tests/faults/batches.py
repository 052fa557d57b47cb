"""Recommendations for all users, written to a folder of Parquet files in place of earlier ones."""

import itertools
import shutil

from harness import InFolder, LossError

from shallow_ae import SparseShallowAutoEncoder, make_recommender
from shallow_ae.datasets import make_listens


class Batches(InFolder):
    """`write_recommendations` of two pipelines in turn, to one folder."""

    name, seconds = "batches", 0.15

    def prepare(self):
        """Fit two pipelines, and write the recommendations of both."""
        self.listens, _ = make_listens(300, 100, random_state=0)
        self.path, self.n_checks = self.folder / "recommendations", 0
        self.pipelines = [
            make_recommender(SparseShallowAutoEncoder(own, n_neighbors=10)).fit(self.listens)
            for own in (0.1, 1.0)
        ]
        self.expected = [self.written(own) for own in reversed(self.pipelines)]
        self.was_absent = False

    def written(self, pipeline):
        """Write the recommendations of a pipeline, and return the bytes of the files."""
        pipeline.write_recommendations(self.listens, self.path, k=5, batch_size=40, overwrite=True)
        return self.files()

    def files(self):
        """Return the bytes of each file in the folder."""
        return {own.name: own.read_bytes() for own in self.path.iterdir()}

    def run(self):
        """Write the recommendations of the pipelines in turn, forever."""
        for pipeline in itertools.cycle(self.pipelines):
            self.written(pipeline)

    def check(self):
        """Compare the folder, and write once more; every other run begins without a folder."""
        if self.path.exists():
            if self.files() not in self.expected:
                raise LossError("the folder holds other files")
        elif not self.was_absent:
            raise LossError("the folder is gone")
        if self.written(self.pipelines[1]) != self.expected[0]:
            raise LossError("the next run wrote other files")
        self.check_next_run()
        self.n_checks += 1
        self.was_absent = self.n_checks % 2 == 1
        if self.was_absent:
            shutil.rmtree(self.path)
        return 2
