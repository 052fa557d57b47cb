"""Checkpoints of gradient descent: files from which a later fit continues after a kill."""

from __future__ import annotations

import hashlib
import numbers
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._model_files.container import Contents, ModelFileError, check_writable, read, write
from shallow_ae._model_files.document import SCHEMA, checked_document, damage_as_error
from shallow_ae._objective.objective import Objective
from shallow_ae._runtime.folders import delete_abandoned
from shallow_ae._runtime.jax_settings import n_processes
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._typing import Array, Interactions
from shallow_ae.data.arguments import check_integer, plain
from shallow_ae.models.descent_rows import DescentRows
from shallow_ae.models.fitted import AutoEncoderState
from shallow_ae.models.parameters import DescentParameters

if TYPE_CHECKING:
    from shallow_ae._solvers.gradient_descent.fit import Descent
    from shallow_ae._solvers.gradient_descent.loop import Progress

_KIND = "checkpoint"
_DIGESTS = ("X", "sample_weight", "warm_start")  # described by checksums
_BLOCK = 2**22  # numbers that are converted at a time to compute a checksum
_WAY_OUT = "Pass another path, or delete the file to fit from the start."


class SavedDescent(NamedTuple):
    """What a checkpoint holds: all that a fit does not compute from its arguments again."""

    progress: Progress
    seed: int
    learning_rate: float
    validation_curve: list[float]


class Checkpoint:
    """The file of a fit, which is written after every `every` steps.

    `fit` describes the fit by numbers and texts. A file of a fit with another description is
    neither continued nor replaced.
    """

    def __init__(self, path: str | os.PathLike[str], every: int, fit: dict[str, Any]) -> None:
        self.every = every
        self._name = os.fspath(path)
        self._path = Path(os.path.realpath(path))  # a symbolic link is kept, as by `write`
        self._fit = fit
        self._own: tuple[int, ...] | None = None  # what tells the file of this fit from others

    def read(self) -> SavedDescent | None:
        """Return what the file holds, or None if there is no file.

        Raises
        ------
        ModelFileError
            If the file is damaged, or not a checkpoint.
        ValueError
            If it is a checkpoint of another fit.
        """
        self._own = self._found()
        if self._own is None:
            return None
        try:
            contents = read(self._path)
            with damage_as_error(self._path):
                document = checked_document(contents.document, _KIND)
                found = {name: document["fit"][name] for name in self._fit}
                saved = _saved_descent(document, contents.arrays, found)
        except ModelFileError as error:
            raise ModelFileError(f"`checkpoint`: {error} {_WAY_OUT}") from error
        self._check_fit(found)
        return saved

    def write(self, saved: SavedDescent) -> None:
        """Replace the file in one step.

        Raises
        ------
        ValueError
            If another fit has written the file meanwhile.
        """
        if self._found() not in (None, self._own):
            raise ValueError(
                f"`checkpoint`={self._name!r} was written by another fit during this fit. Pass "
                "each fit a path of its own. In a search, fit without `checkpoint`."
            )
        progress = saved.progress
        document = {
            "schema": SCHEMA,
            "kind": _KIND,
            "fit": self._fit,
            "seed": saved.seed,
            "learning_rate": saved.learning_rate,
            "n_stored": progress.n_stored,
        }
        scores = np.array(saved.validation_curve, np.float64)
        arrays = {"P": progress.P, "losses": progress.losses, "validation_curve": scores}
        write(self._path, Contents(document, arrays))
        self._own = self._found()

    def remove(self) -> None:
        """Delete the file of this fit, and what processes left that were killed at it."""
        if self._found() == self._own:
            self._path.unlink(missing_ok=True)
        delete_abandoned(self._path)

    def _found(self) -> tuple[int, ...] | None:
        """Return what tells the file from others, or None if there is no file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _check_fit(self, found: dict[str, Any]) -> None:
        others = [
            f"another `{name}`" if name in _DIGESTS else f"`{name}`={found[name]!r}, not {value!r}"
            for name, value in self._fit.items()
            if found[name] != value
        ]
        if others:
            raise ValueError(
                f"`checkpoint`={self._name!r} was written by another fit: with "
                f"{', '.join(others)}. {_WAY_OUT}"
            )


class CheckpointMonitor:
    """Writes a checkpoint at its pauses, but for the end and the pause of a resumed descent.

    It comes before other monitors, which see a pause again when a descent is resumed at it.
    """

    def __init__(
        self, checkpoint: Checkpoint, saved: SavedDescent | None, save: Callable[[], SavedDescent]
    ) -> None:
        self.every = checkpoint.every
        self._checkpoint, self._save = checkpoint, save
        self._n_resumed = len(saved.progress.losses) if saved else 0

    def is_done(self, descent: Descent) -> bool:
        """Write a checkpoint if this step is a multiple of `every`; return False."""
        n_steps = len(descent.losses)
        if n_steps % self.every == 0 and n_steps > self._n_resumed and not descent.is_at_end:
            try:
                self._checkpoint.write(self._save())
            except OSError as error:
                warn_caller(f"No checkpoint after step {n_steps}, and the fit goes on: {error}")
        return False


def check_checkpoint(checkpoint: Any, checkpoint_every: int) -> None:
    """Raise an error unless `checkpoint` is a path or None, and `checkpoint_every` is >= 1."""
    path = os.fspath(checkpoint) if isinstance(checkpoint, str | os.PathLike) else None
    if checkpoint is not None and not isinstance(path, str):
        raise TypeError(f"`checkpoint`={checkpoint!r} must be the path of a file, or None.")
    check_integer("checkpoint_every", checkpoint_every, low=1)


def checkpoint_of(
    path: str | os.PathLike[str],
    pauses: Mapping[str, int],
    parameters: DescentParameters,
    objective: Objective,
    data: DescentRows | PartitionedRows,
    before: AutoEncoderState | None,
) -> Checkpoint:
    """Return the checkpoint of a fit to checked rows.

    `pauses` holds `checkpoint_every`, and `callback_every` if there is a callback: the weights are
    scaled and scaled back for a callback, which rounds them.
    """
    if isinstance(data, PartitionedRows) or n_processes() > 1:
        raise ValueError(
            "`checkpoint` needs X and the weights in one process. Pass `X` in memory, or set "
            "`checkpoint`=None and save models from a `callback`."
        )
    check_writable(path)
    fit = parameters._asdict() | objective._asdict() | {"callback_every": None, **pauses}
    del fit["verbose"]
    # A number that was drawn is in the file. Another process would draw another number.
    if not isinstance(parameters.random_state, numbers.Integral):
        fit["random_state"] = None
    fit = {name: plain(value) for name, value in fit.items()}
    fit |= {"n_users": data.n_rows, "n_items": data.X.shape[1], "dtype": data.dtype.name}
    fit["X"] = _digest(*_arrays(data.X))
    fit["sample_weight"] = _digest(data.sample_weight)
    fit["warm_start"] = before and _digest(
        *_arrays(before.weights.materialized().P), before.diagonal
    )
    return Checkpoint(path, pauses["checkpoint_every"], fit)


def _saved_descent(
    document: dict[str, Any], arrays: dict[str, Array], fit: dict[str, Any]
) -> SavedDescent:
    """Return the parts of a file after checks that the descent relies on."""
    from shallow_ae._solvers.gradient_descent.loop import Progress

    P, losses, scores = (arrays[name] for name in ("P", "losses", "validation_curve"))
    n_stored, seed = document["n_stored"], document["seed"]
    n_steps = len(losses)
    if (
        P.shape != (fit["n_items"], fit["n_items"])
        or P.dtype.name != fit["dtype"]
        or losses.shape != (n_steps,)
        or scores.shape != (len(scores),)
        or not losses.dtype == scores.dtype == np.float64
        or not 0 < n_steps < fit["max_iter"]
        or n_steps % fit["checkpoint_every"]
        or not all(type(number) is int and 0 <= number < 2**31 for number in (n_stored, seed))
    ):
        raise ValueError("its parts do not fit each other")
    progress = Progress(P, losses, n_stored)
    return SavedDescent(progress, seed, float(document["learning_rate"]), scores.tolist())


def _arrays(X: Interactions) -> list[Array]:
    return [X.indptr, X.indices, X.data] if sp.issparse(X) else [X]


def _digest(*arrays: Array) -> str:
    """Return a checksum of the values, which does not depend on the type of integers."""
    digest = hashlib.sha256()
    for array in arrays:
        dtype = np.dtype("<i8") if array.dtype.kind == "i" else array.dtype.newbyteorder("<")
        digest.update(f"{dtype.str}{array.shape}".encode())
        n_rows = max(1, _BLOCK // max(1, array[:1].size))
        for first in range(0, len(array), n_rows):
            digest.update(np.ascontiguousarray(array[first : first + n_rows], dtype).data)
    return digest.hexdigest()
