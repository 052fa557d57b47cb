"""RecommenderPipeline and make_recommender: raw ids in, raw ids out."""

from shallow_ae.pipeline.make import make_recommender
from shallow_ae.pipeline.recommender_pipeline import RecommenderPipeline

__all__ = ["RecommenderPipeline", "make_recommender"]
