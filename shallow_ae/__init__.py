"""Recommend unseen items with a shallow linear autoencoder, scikit-learn style."""

from shallow_ae.autoencoder import ShallowAutoEncoder
from shallow_ae.ids import IdMapper
from shallow_ae.metrics import ndcg_score
from shallow_ae.pipeline import RecommenderPipeline, make_recommender
from shallow_ae.preprocessing import LogCountTransformer
from shallow_ae.splits import hold_out_items

__version__ = "0.1.0"

__all__ = [
    "IdMapper",
    "LogCountTransformer",
    "RecommenderPipeline",
    "ShallowAutoEncoder",
    "hold_out_items",
    "make_recommender",
    "ndcg_score",
]
