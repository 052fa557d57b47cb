"""Recommendations by one SQL query, from a table of item weights.

Fits a model to listens and writes the largest weights of each item to a table of the database that
holds the listens. A query that joins both tables recommends items to users, so the database then
needs no Python. The NDCG on hidden listens shows the effect of leaving out the smaller weights:

    python examples/recommend_in_sql.py                                  # made-up listens, SQLite
    python examples/recommend_in_sql.py --lastfm FOLDER --engine duckdb  # HetRec 2011 Last.fm
"""

from __future__ import annotations

import argparse
import math
import sqlite3
from typing import Any

import pandas as pd

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

# A score is the sum of value * weight over the items of a user, and LogCountTransformer made the
# values that the model learned from. An item that no weight leads to has the score 0.
QUERY = """
WITH history AS (
    SELECT "user", item, 1 + ln(1 + sum(count)) AS value
    FROM listens
    GROUP BY "user", item
    HAVING sum(count) > 0
),
scores AS (
    SELECT history."user", weights.similar AS item, sum(value * weight) AS score
    FROM history JOIN weights ON weights.item = history.item
    GROUP BY history."user", weights.similar
    HAVING sum(value * weight) > 0
),
ranked AS (
    SELECT "user", scores.item, score,
           row_number() OVER (PARTITION BY "user" ORDER BY score DESC, position) AS rank
    FROM scores JOIN items ON items.item = scores.item
    WHERE NOT EXISTS (
        SELECT 1 FROM listens
        WHERE listens."user" = scores."user" AND listens.item = scores.item AND count > 0
    )
)
SELECT "user", item, score, rank FROM ranked WHERE rank <= ? ORDER BY "user", rank
"""


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print what the table costs and a user's recommendations; return those of the users."""
    args = parse(argv)
    listens, names = read(args.lastfm)
    visible, hidden = hold_out_items(listens, HOLDOUT, random_state=0)
    recommender = learn(visible)
    tables = tables_for(recommender, visible, args.neighbors, args.users)
    weights, history = tables["weights"], tables["listens"]
    n_bytes = weights.memory_usage(index=False, deep=True).sum()
    print(f"{len(weights):,} weights of {len(tables['items']):,} items, {n_bytes / 1e6:.1f} MB")

    connect = {"sqlite": in_sqlite, "duckdb": in_duckdb}[args.engine]
    recommended = recommend(connect(tables), K)

    truth = item_lists(hidden[hidden["user"].isin(history["user"])])
    print(f"\nNDCG@{K} of {history['user'].nunique():,} users")
    for title, answer in {
        "all weights": recommender.recommend(history, k=K),
        f"the largest {args.neighbors} of each item, by {args.engine}": recommended,
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
    parser.add_argument("--engine", choices=["sqlite", "duckdb"], default="sqlite")
    parser.add_argument(
        "--neighbors", type=int, default=100, help="weights to keep for each item (default: 100)"
    )
    parser.add_argument(
        "--users", type=int, default=200, help="how many users to recommend to (default: 200)"
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


def tables_for(
    recommender: RecommenderPipeline, listens: pd.DataFrame, n_neighbors: int, n_users: int
) -> dict[str, pd.DataFrame]:
    """Return the tables that the query reads, with the listens of the first users."""
    items = pd.Series(recommender[0].items_).infer_objects()
    users = listens["user"].unique()[:n_users]
    return {
        "listens": listens[listens["user"].isin(users)],
        "weights": recommender.largest_weights(n_neighbors),
        "items": pd.DataFrame({"item": items, "position": items.index}),
    }


def in_sqlite(tables: dict[str, pd.DataFrame]) -> sqlite3.Connection:
    """Return a database in memory that holds the tables, with an index for each look-up."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("ln", 1, math.log, deterministic=True)  # missing in some builds
    for name, table in tables.items():
        table.to_sql(name, connection, index=False)
    for columns in ("weights (item)", "items (item)", 'listens ("user", item)'):
        connection.execute(f"CREATE INDEX of_{columns.split()[0]} ON {columns}")
    return connection


def in_duckdb(tables: dict[str, pd.DataFrame]) -> Any:
    """Return a database in memory that holds the tables."""
    import duckdb

    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register("given", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        connection.unregister("given")
    return connection


def recommend(connection: Any, k: int) -> pd.DataFrame:
    """Return a frame of user, item, score and rank: the k best items that a user has not seen."""
    cursor = connection.execute(QUERY, [k])
    columns = [name for name, *_ in cursor.description]
    return pd.DataFrame(cursor.fetchall(), columns=columns)


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
