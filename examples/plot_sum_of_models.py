"""
Near weights, low-rank weights, and their sum
=============================================

``SparseShallowAutoEncoder`` computes "near weights" from the listeners whom two songs have in
common. ``LowRankAutoEncoder`` computes "low-rank weights" from a few tastes that listeners share.
The two models find different songs. The sum of their scores ranks better than each model alone.
"""

# %%
# Made-up listeners have songs of their tastes. For a fifth of their songs, chosen at random, they
# also have the live version. Such a pair does not depend on the listener's taste.

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from shallow_ae import (
    BlendedRecommender,
    LogCountTransformer,
    LowRankAutoEncoder,
    SparseShallowAutoEncoder,
    evaluate,
    hold_out_items,
    make_recommender,
)
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists

studio, _ = make_listens(n_items=600, random_state=0)
live = studio.sample(frac=0.2, random_state=0)
live["item"] += " (live)"
visible, hidden = hold_out_items(pd.concat([studio, live], ignore_index=True), random_state=0)

# %%
# For each hidden song, this array states whether the other version is among the listener's visible
# songs.

is_live = hidden["item"].str.endswith(" (live)")
song = hidden["item"].str.removesuffix(" (live)")
others = hidden.assign(item=song.where(is_live, song + " (live)"))[["user", "item"]]
is_paired = others.merge(visible, how="left")["count"].notna().to_numpy()
print(f"{is_paired.sum():,} of {len(hidden):,} hidden songs have their other version visible.")

# %%
# The parts are fitted once. ``weights`` of the sum is applied when scores are computed, so each
# further share needs only a call of ``recommend``.

parts = [
    ("near", SparseShallowAutoEncoder(regularization=0.05)),
    ("tastes", LowRankAutoEncoder(n_components=32, random_state=0)),
]
recommender = make_recommender(LogCountTransformer(), BlendedRecommender(parts)).fit(visible)
truth, rows = item_lists(hidden), []
for share in np.linspace(0, 1, 11):
    recommender.set_params(blendedrecommender__weights=[1 - share, share])
    answer = recommender.recommend(visible, k=20)
    is_found = hidden.merge(answer, how="left", on=["user", "item"])["rank"].notna()
    ndcg = evaluate(truth, item_lists(answer), "ndcg", k=20).loc[0, "mean"]
    rows.append((share, is_found[is_paired].mean(), is_found[~is_paired].mean(), ndcg))
quality = pd.DataFrame(rows, columns=["share", "other versions", "other songs", "ndcg"])

# %%
# Near weights alone (left end) find the other version of a song, low-rank weights alone (right end)
# find more of the other songs. A sum finds many songs of both kinds, so its lists are better.

figure, (left, right) = plt.subplots(1, 2, sharex=True)
for name, place in (("other versions", (0.45, 0.43)), ("other songs", (0.05, 0.27))):
    (line,) = left.plot(quality["share"], quality[name])
    left.annotate(name, place, color=line.get_color())
left.set(title="Each part finds other songs", ylabel="recall@20", ylim=(0, None))

right.plot(quality["share"], quality["ndcg"], color="C2")
best = quality.loc[quality["ndcg"].idxmax()]
for point, height in ((quality.iloc[0], -16), (best, 8), (quality.iloc[-1], -16)):
    share, ndcg = point["share"], point["ndcg"]
    right.plot(share, ndcg, "o", color="C2")
    right.annotate(
        f"{ndcg:.3f}", (share, ndcg), (0, height), textcoords="offset points", ha="center"
    )
right.margins(y=0.15)
right.set(title="The sum ranks better than either", ylabel="NDCG@20")
for axes in (left, right):
    axes.margins(x=0.12)
    axes.set_xticks([0, 0.5, 1], ["near\nweights", "half of\neach", "low-rank\nweights"])
plt.show()
