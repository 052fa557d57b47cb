"""save_model and load_model: a fitted estimator or pipeline as one file, without pickle."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from shallow_ae import __version__
from shallow_ae._model_files import foreign
from shallow_ae._model_files.container import Contents, read, write
from shallow_ae._model_files.document import SCHEMA, checked_document, damage_as_error
from shallow_ae._model_files.values import Decoder, Encoder
from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_choice
from shallow_ae.persistence.estimators import NAME, encode_other, is_known, read_estimator
from shallow_ae.persistence.states import NAMES_FOR_SERVING, READERS, TYPE_NAMES
from shallow_ae.persistence.without_users import without_users

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "jax", "numba")


def save_model(model: Any, path: str | os.PathLike[str], *, keep: str = "serving") -> None:
    """Save an estimator, or a whole RecommenderPipeline, as one file.

    The file is a safetensors file: arrays, and JSON for everything else. It holds no pickle, and
    reading it executes nothing. An earlier file of this name is replaced in one step: a reader, or
    a process that is killed, sees the old file or the new file, each whole.

    Parameters
    ----------
    model : estimator
        A model, search, IdMapper, LogCountTransformer or RecommenderPipeline of this library,
        fitted or not. Steps and parameters of other libraries are saved by skops, if it is
        installed. What these hold of the data is saved with them.
    path : str or path
        Name of the file, such as ``"songs.safetensors"``.
    keep : {"serving", "all"}, default="serving"
        "serving" keeps the weights, the item ids and the number of users of each item: what
        recommendations for any history need. No user id and no row of a user is in the file, and
        the loaded model cannot be updated. "all" also keeps the user ids and the training data, so
        that `partial_fit` and `forget` go on where they were.

    Raises
    ------
    TypeError
        If the model is not of this library, or a parameter or an id cannot be saved. The message
        names it.
    ImportError
        If safetensors is not installed, or skops is needed and not installed.
    MemoryError
        If an exact model is in the form of a users x users matrix, and its item weights, which
        "serving" keeps instead of the users' rows, do not fit in memory.
    OSError
        If the file cannot be written. An earlier file is then unchanged.

    Notes
    -----
    The file is as large as the arrays in it. Time is that of writing and reading it once. A copy
    of the weights in memory is made only if they are not contiguous.

    An exact model of fewer users than items keeps a small matrix of users instead of the weights of
    all pairs of items. For "serving", all pairs are computed and saved: 4 bytes for each in
    float32. The `sparsify` method of the model keeps the largest weights only.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from shallow_ae import ShallowAutoEncoder, load_model, make_recommender, save_model
    >>> listens = [("ann", "Kashmir"), ("ann", "Clocks"), ("bob", "Clocks"), ("bob", "Kashmir")]
    >>> recommender = make_recommender(ShallowAutoEncoder(solver="exact")).fit(listens)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "songs.safetensors")
    ...     save_model(recommender, path)
    ...     loaded = load_model(path)
    >>> loaded.recommend([("cleo", "Clocks")], k=1)["item"].tolist()
    ['Kashmir']
    """
    check_choice("keep", keep, ("serving", "all"))
    if not is_known(model):
        raise TypeError(
            f"`save_model` takes models and pipelines of shallow_ae, got {type(model).__name__}. "
            "Of a search of scikit-learn, save `best_estimator_`."
        )
    is_serving = keep == "serving"
    encoder = Encoder(NAMES_FOR_SERVING if is_serving else TYPE_NAMES, encode_other)
    node = encoder.encode(without_users(model) if is_serving else model, "model")
    _check_loads(node, encoder.arrays)
    document = {"schema": SCHEMA, "keep": keep, "versions": _versions(), "model": node}
    write(path, Contents(document, encoder.arrays))


def _check_loads(node: Any, arrays: dict[str, Array]) -> None:
    """Raise a TypeError if `load_model` would not make a model of this."""
    readers: dict[str, Callable[..., Any]] = {**READERS, NAME: read_estimator}
    readers[foreign.NAME] = lambda **_: _Foreign()
    try:
        Decoder(arrays, readers).decode(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TypeError(f"The model cannot be saved, as it could not be loaded: {error}") from error


class _Foreign:
    """Stands for a value of another library, which only a consenting reader makes."""

    transform = fit = get_params = None


@cache
def _versions() -> dict[str, str]:
    libraries = {library: version(library) for library in _LIBRARIES}
    return {"python": platform.python_version(), "shallow-ae": __version__} | libraries


def load_model(
    path: str | os.PathLike[str],
    *,
    memory_map: bool = True,
    trusted: Sequence[str] | None = None,
) -> Any:
    """Return the estimator or pipeline that `save_model` has saved.

    Parameters
    ----------
    path : str or path
        Name of the file.
    memory_map : bool, default=True
        Map the arrays into memory instead of reading them. Processes that map the same file share
        its memory. The file must not be changed in place while a model uses it; `save_model`
        replaces files instead. False reads the arrays into memory of the process.
    trusted : list of str, default=None
        Types of other libraries that skops may make, for steps that are not scikit-learn's. The
        error that needs it names them.

    Returns
    -------
    model : estimator
        A new estimator with the parameters and the learned attributes of the saved estimator.
        Its recommendations are equal to the bit.

    Raises
    ------
    ModelFileError
        If the file is no model file, is truncated or changed, was written by a newer version, or
        holds arrays that do not belong together. Nothing in the file is executed, and no memory is
        allocated by a size that the file states.
    ImportError
        If the file holds a step that skops has saved, and skops is not installed.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    The checksum is verified, which reads the file once.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoder, load_model, save_model
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
    >>> model = ShallowAutoEncoder(solver="exact").fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save_model(model, path)
    ...     loaded = load_model(path, memory_map=False)
    >>> bool(np.array_equal(loaded.recommend(X, k=2), model.recommend(X, k=2)))
    True
    """
    contents = read(path, mapped=memory_map)
    with damage_as_error(path):
        document = checked_document(contents.document)
        readers = {**READERS, NAME: read_estimator, foreign.NAME: foreign.reader(trusted)}
        model = Decoder(contents.arrays, readers).decode(document["model"])
        if not is_known(model):
            raise ValueError("no model")
    return model
