"""Recommend unseen items with a shallow linear autoencoder, scikit-learn style."""

from shallow_ae.compilation import warm_up
from shallow_ae.data.ids import IdMapper
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.data.splits import hold_out_after, hold_out_items, hold_out_users
from shallow_ae.evaluation import evaluate
from shallow_ae.metrics import ndcg_score
from shallow_ae.model_selection import make_ranking_scorer
from shallow_ae.model_selection.autoencoder_cv import ShallowAutoEncoderCV
from shallow_ae.model_selection.blended_cv import BlendedRecommenderCV
from shallow_ae.models.autoencoder import ShallowAutoEncoder
from shallow_ae.models.blended import BlendedRecommender
from shallow_ae.models.low_rank import LowRankAutoEncoder
from shallow_ae.models.popularity import PopularityRecommender
from shallow_ae.models.sparse import SparseShallowAutoEncoder
from shallow_ae.pipeline import RecommenderPipeline, make_recommender

__version__ = "0.1.0"

__all__ = [
    "BlendedRecommender",
    "BlendedRecommenderCV",
    "IdMapper",
    "LogCountTransformer",
    "LowRankAutoEncoder",
    "PopularityRecommender",
    "RecommenderPipeline",
    "ShallowAutoEncoder",
    "ShallowAutoEncoderCV",
    "SparseShallowAutoEncoder",
    "evaluate",
    "hold_out_after",
    "hold_out_items",
    "hold_out_users",
    "make_ranking_scorer",
    "make_recommender",
    "ndcg_score",
    "warm_up",
]
