"""Recommend artists to one listener, and explain the first recommendation.

Fits a model to all listens and recommends artists to a listener. For the first recommendation, it
prints the listener's own artists with the largest contributions to the score:

    python examples/reasons.py                                  # made-up listens
    python examples/reasons.py --lastfm FOLDER --listener 2     # HetRec 2011 Last.fm
"""

from __future__ import annotations

import argparse

import pandas as pd

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
from shallow_ae.datasets import fetch_lastfm, make_listens

TOP = 5


def main(argv: list[str] | None = None) -> pd.DataFrame:
    """Print three frames and return the last one, the reasons."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument("--listener", help="whose id (default: the first)")
    args = parser.parse_args(argv)
    listens = read(args.lastfm)
    recommender = make_recommender(
        LogCountTransformer(),
        ShallowAutoEncoder(regularization=2.5, solver="exact"),
        user="listener",
        item="artist",
        count="plays",
    ).fit(listens)

    listeners = listens["listener"].astype(str)
    history = listens[listeners == (args.listener or listeners[0])]
    if history.empty:
        parser.error(f"nobody is called {args.listener!r}")
    recommended = recommender.recommend(history, k=TOP)
    reasons = recommender.explain(history, recommended[:1], k=TOP)
    tell("Played most", history.nlargest(TOP, "plays"))
    tell("Recommended", recommended)
    tell("Why the first", reasons)
    return reasons


def read(lastfm: str | None) -> pd.DataFrame:
    """Return a frame of listener, artist and plays."""
    if lastfm is None:
        listens, _ = make_listens(random_state=0)
    else:
        data = fetch_lastfm(lastfm)
        listens = data.listens.assign(item=data.listens["item"].map(data.artists))
    return listens.rename(columns={"user": "listener", "item": "artist", "count": "plays"})


def tell(title: str, frame: pd.DataFrame) -> None:
    """Print a frame under a title."""
    print(f"\n{title}\n{frame.round(3).to_string(index=False)}")


if __name__ == "__main__":
    main()
