"""Model files: save_model, load_model, and the error for damaged files."""

from shallow_ae._model_files.container import ModelFileError
from shallow_ae.persistence.model_file import load_model, save_model

__all__ = ["ModelFileError", "load_model", "save_model"]
