"""Start the web service with a model of made-up listens, or of Last.fm's.

    python examples/web_service/demo.py                     # made-up listens
    python examples/web_service/demo.py --lastfm FOLDER     # HetRec 2011 Last.fm

Writes `model.safetensors` and `listens.sqlite` to a folder, a temporary one by default, and serves
them: open http://127.0.0.1:8000 in a browser.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pandas as pd
import service

from shallow_ae import (
    LogCountTransformer,
    SparseShallowAutoEncoder,
    make_recommender,
    save_model,
)
from shallow_ae.datasets import fetch_lastfm, make_listens

# The first and the last words of made-up artists' names: 1,024 pairs, of which 1,000 are used.
FIRST = (
    "Amber Autumn Brass Cedar Cobalt Copper Coral Crystal Distant Electric Faded Gentle Golden "
    "Hollow Indigo Ivory Lunar Midnight Northern Paper Quiet Scarlet Silver Slow Solar Static "
    "Stone Summer Velvet Violet Wild Winter"
)
LAST = (
    "Anchor Arcade Avenue Canyon Choir Comet Compass Divide Echo Engine Falcon Garden Harbour "
    "Horizon Island Ladder Lantern Meadow Mirror Motel Orchard Parade Pilot Prairie Radio River "
    "Signal Society Station Tide Union Valley"
)


def main(argv: list[str] | None = None) -> None:
    """Make both files, and serve them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument("--folder", type=Path, help="folder to write to, and to keep")
    parser.add_argument("--port", default="8000", help="port to serve at")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write(read(args.lastfm), folder)
        paths = [str(folder / name) for name in ("model.safetensors", "listens.sqlite")]
        service.main([*paths, "--port", args.port])


def read(lastfm: str | None) -> pd.DataFrame:
    """Return a frame of user, item (an artist's name) and count."""
    if lastfm is not None:
        data = fetch_lastfm(lastfm)
        return data.listens.assign(item=data.listens["item"].map(data.artists))
    listens, _ = make_listens(n_items=1000, random_state=0)
    number = listens["item"].str.removeprefix("song_").astype(int) * 421 % 1024  # mixes the words
    first, last = FIRST.split(), LAST.split()
    names = [f"{first[n // len(last)]} {last[n % len(last)]}" for n in number]
    return listens.assign(item=names)


def write(listens: pd.DataFrame, folder: Path) -> None:
    """Write a model of listens and the listens themselves."""
    model = SparseShallowAutoEncoder(regularization=1)
    recommender = make_recommender(LogCountTransformer(), model).fit(listens)
    with closing(sqlite3.connect(folder / "listens.sqlite")) as connection, connection:
        rows = listens.astype({"user": str})
        rows.to_sql("listens", connection, index=False, if_exists="replace")
        connection.execute("CREATE INDEX listens_of_user ON listens (user)")
    save_model(recommender, folder / "model.safetensors")


if __name__ == "__main__":
    main()
