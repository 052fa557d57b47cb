"""Build the jukebox: a static page, and the model file that it reads.

    python docs/jukebox/build.py FOLDER                     # made-up songs
    python docs/jukebox/build.py FOLDER --lastfm LASTFM     # HetRec 2011 Last.fm artists, as well

Any web server can serve FOLDER; `python -m http.server --directory FOLDER` is enough to try it.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from shallow_ae import (
    LogCountTransformer,
    RecommenderPipeline,
    ShallowAutoEncoder,
    make_recommender,
    save_model,
)
from shallow_ae.datasets import fetch_lastfm

HERE = Path(__file__).parent
PAGE = ("index.html", "jukebox.css", "model.js", "page.js")
SONGS, ARTISTS = "songs.safetensors", "artists.safetensors"
TITLES = {SONGS: "Made-up songs", ARTISTS: "Artists of Last.fm"}
N_WEIGHTS = 30  # for each item; .35 of NDCG@100 on Last.fm, and a file of a few megabytes

# The first and the last words of made-up titles, by genre. Each pair is a song.
WORDS = {
    "Jazz": (
        "Blue Smoky Velvet Brass Midnight Uptown Mellow Crooked",
        "Swing Nocturne Saxophone Bebop Quartet Serenade Lounge Trumpet",
    ),
    "Folk": (
        "Willow Hollow Barley Harvest Cedar Meadow Wandering Lantern",
        "Ballad Fiddle Hearth River Reel Lullaby Homestead Pilgrim",
    ),
    "Techno": (
        "Neon Binary Strobe Concrete Magnetic Subzero Analog Kinetic",
        "Pulse Circuit Loop Signal Machine Voltage Sequence Reactor",
    ),
    "Metal": (
        "Iron Raven Molten Savage Obsidian Thunder Wrathful Grim",
        "Hammer Throne Inferno Serpent Legion Fortress Oath Reckoning",
    ),
    "Soul": (
        "Honey Golden Tender Sunday Silk Burning Gentle Sweet",
        "Devotion Kisses Heartache Promise Groove Embrace Revival Cadillac",
    ),
    "Ambient": (
        "Drifting Glacial Weightless Pale Distant Lunar Silent Slow",
        "Horizon Vapor Tides Aurora Snowfall Nebula Haze Stillness",
    ),
}
N_LISTENERS = 4000
SONGS_PER_LISTENER = 25


def main(argv: list[str] | None = None) -> None:
    """Build the page in a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lastfm", type=Path, metavar="FOLDER", help="the HetRec 2011 files")
    args = parser.parse_args(argv)
    build(args.folder, args.lastfm)


def build(folder: Path, lastfm: Path | None = None) -> dict[str, RecommenderPipeline]:
    """Copy the page to a folder, save its models beside it, and return them by file name.

    Without `lastfm`, a file of artists from an earlier build is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGE:
        shutil.copy(HERE / name, folder / name)
    tables = {SONGS: make_songs()}
    if lastfm is not None:
        data = fetch_lastfm(lastfm)
        tables[ARTISTS] = data.listens.assign(item=data.listens["item"].map(data.artists))
    else:
        (folder / ARTISTS).unlink(missing_ok=True)
    models = {name: learn(listens) for name, listens in tables.items()}
    for name, recommender in models.items():
        save_model(recommender, folder / name)
    offered = [{"file": name, "title": TITLES[name]} for name in models]
    (folder / "models.json").write_text(json.dumps(offered), encoding="utf-8")
    return models


def learn(listens: pd.DataFrame) -> RecommenderPipeline:
    """Fit the exact solution, and keep the largest weights of each item."""
    model = ShallowAutoEncoder(regularization=1, solver="exact")
    fitted = make_recommender(LogCountTransformer(), model).fit(listens)
    return RecommenderPipeline([*fitted.steps[:-1], ("pruned", fitted[-1].sparsify(N_WEIGHTS))])


def make_songs() -> pd.DataFrame:
    """Make up listens: each listener has a share for each genre, and plays songs accordingly."""
    rng = np.random.default_rng(0)
    names = [
        f"{first} {last}"
        for firsts, lasts in WORDS.values()
        for first in firsts.split()
        for last in lasts.split()
    ]
    of_genre = np.repeat(np.eye(len(WORDS)), len(names) // len(WORDS), axis=0)
    popularity = 1 / (5 + rng.permutation(len(names)))
    tastes = rng.dirichlet(np.full(len(WORDS), 0.2), size=N_LISTENERS)
    expected = popularity * ((0.01 + tastes) @ of_genre.T)
    expected *= SONGS_PER_LISTENER / expected.sum(axis=1, keepdims=True)
    users, songs = np.nonzero(rng.random(expected.shape) < expected)
    plays = rng.geometric(0.2, size=len(users))
    return pd.DataFrame({"user": users, "item": np.array(names, object)[songs], "count": plays})


if __name__ == "__main__":
    main()
