"""Metrics of ranked lists."""

from shallow_ae.metrics.accuracy import (
    hit_rate_score,
    map_score,
    mrr_score,
    ndcg_score,
    precision_score,
    recall_score,
)
from shallow_ae.metrics.beyond_accuracy import coverage_score, gini_score, novelty_score

__all__ = [
    "coverage_score",
    "gini_score",
    "hit_rate_score",
    "map_score",
    "mrr_score",
    "ndcg_score",
    "novelty_score",
    "precision_score",
    "recall_score",
]
