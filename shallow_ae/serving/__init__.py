"""Serving: recommendations for one request, or many at once, without data frames."""

from shallow_ae.serving.serving_recommender import (
    Recommendations,
    ScoredItems,
    ServingRecommender,
)

__all__ = ["Recommendations", "ScoredItems", "ServingRecommender"]
