"""Small fitted recommenders of every kind, for tests of what is kept of a model."""

import numpy as np
import pandas as pd

from shallow_ae import (
    BlendedRecommender,
    BlendedRecommenderCV,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    make_recommender,
)

PARTS = [
    ("near", SparseShallowAutoEncoder(0.1, n_neighbors=4)),
    ("tastes", LowRankAutoEncoder(5, random_state=0)),
    ("popular", PopularityRecommender()),
]
MODELS = {
    "sgd": ShallowAutoEncoder(max_iter=5, random_state=0),
    "exact, many users": ShallowAutoEncoder(0.1, solver="exact"),
    "exact, few users": ShallowAutoEncoder(0.1, solver="exact"),
    "nearest": SparseShallowAutoEncoder(0.1, n_neighbors=4),
    "low rank": LowRankAutoEncoder(5, random_state=0),
    "popularity": PopularityRecommender(),
    "sum": BlendedRecommender(PARTS, weights=[1.0, 0.5, 0.25]),
    "sum of sparse parts": BlendedRecommender([PARTS[0], ("b", PARTS[0][1])], weights=[1.0, 0.5]),
    "sum without a part": BlendedRecommender([PARTS[0], ("b", "drop")], weights=[2.0, 0.0]),
    "search": ShallowAutoEncoderCV([0.1, 1.0], cv=3),
    "search for weights": BlendedRecommenderCV(PARTS, weights=[[1, 0, 0], [0.5, 1, 0]], cv=3),
}


def made_up_listens(n_users, n_items=20, seed=0):
    """Return a frame of listens whose users and items have names that occur nowhere else."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5 * np.linspace(2, 0.3, n_items), (n_users, n_items))
    counts[:, :2] += 1
    users, items = np.nonzero(counts)
    return pd.DataFrame(
        {
            "user": np.array([f"listener{n:05}" for n in range(n_users)], object)[users],
            "item": np.array([f"song{n:05}" for n in range(n_items)], object)[items],
            "count": counts[users, items],
        }
    )


def listens_for(name):
    """Return listens to fit a model to: few users give an exact model the dual form."""
    return made_up_listens(12 if name == "exact, few users" else 60)


def fitted_recommender(name):
    """Return a pipeline with the model of this name, fitted."""
    return make_recommender(LogCountTransformer(), MODELS[name]).fit(listens_for(name))
