"""Fit a model to a file of listens, recommend songs and compute the NDCG.

Reads a table of users, songs and counts and hides a fifth of each user's songs, or reads the hidden
songs from a file. Fits a model to the other songs and recommends 100 songs to each user. Prints the
NDCG of the recommendations on the hidden songs, and the NDCG of three baselines:

    python examples/jukebox.py                                  # made-up listens
    python examples/jukebox.py listen_count.txt --truth TEST_DATA.txt
    python examples/jukebox.py --lastfm FOLDER                  # HetRec 2011 Last.fm

Writes `user_id.txt` with one user in each line, and `rec_result.txt` with the recommended songs of
the same users, best first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.pipeline import make_pipeline

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    ShallowAutoEncoder,
    hold_out_items,
    ndcg_score,
)
from shallow_ae.datasets import fetch_lastfm, load_item_lists, load_listens, make_listens

K = 100
HOLDOUT = 0.2
# The notebook's fit and its ruler: an ideal that is not cut at K, users without an answer left out.
NOTEBOOK = {
    "regularization": 0.02,
    "learning_rate": 0.05,
    "learning_rate_decay": 0.99,
    "max_iter": 100,
    "batch_size": 1024,
    "init_scale": 1e-3,
}
NOTEBOOK_RULER = {"ideal": "full", "no_recommendations": "omit"}


class Listens(NamedTuple):
    """What was heard, what was held out of it (None: nothing yet), and names where known."""

    title: str
    frame: pd.DataFrame
    truth: dict[str, list[str]] | None = None
    names: pd.Series | None = None


def main(argv: list[str] | None = None) -> float:
    """Run the whole job and return the model's NDCG."""
    args = parse(argv)
    listens = read(args)
    mapper = IdMapper()
    heard = mapper.fit_transform(listens.frame)
    print(
        f"{listens.title}: {heard.nnz:,} counts of {heard.shape[0]:,} users and "
        f"{heard.shape[1]:,} songs"
    )
    truth = listens.truth
    if truth is None:
        heard, hidden = hold_out_items(heard, HOLDOUT, random_state=args.seed)
        truth = by_user(mapper, np.split(hidden.indices, hidden.indptr[1:-1]))
    print(f"Held out: {sum(map(len, truth.values())):,} songs of {len(truth):,} users\n")

    model = make_pipeline(
        LogCountTransformer(),
        ShallowAutoEncoder(
            **(NOTEBOOK if args.notebook else {}), random_state=args.seed, verbose=1
        ),
    )
    model.fit(heard)
    recommended = model[-1].recommend(model[:-1].transform(heard), k=K)

    ruler = NOTEBOOK_RULER if args.notebook else {}
    answers = {"ShallowAutoEncoder": recommended, **baselines(heard, args.seed)}
    scores = {
        name: ndcg_score(truth, by_user(mapper, items), k=K, **ruler)
        for name, items in answers.items()
    }
    print(f"\nNDCG@{K}")
    for name, score in scores.items():
        print(f"  {name:<42}{score:.4f}")

    write(args.out, by_user(mapper, recommended))
    print(f"\nWrote {args.out / 'user_id.txt'} and {args.out / 'rec_result.txt'}")
    if listens.names is not None:
        show(mapper, heard, recommended, listens.names)
    return scores["ShallowAutoEncoder"]


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("listens", nargs="?", help="file of `user song count` lines")
    source.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument("--truth", help="file of `user song song ...` lines, hidden from LISTENS")
    parser.add_argument("--notebook", action="store_true", help="the original notebook's settings")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the fit (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("jukebox_out"), help="folder to write to")
    args = parser.parse_args(argv)
    if args.truth and not args.listens:
        parser.error("--truth goes with a file of listens")
    return args


def read(args: argparse.Namespace) -> Listens:
    """Return the listens that the command line asks for."""
    if args.lastfm:
        data = fetch_lastfm(args.lastfm)
        return Listens("Last.fm", data.listens, names=data.artists)
    if args.listens:
        truth = load_item_lists(args.truth) if args.truth else None
        return Listens(args.listens, load_listens(args.listens), truth)
    return Listens("Made-up listens", *make_listens(holdout=HOLDOUT, random_state=args.seed))


def baselines(heard: sp.csr_array, seed: int) -> dict[str, list[np.ndarray]]:
    """Return the items that three answers without a model recommend to each user."""
    rng = np.random.default_rng(seed)
    n_users, n_items = heard.shape
    popular = np.argsort(-heard.count_nonzero(axis=0), kind="stable")
    played = np.argsort(-heard.sum(axis=0), kind="stable")
    seen = np.split(heard.indices, heard.indptr[1:-1])
    return {
        "most popular of the unheard": [unheard(popular, items) for items in seen],
        "most played, the same for everyone": [played[:K]] * n_users,
        "random of the unheard": [unheard(rng.permutation(n_items), items) for items in seen],
    }


def unheard(order: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the first K items of an order that are not among the seen."""
    return order[np.isin(order, seen, invert=True)][:K]


def by_user(mapper: IdMapper, lists: Iterable[np.ndarray]) -> dict[str, list[str]]:
    """Return lists of item indices, one a fitted user, with raw ids; -1 left out."""
    return {
        user: mapper.item_ids(items[items >= 0]).tolist()
        for user, items in zip(mapper.users_, lists, strict=True)
    }


def write(folder: Path, recommended: dict[str, list[str]]) -> None:
    """Write the users and their recommendations, a user a line."""
    folder.mkdir(parents=True, exist_ok=True)
    users = "".join(f"{user}\n" for user in recommended)
    lists = "".join(
        " ".join(map(str, [user, *items])) + "\n" for user, items in recommended.items()
    )
    (folder / "user_id.txt").write_text(users, encoding="utf-8")
    (folder / "rec_result.txt").write_text(lists, encoding="utf-8")


def show(
    mapper: IdMapper, heard: sp.csr_array, recommended: np.ndarray, names: pd.Series, n: int = 5
) -> None:
    """Print the most played and the first recommended items of three users, by name."""
    for user in (0, 1, 2):
        row = heard[[user]]
        most_played = row.indices[np.argsort(-row.data, kind="stable")[:n]]
        print(f"\nUser {mapper.users_[user]}")
        for what, items in (("played most", most_played), ("recommended", recommended[user, :n])):
            print(f"  {what}: {', '.join(names[mapper.item_ids(items)])}")


if __name__ == "__main__":
    main()
