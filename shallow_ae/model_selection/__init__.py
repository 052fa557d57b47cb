"""Model selection: a scorer for searches, splits over time, and estimators that search."""

from shallow_ae.model_selection.autoencoder_cv import ShallowAutoEncoderCV
from shallow_ae.model_selection.blended_cv import BlendedRecommenderCV
from shallow_ae.model_selection.scorer import RankingScorer, make_ranking_scorer
from shallow_ae.model_selection.time_windows import TimeWindowSplit

__all__ = [
    "BlendedRecommenderCV",
    "RankingScorer",
    "ShallowAutoEncoderCV",
    "TimeWindowSplit",
    "make_ranking_scorer",
]
