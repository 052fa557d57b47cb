"""A service that answers while its model file is replaced, over and over.

The service is that of `examples/web_service` without HTTP: the object that reads the model file
again whenever it changes, and the calls that answer a request. In turn, the service is killed while
another process replaces the file, and the other process is killed while the service answers.
"""

import itertools
import mmap
import os
import signal
import sys
from pathlib import Path

from harness import InFolder, LossError, has_ended, last_status, start

from shallow_ae import SparseShallowAutoEncoder, make_recommender, save_model
from shallow_ae.datasets import make_listens

sys.path.append(str(Path(__file__).parents[2] / "examples" / "web_service"))

import model_file

model_file.SECONDS_BETWEEN_LOOKS = 0.002


class Serve(InFolder):
    """Answers of the old or the new model, and a model file that can be read after each kill."""

    name, seconds = "serve", 0.1

    def prepare(self):
        """Fit two pipelines, save one of them, and note the answers of both."""
        listens, _ = make_listens(300, 100, random_state=0)
        self.path = self.folder / "songs.safetensors"
        self.history = listens["item"][:5].tolist()
        self.pipelines, self.expected = [], []
        for regularization in (1.0, 0.1):
            model = SparseShallowAutoEncoder(regularization, n_neighbors=10)
            self.pipelines.append(make_recommender(model).fit(listens))
            save_model(self.pipelines[-1], self.path)
            self.expected.append(self.answer(model_file.read_model(self.path)))
        self.n_answers = mmap.mmap(-1, 8)  # shared with the processes
        self.works, self.turn = (Server(self), Replacer(self)), 0
        self.close()
        self.companion = start(self.works[1])

    def answer(self, model):
        """Return the answers of one model to three requests."""
        best = model.recommender.recommend(self.history, k=5)
        reasons = model.recommender.explain(self.history, best.items[0])
        similar = model.recommender.similar_items(best.items[0], k=3)
        return best, reasons, similar

    def run(self):
        """Serve, or replace the file."""
        return self.works[self.turn].run()

    def interrupted(self):
        """Return True: nothing outlives the process but the file."""
        return True

    def check(self):
        """Read the file, count the answers so far, and change roles."""
        if has_ended(self.companion):
            raise LossError(f"the other process ended with {last_status.pop(self.companion)}")
        self.close()
        if self.answer(model_file.read_model(self.path)) not in self.expected:
            raise LossError("a service that starts gives other answers")
        save_model(self.pipelines[0], self.path)
        if self.answer(model_file.read_model(self.path)) != self.expected[0]:
            raise LossError("the next model gives other answers")
        self.check_next_run()
        self.turn = 1 - self.turn
        self.companion = start(self.works[1 - self.turn])
        answers = int.from_bytes(self.n_answers[:], "little")
        self.n_answers[:] = bytes(8)
        return answers

    def close(self):
        """End the other process."""
        if companion := self.__dict__.pop("companion", None):
            os.kill(companion, signal.SIGKILL)
            os.waitpid(companion, 0)


class Server:
    """The process that answers."""

    name = "server"

    def __init__(self, work):
        self.work = work

    def run(self):
        """Answer requests, each by the model that is there, until an answer is not right."""
        served = model_file.ModelFile(self.work.path)
        model_file.threading.Thread(target=served._watch, daemon=True).start()
        for number in itertools.count(1):
            if self.work.answer(served.model) not in self.work.expected:
                raise LossError("an answer is of neither model")
            if served.error:
                raise LossError(f"the service could not read the file: {served.error}")
            self.work.n_answers[:] = number.to_bytes(8, "little")

    def interrupted(self):
        """Return True: nothing outlives the process."""
        return True


class Replacer(Server):
    """The process that saves the models in turn."""

    name = "replacer"

    def run(self):
        """Save the models in turn, forever."""
        for pipeline in itertools.cycle(self.work.pipelines):
            save_model(pipeline, self.work.path)
