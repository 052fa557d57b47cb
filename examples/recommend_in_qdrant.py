"""Recommendations by a vector database, Qdrant, from a table of item weights.

Fits a model to listens and stores each item as a point of a Qdrant collection. The sparse vector of
a point holds the largest weights from other items to this item. A query is the history of a user as
a sparse vector, and its dot product with a point is the score of the item. The NDCG on hidden
listens shows the effect of leaving out the smaller weights:

    python examples/recommend_in_qdrant.py                      # made-up listens
    python examples/recommend_in_qdrant.py --lastfm FOLDER      # HetRec 2011 Last.fm

The collection is in the memory of this process, where Qdrant's client compares a query with each
point in Python. A Qdrant server has an index and takes the same calls.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from qdrant_client import QdrantClient, models

from shallow_ae import (
    LogCountTransformer,
    RecommenderPipeline,
    ShallowAutoEncoder,
    hold_out_items,
    make_recommender,
    ndcg_score,
)
from shallow_ae.datasets import fetch_lastfm, make_listens
from shallow_ae.evaluation import item_lists

K = 100
HOLDOUT = 0.2
COLLECTION, VECTOR = "items", "weights"
AT_ONCE = 100  # users in a batch of queries


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print what the table costs and a user's recommendations; return those of the users."""
    args = parse(argv)
    listens, names = read(args.lastfm)
    visible, hidden = hold_out_items(listens, HOLDOUT, random_state=0)
    recommender = learn(visible)
    weights = recommender.largest_weights(args.neighbors)
    n_bytes = weights.memory_usage(index=False, deep=True).sum()
    print(
        f"{len(weights):,} weights of {len(recommender[0].items_):,} items, {n_bytes / 1e6:.1f} MB"
    )

    history = visible[visible["user"].isin(visible["user"].unique()[: args.users])]
    client = QdrantClient(":memory:")
    places = upload(client, weights)
    recommended = recommend(client, places, history, K)

    truth = item_lists(hidden[hidden["user"].isin(history["user"])])
    print(f"\nNDCG@{K} of {history['user'].nunique():,} users")
    for title, answer in {
        "all weights": recommender.recommend(history, k=K),
        f"the largest {args.neighbors} of each item, by Qdrant": recommended,
    }.items():
        print(f"  {title:<42}{ndcg_score(truth, item_lists(answer), k=K):.4f}")
    show(history, recommended, names)
    return recommended


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument(
        "--neighbors", type=int, default=100, help="weights to keep for each item (default: 100)"
    )
    parser.add_argument(
        "--users", type=int, default=50, help="how many users to recommend to (default: 50)"
    )
    return parser.parse_args(argv)


def read(lastfm: str | None) -> tuple[pd.DataFrame, pd.Series]:
    """Return a frame of user, item and count, and the names of the items."""
    if lastfm is not None:
        data = fetch_lastfm(lastfm)
        return data.listens, data.artists
    listens, _ = make_listens(random_state=0)
    songs = listens["item"].unique()
    return listens, pd.Series(songs, index=songs)


def learn(listens: pd.DataFrame) -> RecommenderPipeline:
    """Return a recommender fitted to listens."""
    model = ShallowAutoEncoder(regularization=2.5, solver="exact")
    return make_recommender(LogCountTransformer(), model).fit(listens)


def upload(client: QdrantClient, weights: pd.DataFrame) -> pd.Series:
    """Make each item of the table a point, and return the number of each item.

    The number of an item is the id of its point and its index in all sparse vectors.
    """
    items = pd.unique(pd.concat([weights["item"], weights["similar"]]))
    places = pd.Series(np.arange(len(items)), index=items)
    client.create_collection(
        COLLECTION,
        vectors_config={},
        sparse_vectors_config={VECTOR: models.SparseVectorParams()},
    )
    table = weights.assign(place=weights["item"].map(places))
    points = (
        models.PointStruct(
            id=int(places[item]),
            vector={VECTOR: sparse_vector(own["place"], own["weight"])},
            payload={"item": item},
        )
        for item, own in table.groupby("similar")
    )
    client.upload_points(COLLECTION, points)
    return places


def sparse_vector(places: pd.Series, values: pd.Series) -> models.SparseVector:
    """Return values of items as a sparse vector."""
    return models.SparseVector(indices=places.tolist(), values=values.tolist())


def recommend(
    client: QdrantClient, places: pd.Series, history: pd.DataFrame, k: int
) -> pd.DataFrame:
    """Return a frame of user, item, score and rank: the k best items that a user has not seen.

    LogCountTransformer made the values that the model learned from, so the counts are weighted in
    the same way. Only items with a score above 0 are returned.
    """
    counts = history.groupby(["user", "item"], sort=False, as_index=False)["count"].sum()
    known = counts[counts["item"].isin(places.index) & (counts["count"] > 0)]
    known = known.assign(place=known["item"].map(places), value=1 + np.log1p(known["count"]))
    users, requests = [], []
    for user, own in known.groupby("user", sort=False):
        seen = own["place"].tolist()
        request = models.QueryRequest(
            query=sparse_vector(own["place"], own["value"]),
            using=VECTOR,
            filter=models.Filter(must_not=[models.HasIdCondition(has_id=seen)]),
            limit=k,
            score_threshold=0.0,
            with_payload=True,
        )
        users.append(user)
        requests.append(request)
    answers = []
    for start in range(0, len(requests), AT_ONCE):
        answers += client.query_batch_points(COLLECTION, requests[start : start + AT_ONCE])
    rows = [
        (user, point.payload["item"], point.score, place)
        for user, answer in zip(users, answers, strict=True)
        for place, point in enumerate(answer.points, start=1)
    ]
    return pd.DataFrame(rows, columns=["user", "item", "score", "rank"])


def show(history: pd.DataFrame, recommended: pd.DataFrame, names: pd.Series, n: int = 5) -> None:
    """Print the most played and the first recommended items of the first user, by name."""
    user = history["user"].iloc[0]
    most_played = history[history["user"] == user].nlargest(n, "count")["item"]
    first = recommended[recommended["user"] == user]["item"][:n]
    print(f"\nUser {user}")
    print(f"  played most: {', '.join(names[most_played])}")
    print(f"  recommended: {', '.join(names[first])}")


if __name__ == "__main__":
    main()
