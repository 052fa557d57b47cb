"""A fit by gradient descent, started again after each kill from its checkpoint."""

import os
import signal

import numpy as np
from harness import InFolder, LossError, start

from shallow_ae import ShallowAutoEncoder
from shallow_ae._model_files import container


class Fit(InFolder):
    """`fit` with `checkpoint`: at the end, the bits of a fit that nobody has killed."""

    name, seconds = "fit", 4.0

    def __init__(self, folder):
        super().__init__(folder)
        self.n_after = 0  # kills after a checkpoint had been written

    def prepare(self):
        """Fit without a kill, in a process of its own: JAX may not start where others fork."""
        # Each process would compile the same descent for a second.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(self.folder / "compiled")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        import jax  # noqa: F401 - once, and not in each child

        self.path = self.folder / "fit.checkpoint"
        self.X = np.random.default_rng(0).poisson(0.3, (600, 300)).astype(np.float32)
        self.expected = self.folder / "expected.npz"
        self.path.unlink(missing_ok=True)
        child = start(Whole(self))
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("the fit without a kill failed")

    def fitted(self, path):
        """Return the weights and the losses of a fit."""
        model = ShallowAutoEncoder(max_iter=1000, batch_size=100, tol=0, random_state=0)
        model.fit(self.X, checkpoint=path, checkpoint_every=5)
        return {"weights": model.item_weights_, "losses": np.array(model.loss_curve_)}

    def run(self):
        """Fit, or continue a fit, to its end."""
        found = self.fitted(self.path)
        # The fit is over: a signal from here on may not look like one during a fit.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with np.load(self.expected) as expected:
            if not all(np.array_equal(found[name], expected[name]) for name in found):
                raise LossError("the weights or the losses differ from those without a kill")
        if self.path.exists():
            raise LossError("the checkpoint is still there after the fit")
        self.check_next_run()

    def interrupted(self):
        """Return True: the parent reads the checkpoint, and a next run deletes temporary files."""
        return True

    def check(self):
        """Read the checkpoint, if there is one."""
        if not self.path.exists():
            return 0
        container.read(self.path, mapped=False)
        self.n_after += 1
        return 1

    def note(self):
        """Say how many kills came after a checkpoint."""
        return f"fit: a checkpoint was there after {self.n_after} of the kills"


class Whole:
    """The fit without a kill."""

    name = "the fit without a kill"

    def __init__(self, work):
        self.work = work

    def run(self):
        """Fit, and save what the other fits are compared with."""
        np.savez(self.work.expected, **self.work.fitted(self.work.folder / "whole"))

    def interrupted(self):
        """Return False: this fit has to come to its end."""
        return False
