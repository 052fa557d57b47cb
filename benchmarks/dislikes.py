"""What to do with low ratings: NDCG by the weight of a dislike in training and input.

The data are the 1,000,209 ratings of MovieLens-1M, in a file of the arrays `user`, `item` and
`rating`. Ratings of 4 and 5 are likes, 1 and 2 are dislikes, and 3 is a group of its own. The
ratings are no random sample: users rate films that they chose to see.

- `--users new`: the model is fitted to 4,040 users, and recommends to the other 2,000.
- `--users known`: the model is fitted to the visible ratings of all users, and recommends to 2,000.
- `--hide ratings`: a fifth of the ratings of these users is hidden, whatever the rating.
- `--hide likes`: a fifth of the likes is hidden, and all other ratings are visible.

Hidden likes are relevant. All visible ratings are excluded from the recommendations, also those
with the weight 0. One half of the 2,000 users chooses `regularization` by NDCG@100, for each row
of the table, and the other half is measured. All values of a row are divided by the root of the
mean square of the likes' values, so that a value of `regularization` means about the same in all
rows. A figure is the mean over seeds, followed by the standard deviation over seeds. "likes@20" is
the share of a user's hidden likes that are among the first 20 places, and "3s@20" and "dislikes@20"
are the same for other hidden ratings. "gain" is the difference in NDCG@100 from the first row with
the same seed. The last line counts dislikes that a user would get again without `exclude`.
`--rows` names rows by how they begin, and leaves out all others but the first.

    OMP_NUM_THREADS=1 python benchmarks/dislikes.py FILE [--model M] [--users U] [--hide H]
        [--seeds S ...] [--rows R ...]
"""

import argparse
import os
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae import (
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
    hold_out_items,
    ndcg_score,
)
from shallow_ae.metrics import precision_score, recall_score

N_ASKED = 2000
SEEDS = (0, 1, 2)
GRIDS = {"exact": (0.05, 0.1, 0.2, 0.4, 0.8, 1.6), "nearest": (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)}
WEIGHTS = (-1.0, -0.5, -0.2, 0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
INPUTS = (-0.5, -0.2, 0.2, 0.5, 1.0)
NAMES = "NDCG@100", "NDCG@20", "likes@20", "3s@20", "dislikes@20"

Values = tuple[float, ...] | str  # of the ratings 1 to 5, or the name of a function


class Split(NamedTuple):
    """Ratings for training, and the visible and hidden ratings of the users who are asked."""

    train: sp.csr_array
    visible: sp.csr_array
    hidden: sp.csr_array


def weights(dislike: float, three: float) -> Values:
    """Return the values of the ratings 1 to 5 if a like has the value 1."""
    return (dislike, dislike, three, 1.0, 1.0)


LIKES_ONLY, HALF = weights(0, 0), weights(0, 0.5)
ROWS: dict[str, tuple[Values, Values]] = {  # in training, and in the input
    "likes only": (LIKES_ONLY, LIKES_ONLY),
    "all ratings 1": (weights(1, 1), weights(1, 1)),
    **{f"3s .5, dislikes {w:g}": (weights(w, 0.5),) * 2 for w in WEIGHTS},
    **{f"3s {w:g}, dislikes .2": (weights(0.2, w),) * 2 for w in (0.0, 0.2, 0.75, 1.0)},
    "3s .35, dislikes .35": (weights(0.35, 0.35),) * 2,
    **{f"training only, {w:g}": (weights(w, 0.5), HALF) for w in INPUTS},
    **{f"input only, {w:g}": (HALF, weights(w, 0.5)) for w in INPUTS},
    "rating": ((1.0, 2.0, 3.0, 4.0, 5.0),) * 2,
    ".05, .2, .5, .8, 1": ((0.05, 0.2, 0.5, 0.8, 1.0),) * 2,
    "1 + log(1 + rating)": (tuple(1 + np.log1p(np.arange(1, 6))),) * 2,
    "rating - 3": ((-2.0, -1.0, 0.0, 1.0, 2.0),) * 2,
    "rating - user's mean": ("centred",) * 2,
}


def load(file: str) -> sp.csr_array:
    """Return the ratings as a users x items matrix, without the ids that have none."""
    with np.load(file) as arrays:
        users, items = (
            np.unique(arrays[name], return_inverse=True)[1] for name in ("user", "item")
        )
        return sp.csr_array((arrays["rating"].astype(np.float32), (users, items)))


def only(R: sp.csr_array, low: int, high: int) -> sp.csr_array:
    """Return the ratings from `low` to `high`."""
    kept = R.copy()
    kept.data *= (low <= R.data) & (R.data <= high)
    kept.eliminate_zeros()
    return kept


def valued(R: sp.csr_array, values: Values) -> sp.csr_array:
    """Return the ratings replaced by values; the mean square of the likes' values is 1."""
    X = R.copy()
    if isinstance(values, str):
        lengths = np.diff(R.indptr)
        means = np.add.reduceat(R.data, R.indptr[:-1]) / lengths
        X.data = R.data - np.repeat(means, lengths).astype(R.dtype)
    else:
        X.data = np.array((0, *values), R.dtype)[R.data.astype(int)]
    X.data /= np.sqrt(np.mean(X.data[R.data >= 4] ** 2))
    X.eliminate_zeros()
    return X


def split(R: sp.csr_array, users: str, hide: str, seed: int) -> Split:
    """Return the parts of the ratings."""
    hideable = R if hide == "ratings" else only(R, 4, 5)
    rest = R if hide == "ratings" else only(R, 1, 3)
    asked = np.sort(np.random.default_rng(seed).permutation(R.shape[0])[:N_ASKED])
    others = np.setdiff1d(np.arange(R.shape[0]), asked)
    visible, hidden = hold_out_items(hideable, 0.2, random_state=seed)
    if hide == "likes":
        visible = sp.csr_array(visible + rest)
    return Split(R[others] if users == "new" else visible, visible[asked], hidden[asked])


def measured(hidden: sp.csr_array, items: np.ndarray) -> np.ndarray:
    """Return the five measures for each user; NaN for users with nothing hidden of the kind."""
    likes, threes, dislikes = only(hidden, 4, 5), only(hidden, 3, 3), only(hidden, 1, 2)
    nothing = np.full(hidden.shape[0], np.nan)
    return np.array(
        [
            *(ndcg_score(likes, items, k=k, per_user=True) for k in (100, 20)),
            *(
                recall_score(kind, items, k=20, per_user=True) if kind.nnz else nothing
                for kind in (likes, threes, dislikes)
            ),
        ]
    )


def judged(parts: Split, model: Any, values: Values) -> tuple[float, np.ndarray]:
    """Return the NDCG@100 of the users who choose, and the mean measures of the others."""
    items = model.recommend(
        valued(parts.visible, values), k=100, exclude_seen=False, exclude=parts.visible
    )
    chooses = np.arange(len(items)) % 2 == 0
    by_user = measured(parts.hidden, items)
    with np.errstate(invalid="ignore"):
        counted = (~np.isnan(by_user[:, ~chooses])).sum(axis=1)
        means = np.nansum(by_user[:, ~chooses], axis=1) / counted
    return float(np.nanmean(by_user[0, chooses])), means


def make_model(name: str, regularization: float) -> Any:
    """Return a model that is not fitted."""
    if name == "exact":
        return ShallowAutoEncoder(regularization, solver="exact")
    return SparseShallowAutoEncoder(regularization)


def best(parts: Split, name: str, train: Values, inputs: dict[str, Values]) -> dict[str, Any]:
    """Return the chosen regularization and the measures of each input, for one training matrix.

    Regularization rises until no input gains from it.
    """
    X = valued(parts.train, train)
    found: dict[str, Any] = {}
    for regularization in GRIDS[name]:
        model = make_model(name, regularization).fit(X)
        gains = False
        for row, values in inputs.items():
            score, means = judged(parts, model, values)
            if row not in found or score > found[row][0]:
                found[row], gains = (score, regularization, means), True
        if not gains:
            break
    return found


def share_again(parts: Split, name: str, regularization: float) -> float:
    """Return the share of known dislikes in the first 20 places if only likes are excluded."""
    model = make_model(name, regularization).fit(valued(parts.train, LIKES_ONLY))
    items = model.recommend(valued(parts.visible, LIKES_ONLY), k=20)
    return float(precision_score(only(parts.visible, 1, 2), items, k=20))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--model", choices=GRIDS, default="exact")
    parser.add_argument("--users", choices=("new", "known"), default="new")
    parser.add_argument("--hide", choices=("ratings", "likes"), default="ratings")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--rows", metavar="ROW", nargs="+", default=[""])
    options = parser.parse_args()
    R = load(options.file)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"{R.shape[0]:,} users, {R.shape[1]:,} items, {R.nnz:,} ratings; {threads} threads")
    print(f"{options.model} model, {options.users} users, hidden {options.hide}")
    inputs_of: dict[Values, dict[str, Values]] = {}
    chosen = {row: ROWS[row] for row in ROWS if row.startswith(("likes only", *options.rows))}
    for row, (train, values) in chosen.items():
        inputs_of.setdefault(train, {})[row] = values
    found: dict[str, list[Any]] = {row: [] for row in chosen}
    again = []
    for seed in options.seeds:
        parts = split(R, options.users, options.hide, seed)
        for train, inputs in inputs_of.items():
            for row, result in best(parts, options.model, train, inputs).items():
                found[row].append(result)
        again.append(share_again(parts, options.model, found["likes only"][-1][1]))
    print(f"{'':<22}{'regularization':<16}" + "".join(f"{name:>15}" for name in (*NAMES, "gain")))
    first = np.array([means for _, _, means in found["likes only"]])
    for row, results in found.items():
        penalties = " ".join(f"{regularization:g}" for _, regularization, _ in results)
        means = np.array([means for _, _, means in results])
        columns = np.column_stack([means, (means - first)[:, 0]])
        spread = columns.std(axis=0, ddof=min(1, len(columns) - 1))
        figures = zip(columns.mean(axis=0), spread, strict=True)
        print(f"{row:<22}{penalties:<16}" + "".join(f"{m:>8.4f} {s:.4f}" for m, s in figures))
    share = np.mean(again)
    print(f"known dislikes in the first 20 places of likes only, if not excluded: {share:.4f}")


if __name__ == "__main__":
    main()
