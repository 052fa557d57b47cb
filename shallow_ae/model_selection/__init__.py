"""Model selection: a scorer for scikit-learn's searches, and an estimator that searches."""

from shallow_ae.model_selection.autoencoder_cv import ShallowAutoEncoderCV
from shallow_ae.model_selection.blended_cv import BlendedRecommenderCV
from shallow_ae.model_selection.scorer import RankingScorer, make_ranking_scorer

__all__ = ["BlendedRecommenderCV", "RankingScorer", "ShallowAutoEncoderCV", "make_ranking_scorer"]
