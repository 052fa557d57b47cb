"""The JSON of a model file: the number of its schema, and errors for damaged contents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shallow_ae._model_files.container import ModelFileError

SCHEMA = 1  # raised when a file changes so that earlier versions cannot read it


MODEL = "model"  # the kind of file that `save_model` writes; its JSON does not state it


def checked_document(document: Any, kind: str = MODEL) -> dict[str, Any]:
    """Return the JSON of a file, if it is of this kind and this version can read its schema."""
    if not isinstance(document, dict) or type(document.get("schema")) is not int:
        raise ValueError("no number of a schema")
    if (found := document.get("kind", MODEL)) != kind:
        raise ModelFileError(f"is the file of a {found}, expected that of a {kind}.")
    if document["schema"] > SCHEMA:
        raise ModelFileError(
            f"has schema {document['schema']}, and this version of shallow_ae reads up to "
            f"{SCHEMA}. It was written with {document.get('versions')}: upgrade shallow_ae."
        )
    return document


@contextmanager
def damage_as_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors caused by damaged contents into a ModelFileError that names the path."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error.__cause__
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        text = str(error).rstrip(".")
        raise ModelFileError(f"{path} is damaged: {text} ({type(error).__name__}).") from error
    except RecursionError as error:
        raise ModelFileError(f"{path} is damaged: its values are nested too deeply.") from error
