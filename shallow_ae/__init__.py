"""Recommend unseen items with a shallow linear autoencoder, scikit-learn style.

A public name is imported when it is first used. A process that only serves recommendations
therefore starts without scikit-learn, pandas and JAX. Type checkers read the file `__init__.pyi`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULE_OF = {
    "BlendedRecommender": "models.blended",
    "BlendedRecommenderCV": "model_selection",
    "IdMapper": "data.ids",
    "LogCountTransformer": "data.preprocessing",
    "LowRankAutoEncoder": "models.low_rank",
    "ModelFileError": "_model_files.container",
    "PopularityRecommender": "models.popularity",
    "RecommenderPipeline": "pipeline",
    "ShallowAutoEncoder": "models.autoencoder",
    "ShallowAutoEncoderCV": "model_selection",
    "SparseShallowAutoEncoder": "models.sparse",
    "TimeWindowSplit": "model_selection",
    "evaluate": "evaluation",
    "hold_out_after": "data.splits",
    "hold_out_items": "data.splits",
    "hold_out_users": "data.splits",
    "load_model": "persistence",
    "make_ranking_scorer": "model_selection",
    "make_recommender": "pipeline",
    "ndcg_score": "metrics",
    "save_model": "persistence",
    "warm_up": "compilation",
    "ServingRecommender": "serving",
}
_MODULES = {
    "compilation",
    "data",
    "datasets",
    "display",
    "evaluation",
    "metrics",
    "model_selection",
    "models",
    "persistence",
    "pipeline",
    "serving",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, *_MODULES})
