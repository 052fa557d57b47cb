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
from shallow_ae.data.fitting import snapshot
from shallow_ae.persistence.estimators import NAME, encode_other, is_known, read_estimator
from shallow_ae.persistence.states import NAMES_FOR_SERVING, READERS, TYPE_NAMES
from shallow_ae.persistence.without_users import without_users

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "jax", "numba")


def save_model(model: Any, path: str | os.PathLike[str], *, keep: str = "serving") -> None:
    """Save an estimator, or a whole RecommenderPipeline, as one file.

    The file is a safetensors file: arrays, and JSON for everything else. It holds no pickle, and
    reading it executes no code from it. An earlier file of this name is replaced in one step: there
    is always either the whole old file or the whole new file, even if the process is killed.

    Parameters
    ----------
    model : estimator
        A model, search, IdMapper, LogCountTransformer or RecommenderPipeline of this library,
        fitted or not. Steps and parameters of other libraries are saved by skops, if it is
        installed, including any data that they hold.
    path : str or path
        Name of the file, such as ``"songs.safetensors"``.
    keep : {"serving", "all"}, default="serving"
        "serving" keeps the weights, the item ids and the number of users of each item. These
        suffice to recommend for any history. The file holds no user id and no user's row, and the
        loaded model cannot be updated. "all" also keeps the user ids and the training data, which
        `partial_fit` and `forget` need.

    Raises
    ------
    TypeError
        If the model's class is not in this library, or a parameter or an id cannot be saved. The
        message names the class, parameter or id.
    ImportError
        If safetensors is not installed, or skops is needed and not installed.
    MemoryError
        If `keep` is "serving", the model is an exact model that stores users' rows and a
        users x users matrix, and its item weights, which are saved instead, do not fit in memory.
    OSError
        If the file cannot be written. An earlier file is then unchanged.

    Notes
    -----
    The file is as large as the arrays in it, and is written once and read once, for its checksum.
    The weights are copied in memory only if they are not contiguous.

    An exact model with fewer users than items stores a users x users matrix instead of one weight
    for each pair of items. With "serving", the weights of all pairs are computed and saved: 4 bytes
    each in float32. To save the largest weights only, save the model that `sparsify` returns.

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
    is_serving, model = keep == "serving", snapshot(model)
    encoder = Encoder(NAMES_FOR_SERVING if is_serving else TYPE_NAMES, encode_other)
    node = encoder.encode(without_users(model) if is_serving else model, "model")
    _check_loads(node, encoder.arrays)
    document = {"schema": SCHEMA, "keep": keep, "versions": _versions(), "model": node}
    write(path, Contents(document, encoder.arrays))


def _check_loads(node: Any, arrays: dict[str, Array]) -> None:
    """Raise a TypeError if `load_model` could not make a model from this JSON and these arrays."""
    readers: dict[str, Callable[..., Any]] = {**READERS, NAME: read_estimator}
    readers[foreign.NAME] = lambda **_: _Foreign()
    try:
        Decoder(arrays, readers).decode(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TypeError(f"The model cannot be saved, as it could not be loaded: {error}") from error


class _Foreign:
    """Stands for a value of another library. Only `load_model` makes it, from trusted types."""

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
        Names of types that skops may make, for steps from libraries other than scikit-learn. If a
        file needs further types, the error names them.

    Returns
    -------
    model : estimator
        A new estimator with the parameters and the learned attributes of the saved estimator.
        It returns the same recommendations and scores as the saved estimator, bit for bit.

    Raises
    ------
    ModelFileError
        If the file is not a model file, is truncated or changed, was written by a newer version, or
        holds arrays that do not fit each other. No code in the file is executed, and the sizes that
        it states are checked before memory is allocated.
    ImportError
        If the file holds a step that skops has saved, and skops is not installed.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    `load_model` verifies the checksum, which reads the whole file once.

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
