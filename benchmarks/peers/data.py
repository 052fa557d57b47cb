"""Three data sets, each with a part to fit on and a hidden part, or made-up ones in their place.

- ml-1m, gowalla: `train.npz` and `test.npz`, zeros and ones.
- lastfm-2k: the HetRec 2011 counts as logarithms; a fifth of each user's artists is hidden.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae import IdMapper, LogCountTransformer, hold_out_items
from shallow_ae.datasets import fetch_lastfm, make_listens

# Numbers of users, items, and items of a user, of what is made up where no folder is given.
MADE_UP = {
    "ml-1m": (6000, 2800, 70),
    "lastfm-2k": (1900, 8000, 50),
    "gowalla": (8000, 12000, 30),
}
QUICK = (3000, 1500, 40)


class Split(NamedTuple):
    """Interactions to fit on, and hidden ones."""

    title: str
    visible: sp.csr_array
    hidden: sp.csr_array


PARTS = ("train", "test")
TITLES = {"ml-1m": "MovieLens-1M", "lastfm-2k": "Last.fm", "gowalla": "Gowalla"}


def load(name: str, folder: Path | None, *, quick: bool = False) -> Split:
    """Return a data set, made up where there is no folder."""
    if folder is None:
        return made_up(name, QUICK if quick else MADE_UP[name])
    if name == "lastfm-2k":
        return logarithms(TITLES[name], IdMapper().fit_transform(fetch_lastfm(folder).listens))
    visible, hidden = (sp.csr_array(sp.load_npz(folder / f"{part}.npz")) for part in PARTS)
    return Split(TITLES[name], as_all_take(visible), hidden)


def as_all_take(X: sp.csr_array) -> sp.csr_array:
    """Return rows in float32 with indices of 32 bits, which some libraries demand."""
    parts = X.data.astype(np.float32), X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return sp.csr_array(parts, shape=X.shape)


def logarithms(title: str, counts: sp.csr_array) -> Split:
    """Hide a fifth of each user's items, and take logarithms of the other counts."""
    visible, hidden = hold_out_items(counts, 0.2, random_state=0)
    return Split(title, as_all_take(LogCountTransformer().fit_transform(visible)), hidden)


def made_up(name: str, shape: tuple[int, int, int]) -> Split:
    """Return made-up listens: counts in the place of Last.fm, else zeros and ones."""
    n_users, n_items, items_per_user = shape
    listens, _ = make_listens(n_users, n_items, items_per_user=items_per_user, random_state=0)
    counts = IdMapper().fit_transform(listens)
    title = f"made up in the place of {TITLES[name]}"
    if name == "lastfm-2k":
        return logarithms(title, counts)
    visible, hidden = hold_out_items(counts, 0.2, random_state=0)
    visible.data[:] = 1
    return Split(title, as_all_take(visible), hidden)
