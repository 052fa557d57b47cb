"""
Definitions of NDCG
===================

Libraries define NDCG differently, and give the same recommendations different scores. Compare only
values of the same definition.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender, ndcg_score
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists

# %%
# One ranking
# -----------
#
# Each listener gets 100 songs, and a fifth of the songs that the listener knows is held out.

listens, truth = make_listens(random_state=0)
recommender = make_recommender(LogCountTransformer(), ShallowAutoEncoder(0.5, solver="exact"))
found = item_lists(recommender.fit(listens).recommend(listens, k=100))
n_held_out = np.array([len(truth[user]) for user in truth])
print(f"Held-out songs of a listener: {np.median(n_held_out):.0f}, at most {n_held_out.max()}")

# %%
# Four definitions
# ----------------
#
# NDCG is the sum of the gains of the hits, divided by the sum of the gains of an ideal list. The
# definitions differ in the gain of a hit at rank r, and in the number of hits of the ideal list.
#
# - scikit-learn, trec_eval, ranx and shallow_ae have the gain 1 / log2(r + 1). The ideal list has
#   as many hits as are possible: min(k, number of held-out songs).
# - With ``ideal="full"``, the ideal list has all held-out songs as hits, even if they exceed k.
# - The ideal list of RecTools 0.19 has k hits, even if fewer songs are held out.
# - LensKit 2025.8 has the gain 1 / max(1, log2(r)): it does not discount rank 2.

hits = np.array([np.isin(found[user], truth[user]) for user in truth])
ranks = np.arange(1, 101)
discounted = 1 / np.log2(ranks + 1)
lenskit = 1 / np.maximum(1, np.log2(ranks))


def ndcg(k, gain, n_ideal):
    """Return the mean NDCG of all listeners, for ideal lists of `n_ideal` hits."""
    return np.mean(hits[:, :k] @ gain[:k] / gain.cumsum()[n_ideal - 1])


cutoffs = (2, 10, 100)
table = pd.DataFrame(
    {
        f"NDCG@{k}": {
            "shallow_ae and most others": ndcg_score(truth, found, k=k),
            'ideal="full"': ndcg_score(truth, found, k=k, ideal="full"),
            "RecTools": ndcg(k, discounted, k),
            "LensKit": ndcg(k, lenskit, np.minimum(k, n_held_out)),
        }
        for k in cutoffs
    }
)

# %%
# The same lists, scored
# ----------------------
#
# ``ideal="full"`` is lower if k is smaller than the number of held-out songs. RecTools is lower if
# k is larger. LensKit is lower here: the full gain at rank 2 raises the ideal lists more than the
# lists found.

fig, axes = plt.subplots(1, len(cutoffs), sharex=True, sharey=True)
for ax, cutoff in zip(axes, table, strict=True):
    bars = ax.barh(table.index, table[cutoff], color=["C0", "C1", "C2", "C3"])
    ax.bar_label(bars, fmt="%.3f", padding=3)
    ax.set(title=cutoff, xticks=[])
    ax.tick_params(left=False)
    ax.spines["bottom"].set_visible(False)
ax.invert_yaxis()
ax.margins(x=0.3)
fig.suptitle("The same recommendations have four values of NDCG", x=0.01, ha="left")
plt.show()
