"""Recall of a sparse model, a low-rank model and their sum, by popularity and by user history.

Recall@20 of `SparseShallowAutoEncoder`, of `LowRankAutoEncoder` and of their sum, on a data set of
`train.npz` and `test.npz`:

- of the held-out interactions with items of four groups: as many interactions each, by the number
  of the item's users in train;
- of the users of four groups, as many users each, by the number of the user's items in train;

and the shares of held-out interactions that both models find, or only one of them.

The settings of Gowalla are those of the row "sum, tuned on test" of gowalla.py; those of
MovieLens-1M are near the best of defaults.py. `--plot` draws both relative to the nearest model,
and the filter f(s) over the singular values, for the first folder.

    python benchmarks/sums.py FOLDER [FOLDER ...] [--plot FILE]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from gowalla import SETTINGS

from shallow_ae import BlendedRecommender, LowRankAutoEncoder, SparseShallowAutoEncoder

K = 20
N_GROUPS = 4


def model_for(X: sp.csr_array) -> BlendedRecommender:
    """Return the sum with the settings for Gowalla, which has more items, or MovieLens-1M."""
    if X.shape[1] > 10_000:
        return SETTINGS["sum, tuned on test"]()
    near = SparseShallowAutoEncoder(0.1)
    tastes = LowRankAutoEncoder(
        regularization=0.05, item_normalization=0.25, item_exponent=0.0, random_state=0
    )
    return BlendedRecommender([("near", near), ("tastes", tastes)], weights=[1.0, 1.0])


def groups(sizes: np.ndarray) -> np.ndarray:
    """Return the group of each entry: `N_GROUPS` groups of about as many, by ascending size."""
    cuts = np.quantile(sizes, np.arange(1, N_GROUPS) / N_GROUPS)
    return np.searchsorted(cuts, sizes, side="left")


def recalls(hidden: sp.csr_array, items: np.ndarray) -> np.ndarray:
    """Return for each held-out interaction whether it is recommended."""
    n_users, n_items = hidden.shape
    pairs = np.arange(n_users)[:, None] * n_items + items
    users = np.repeat(np.arange(n_users), np.diff(hidden.indptr))
    return np.isin(users * n_items + hidden.indices, pairs[items >= 0])


def table(title: str, names: list[str], sizes: np.ndarray, by_model: dict[str, np.ndarray]) -> None:
    """Print the mean of each model's values by group."""
    group = groups(sizes)
    ends = [f"{int(sizes[group == g].min())} to {int(sizes[group == g].max())}" for g in names]
    print(f"\n{title:<22}" + "".join(f"{end:>14}" for end in ends) + f"{'all':>10}")
    for name, values in by_model.items():
        means = [values[group == g].mean() for g in names]
        print(f"{name:<22}" + "".join(f"{m:>14.4f}" for m in means) + f"{values.mean():>10.4f}")


def compare(folder: str, plot: str | None) -> None:
    """Print both tables for a data set."""
    X, hidden = (
        sp.csr_array(sp.load_npz(Path(folder, f"{part}.npz"))).astype(np.float32)
        for part in ("train", "test")
    )
    hidden.sort_indices()
    print(f"\n{Path(folder).name}: {X.shape[0]:,} users, {X.shape[1]:,} items")
    model = model_for(X).fit(X)
    weights = {"near": [1, 0], "low rank": [0, 1], "sum": model.weights}
    found = {}
    for name, own in weights.items():
        found[name] = recalls(hidden, model.set_params(weights=own).recommend(X, k=K))
    near, low_rank = found["near"], found["low rank"]
    shares = {"both": near & low_rank, "near": near & ~low_rank, "low rank": low_rank & ~near}
    print("found by " + ", ".join(f"{who}: {own.mean():.4f}" for who, own in shares.items()))
    per_user = np.diff(hidden.indptr)
    has_any = per_user > 0
    of_users = {
        name: np.add.reduceat(hits, hidden.indptr[:-1][has_any]) / per_user[has_any]
        for name, hits in found.items()
    }
    of_items = np.bincount(X.indices, minlength=X.shape[1])[hidden.indices]
    lengths = np.diff(X.indptr)[has_any]
    order = list(range(N_GROUPS))
    table("users of the item", order, of_items, found)
    table("items of the user", order, lengths, of_users)
    if plot:
        singular_values = model.named_estimators_.tastes.singular_values_
        draw(plot, {"item": (of_items, found), "user": (lengths, of_users)}, singular_values)


def draw(file: str, parts: dict[str, Any], singular_values: np.ndarray) -> None:
    """Draw recall by group relative to the nearest model, and the filter."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "shallow_ae"
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    labels = {"item": "users of the held-out item", "user": "items of the user"}
    for ax, (what, (sizes, by_model)) in zip(axes, parts.items(), strict=False):
        group = groups(sizes)
        names = [
            f"{int(sizes[group == g].min())}-{int(sizes[group == g].max())}"
            for g in range(N_GROUPS)
        ]
        for (name, values), marker in zip(by_model.items(), "ovs", strict=True):
            ratios = [
                values[group == g].mean() / by_model["near"][group == g].mean()
                for g in range(N_GROUPS)
            ]
            ax.plot(names, ratios, marker=marker, label=name)
        ax.set(xlabel=labels[what], ylabel=f"recall@{K}, relative to near")
        ax.legend()
    s = np.linspace(0, 1, 200)
    for regularization in (0.02, 0.1, 0.5):
        axes[2].plot(s, s**2 / (s**2 + regularization), label=f"regularization {regularization}")
    last = singular_values[-1]
    axes[2].axvspan(0, last, color="0.9", label="beyond 512 components")
    axes[2].set(xlabel="singular value, relative to the first", ylabel="filter f", ylim=(0, 1))
    axes[2].legend()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Compare on each data set that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", metavar="FOLDER", nargs="+")
    parser.add_argument("--plot", metavar="FILE")
    arguments = parser.parse_args()
    for place, folder in enumerate(arguments.folders):
        compare(folder, arguments.plot if place == 0 else None)


if __name__ == "__main__":
    main()
