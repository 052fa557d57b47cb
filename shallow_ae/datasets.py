"""Data sets: text files of listens, made-up listens, Last.fm."""

from __future__ import annotations

import re
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch, check_random_state

from shallow_ae._runtime.blocks import block_rows, blocks
from shallow_ae._runtime.folders import scratch_folder
from shallow_ae.data.arguments import check_integer, check_real
from shallow_ae.data.splits import hold_out_items
from shallow_ae.data.text_files import damage_told, read_listens

__all__ = ["fetch_lastfm", "load_item_lists", "load_listens", "make_listens"]

_LASTFM_URL = "https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip"
_LASTFM_SHA256 = "6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c"
_LASTFM_FILES = ("user_artists.dat", "artists.dat")


def load_listens(path: str | PathLike[str]) -> pd.DataFrame:
    r"""Read a text file of `user item count` lines without a header.

    Parameters
    ----------
    path : str or path
        File to read. Spaces and tabs separate fields; all other characters belong to the fields.
        Lines end with a line feed, a carriage return or both. Blank lines and a byte order mark at
        the start of the file are skipped. A suffix such as `.gz` or `.zip` means that the file is
        compressed.

    Returns
    -------
    listens : pandas.DataFrame
        One row for each line, in the order of the file. The columns are user and item (ids as
        strings) and count (float if the file has fractions, else int).

    Raises
    ------
    ValueError
        If the file is empty, cut short, damaged or not in UTF-8. Also if a line does not have three
        fields, or its count is not a finite number >= 0; the message then states the line number.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from shallow_ae.datasets import load_listens
    >>> path = pathlib.Path(tempfile.mkdtemp(), "listen_count.txt")
    >>> _ = path.write_text("ann kashmir 3\nbob kashmir 1\n")
    >>> load_listens(path)
      user     item  count
    0  ann  kashmir      3
    1  bob  kashmir      1
    """
    return read_listens(path)


def load_item_lists(path: str | PathLike[str]) -> dict[str, list[str]]:
    r"""Read a text file of `user item item ...` lines.

    Held-out items and saved recommendations have this format.

    Parameters
    ----------
    path : str or path
        File to read, in UTF-8. Spaces and tabs separate fields; all other characters belong to the
        fields. Lines end with a line feed, a carriage return or both. Blank lines and a byte order
        mark at the start of the file are skipped.

    Returns
    -------
    items : dict of str to list of str
        The items of each user, in the order of the line. The list may be empty.

    Raises
    ------
    ValueError
        If a user has two lines; the message then states the number of the second line. Also if the
        file is not in UTF-8.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from shallow_ae.datasets import load_item_lists
    >>> path = pathlib.Path(tempfile.mkdtemp(), "rec_result.txt")
    >>> _ = path.write_text("ann kashmir clocks\nbob yellow\n")
    >>> load_item_lists(path)
    {'ann': ['kashmir', 'clocks'], 'bob': ['yellow']}
    """
    lists: dict[str, list[str]] = {}
    # "utf-8-sig" would read a file of half a byte order mark as an empty one.
    with damage_told(path), open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            # `split()` would also split at other Unicode white space.
            fields = [field for field in re.split("[ \t\n]+", text) if field]
            if not fields:
                continue
            user, *items = fields
            if user in lists:
                raise ValueError(
                    f"{path}, line {number}: a second line for user {user!r}. "
                    "Expected one line for each user: `user item item ...`."
                )
            lists[user] = items
    return lists


def make_listens(
    n_users: int = 2000,
    n_items: int = 1000,
    *,
    n_groups: int = 20,
    items_per_user: float = 30,
    holdout: float = 0.2,
    random_state: Any = None,
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Generate random listens with realistic distributions, and held-out songs of each user.

    The popularity of songs has a heavy tail, and each song belongs to one of `n_groups` groups. The
    taste of a user is a share for each group. Users listen to distinct songs, drawn with weights
    popularity times taste. The number of songs of a user and the play counts also have heavy tails.

    Parameters
    ----------
    n_users, n_items : int, default=2000, 1000
        Number of users and of songs.
    n_groups : int, default=20
        Number of groups of songs. With more groups, recommending popular songs is less accurate.
    items_per_user : float, default=30
        Median number of distinct songs of a user, including held-out songs.
    holdout : float, default=0.2
        Fraction of each user's songs to hold out, as in :func:`shallow_ae.hold_out_items`.
    random_state : int, RandomState instance or None, default=None
        Determines the data. Pass an int for the same data in every call.

    Returns
    -------
    listens : pandas.DataFrame
        Columns user, item (ids as strings) and count, in random order, as :func:`load_listens`
        returns them.
    truth : dict of str to list of str
        The held-out songs of each user, as :func:`load_item_lists` returns them.

    Notes
    -----
    The time is spent on drawing `n_users * n_items` random numbers. They are drawn for one block of
    users at a time, so that only the numbers of one block are in memory.

    Examples
    --------
    >>> from shallow_ae.datasets import make_listens
    >>> listens, truth = make_listens(100, 50, random_state=0)
    >>> list(listens.columns), len(truth)
    (['user', 'item', 'count'], 100)
    """
    check_integer("n_users", n_users, low=1)
    check_integer("n_items", n_items, low=2)
    check_integer("n_groups", n_groups, low=1)
    check_real("items_per_user", items_per_user, low=1)
    rng = check_random_state(random_state)
    X = _draw_listens(n_users, n_items, n_groups, items_per_user, rng)
    visible, hidden = hold_out_items(X, holdout, random_state=rng)

    users = np.array([f"user_{u:0{len(str(n_users - 1))}}" for u in range(n_users)], dtype=object)
    items = np.array([f"song_{i:0{len(str(n_items - 1))}}" for i in range(n_items)], dtype=object)
    rows = visible.tocoo()
    order = rng.permutation(rows.nnz)
    listens = pd.DataFrame(
        {
            "user": users[rows.coords[0][order]],
            "item": items[rows.coords[1][order]],
            "count": rows.data[order],
        }
    )
    truth = [items[hidden.indices[a:b]].tolist() for a, b in pairwise(hidden.indptr)]
    return listens, dict(zip(users.tolist(), truth, strict=True))


def _draw_listens(
    n_users: int, n_items: int, n_groups: int, items_per_user: float, rng: np.random.RandomState
) -> sp.csr_array[Any]:
    """Return a users x items matrix of counts."""
    popularity = 1 / (rng.permutation(n_items) + 10.0)  # a flattened Zipf law
    group = rng.randint(n_groups, size=n_items)
    tastes = rng.dirichlet(np.full(n_groups, 0.1), size=n_users) + 0.005
    known = np.clip(rng.lognormal(np.log(items_per_user), 0.6, size=n_users), 2, n_items / 2)
    known = np.rint(known).astype(np.int64)

    users, items = [], []
    for block in blocks(n_users, block_rows(n_users, n_items)):
        # The items with the largest log(weight) + Gumbel noise are a weighted draw without
        # replacement.
        keys = np.log(popularity * tastes[block][:, group])
        keys += rng.gumbel(size=keys.shape)
        ranked = np.argsort(-keys, axis=1)
        row, place = np.nonzero(np.arange(n_items) < known[block][:, None])
        users.append(row + block.start)
        items.append(ranked[row, place])
    counts = 1 + np.minimum(rng.pareto(1.0, size=known.sum()), 1e5).astype(np.int64)
    return sp.csr_array(
        (counts, (np.concatenate(users), np.concatenate(items))), shape=(n_users, n_items)
    )


def fetch_lastfm(
    data_home: str | PathLike[str] | None = None, *, download_if_missing: bool = True
) -> Bunch:
    """Load the HetRec 2011 Last.fm data: the number of times each user played each artist.

    The data have 1,892 users, 17,632 artists and 92,834 counts, with at most 50 artists for each
    user. They are available for non-commercial use. The README in the archive states the terms and
    how to cite the data.

    Parameters
    ----------
    data_home : path, default=None
        Folder of the files `user_artists.dat` and `artists.dat`. If they are not in this folder,
        they are read from its subfolder `lastfm_2k`. If they are not there either, they are
        downloaded into the subfolder (2.6 MB). None means scikit-learn's data folder.
    download_if_missing : bool, default=True
        If False, raise an OSError instead of downloading.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        `listens` : pandas.DataFrame with columns user, item and count, all int;
        `artists` : pandas.Series of names by item id.

    Raises
    ------
    OSError
        If the files are missing and cannot be downloaded. The message states what to do.
    ImportError
        If the files must be downloaded and pooch is not installed.
    ValueError
        If a file is cut short or damaged.

    References
    ----------
    I. Cantador, P. Brusilovsky and T. Kuflik, "Second Workshop on Information Heterogeneity and
    Fusion in Recommender Systems (HetRec 2011)", RecSys 2011.
    """
    home = Path(get_data_home() if data_home is None else data_home)
    folder = home / "lastfm_2k"
    for place in (home, folder):
        if all((place / name).is_file() for name in _LASTFM_FILES):
            folder = place
            break
    else:
        if not download_if_missing:
            raise OSError(
                f"The files {_LASTFM_FILES} are not in {home}, and `download_if_missing` is False. "
                "Set it to True, or pass the folder of the files as `data_home`."
            )
        _download_lastfm(folder)
    plays_path, artists_path = (folder / name for name in _LASTFM_FILES)
    users, items, counts = _read_lastfm(plays_path, ["userID", "artistID", "weight"], n_numbers=3)
    columns = ["id", "name", "url", "pictureURL"]
    ids, names, *_ = _read_lastfm(artists_path, columns, n_numbers=1)
    listens = pd.DataFrame({"user": users, "item": items, "count": counts})
    artists = pd.Series(names, pd.Index(ids, name="id"), name="name")
    nameless = listens["item"][~listens["item"].isin(artists.index)]
    if len(nameless):
        raise _lastfm_error(artists_path, f"no name for the item {nameless.iloc[0]}")
    return Bunch(listens=listens, artists=artists)


def _read_lastfm(path: Path, columns: list[str], *, n_numbers: int) -> list[Any]:
    """Return the columns of a Last.fm file; the first `n_numbers` columns as whole numbers."""
    with damage_told(path):
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    if not text.endswith("\n"):
        raise _lastfm_error(path, "an incomplete last line")
    header, *rows = (line.split("\t") for line in text[:-1].split("\n"))
    if header != columns or not rows:
        raise _lastfm_error(path, f"no rows below the header {' '.join(columns)}")
    if bad := [place for place, row in enumerate(rows) if len(row) != len(columns)]:
        raise _lastfm_error(path, f"other than {len(columns)} fields in line {bad[0] + 2}")
    fields: list[Any] = list(zip(*rows, strict=True))
    for column in range(n_numbers):
        bad = [place for place, value in enumerate(fields[column]) if not _is_number(value)]
        if bad:
            raise _lastfm_error(path, f"no whole number of 64 bits in line {bad[0] + 2}")
        fields[column] = np.array(fields[column]).astype(np.int64)
    return fields


def _is_number(text: str) -> bool:
    # Python refuses to convert thousands of digits.
    return text.isdecimal() and len(text) < 20 and int(text) < 2**63


def _lastfm_error(path: Path, fault: str) -> ValueError:
    return ValueError(
        f"{path} is cut short or damaged: it has {fault}. Delete it and download it again."
    )


def _download_lastfm(folder: Path) -> None:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "The download needs pooch, which is not installed: pip install 'shallow-ae[fetch]'."
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder / _LASTFM_FILES[0]) as scratch:
            pooch.retrieve(
                _LASTFM_URL,
                known_hash=f"sha256:{_LASTFM_SHA256}",
                path=scratch,
                fname="lastfm-2k.zip",
                processor=pooch.Unzip(members=list(_LASTFM_FILES), extract_dir="."),
            )
            for name in _LASTFM_FILES:
                (scratch / name).replace(folder / name)
    except (OSError, ValueError) as error:  # no network; a wrong checksum
        raise OSError(
            f"Could not download {_LASTFM_URL}: {error}. Unpack that archive by hand and pass the "
            "folder of its files: fetch_lastfm(data_home=folder)."
        ) from error
