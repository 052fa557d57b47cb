"""Values of other libraries, such as steps of scikit-learn, as bytes of skops."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shallow_ae._model_files.container import ModelFileError
from shallow_ae._model_files.values import Encoder
from shallow_ae._typing import Array

NAME = "skops"


def encode_by_skops(value: Any, place: str, encoder: Encoder) -> dict[str, Any]:
    """Return a value of another library as JSON, or raise an error that names its place."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        from skops.io import dumps
    except ImportError as error:
        raise ImportError(
            f"`{place}` is a {kind}, which only skops can save without pickle: "
            "pip install 'shallow-ae[skops]'."
        ) from error
    _check_functions(value, f"`{place}` is a {kind}")
    try:
        data = dumps(value)
    except Exception as error:  # skops raises errors of many types
        raise TypeError(f"`{place}` is a {kind}, which skops cannot save: {error}") from error
    return {"@": NAME, "kind": kind} | encoder.encode_all(
        {"data": np.frombuffer(data, np.uint8)}, place
    )


def _check_functions(value: Any, what: str) -> None:
    """Raise a TypeError if a function in a value cannot be imported by its name.

    skops stores the names of functions and does not compare: a local function would become another
    function of this name, or none. pickle does compare. What it writes is dropped.
    """
    try:
        pickle.Pickler(_Nowhere(), 5, buffer_callback=lambda _: None).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{what}, which cannot be saved: {error}. Functions must be importable: define them in "
            "a module, not inside a function or as lambda."
        ) from error


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def reader(trusted: Sequence[str] | None) -> Callable[..., Any]:
    """Return a function that reads a value, if its types are scikit-learn's or among `trusted`."""

    def read(kind: str, data: Array) -> Any:
        try:
            from skops.io import get_untrusted_types, loads
        except ImportError as error:
            raise ImportError(
                f"The file holds a {kind}, which skops has saved: pip install 'shallow-ae[skops]'."
            ) from error
        saved = data.tobytes()
        try:
            _check_stored(saved)
            types = get_untrusted_types(data=saved)
        except Exception as error:  # damaged bytes may lead to any error
            raise ModelFileError(f"is damaged: skops cannot read a {kind}: {error}.") from error
        unknown = sorted(set(types) - set(trusted or ()))
        if unknown:
            raise ModelFileError(
                f"holds a {kind}, and skops makes only some types unasked. If you trust where the "
                f"file comes from, pass `trusted`={unknown!r}."
            )
        try:
            return loads(saved, trusted=list(trusted or ()))
        except Exception as error:
            raise ModelFileError(f"is damaged: skops cannot make a {kind}: {error}.") from error

    return read


def _check_stored(saved: bytes) -> None:
    """Raise a ValueError if a member of an archive is compressed: it may have any size."""
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed, which `save_model` does not do")
