"""RecommenderPipeline and make_recommender: raw ids in, raw ids out."""

from shallow_ae.pipeline.recommender_pipeline import RecommenderPipeline, make_recommender

__all__ = ["RecommenderPipeline", "make_recommender"]
