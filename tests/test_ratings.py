"""Ratings: dislikes are not recommended, and their weight moves the items that are similar."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.preprocessing import FunctionTransformer

from shallow_ae import (
    ServingRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
)

GENRES = ("space", "crime", "romance", "music")
DAN = [("dan", "space 0", 5), ("dan", "space 1", 4), ("dan", "romance 0", 1)]
MODELS = {
    "exact": ShallowAutoEncoder(0.1, solver="exact"),
    "nearest": SparseShallowAutoEncoder(0.1, n_neighbors=30),
}


def weigh(X, dislike):
    weights = X.copy()
    weights.data = np.array([0, dislike, dislike, 0.5, 1, 1], X.dtype)[X.data.astype(int)]
    return weights


def with_step(model, dislike):
    step = FunctionTransformer(weigh, accept_sparse=True, kw_args={"dislike": dislike})
    return make_recommender(step, model, count="rating")


def pairs(frame):
    return set(zip(frame["user"], frame["item"], strict=True))


@pytest.fixture(scope="module")
def ratings():
    """Return ratings of users who like a genre, dislike another, and give 3 to a third."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(200):
        likes, dislikes, other, _ = rng.permutation(GENRES)
        for genre, n_films, low, high in ((likes, 8, 4, 5), (other, 3, 3, 3), (dislikes, 4, 1, 2)):
            for film in rng.choice(20, n_films, replace=False):
                rows.append((f"user {user}", f"{genre} {film}", rng.integers(low, high + 1)))
    return pd.DataFrame(rows, columns=["user", "item", "rating"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_dislike_with_a_small_count_is_not_recommended(model, ratings):
    weighted = ratings.assign(count=ratings["rating"].map({1: 0.1, 2: 0.1, 3: 0.5, 4: 1, 5: 1}))
    answer = make_recommender(model).fit(weighted).recommend(weighted, k=80)
    assert not pairs(answer) & pairs(ratings)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_dislike_with_the_count_0_is_recommended_unless_it_is_excluded(model, ratings):
    weighted = ratings.assign(count=ratings["rating"].map({1: 0, 2: 0, 3: 0.5, 4: 1, 5: 1}))
    dislikes = ratings[ratings["rating"] <= 2]
    recommender = make_recommender(model).fit(weighted)
    assert pairs(recommender.recommend(weighted, k=80)) >= pairs(dislikes)
    assert not pairs(recommender.recommend(weighted, k=80, exclude=dislikes)) & pairs(ratings)


@pytest.mark.parametrize("dislike", [-0.5, 0, 0.2])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_dislike_that_a_step_weights_is_not_recommended(model, dislike, ratings):
    recommender = with_step(model, dislike).fit(ratings)
    assert not pairs(recommender.recommend(ratings, k=80)) & pairs(ratings)
    answer = ServingRecommender.from_pipeline(recommender).recommend(
        {item: rating for _, item, rating in DAN}, k=80
    )
    assert len(answer.items) == 77
    assert "romance 0" not in answer.items


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_items_that_are_similar_to_a_dislike_rise_with_its_weight(model, ratings):
    means = []
    for dislike in (-0.2, 0.2, 1):
        answer = with_step(model, dislike).fit(ratings).recommend(DAN, k=80)
        means.append(answer["rank"][answer["item"].str.startswith("romance")].mean())
    assert np.diff(means).max() < 0


def test_a_scorer_hides_the_likes_that_the_caller_marks(ratings):
    is_hidden = (ratings["rating"] >= 4) & (np.arange(len(ratings)) % 3 == 0)
    hidden = []

    def measure(y_true, y_rec, k):
        hidden.append(y_true.count_nonzero())
        return ndcg_score(y_true, y_rec, k=k)

    cross_val_score(
        with_step(MODELS["exact"], 0.2),
        ratings,
        is_hidden,
        groups=ratings["user"],
        cv=GroupKFold(3),
        scoring=make_ranking_scorer(measure, k=20),
    )
    assert sum(hidden) == is_hidden.sum()
