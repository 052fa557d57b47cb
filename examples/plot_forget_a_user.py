"""
Forgetting a user
=================

A user asks to be forgotten. ``forget`` removes her listens, and her id, from a fitted recommender.
The result is the same as a fit without her listens.
"""

# %%
# A recommender learns from 300 listeners, and keeps their listens. Then the listener with the most
# songs asks to be forgotten.

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
from shallow_ae.datasets import make_listens

listens, _ = make_listens(n_users=300, n_items=200, random_state=0)
model = ShallowAutoEncoder(regularization=0.5, solver="exact")
recommender = make_recommender(LogCountTransformer(), model, keep_interactions=True).fit(listens)
her = listens["user"].mode()[0]
is_hers = listens["user"] == her
print(f"{is_hers.sum()} of {len(listens):,} listens are hers.")


def weights_of(recommender):
    """Return the weights as a frame with the songs as labels."""
    songs = recommender[0].items_
    return pd.DataFrame(recommender[-1].item_weights_, songs, songs)


# %%
# ``forget`` takes her id. For comparison, ``never`` are the weights of a fit to all listeners but
# her.

before = weights_of(recommender)
after = weights_of(recommender.forget(users=[her]))
assert her not in recommender[0].users_
never = weights_of(make_recommender(LogCountTransformer(), model).fit(listens[~is_hers]))
before, after = (weights.loc[never.index, never.columns] for weights in (before, after))
print(
    f"largest difference to the fit without her, before: {abs(before - never).max(axis=None):.1e}"
)
print(f"largest difference to the fit without her, after:  {abs(after - never).max(axis=None):.1e}")

# %%
# In the left plot, each dot is a weight between two songs. Its position shows the difference from
# the fit without her. The right plot shows the ten weights that changed most, of the song that she
# played most.

figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2])
is_pair = ~np.eye(len(never), dtype=bool)
for weights, marker, color in ((before, ",", "C1"), (after, ".", "C0")):
    pairs = never.to_numpy()[is_pair], (weights - never).to_numpy()[is_pair]
    left.plot(*pairs, marker, color=color, markersize=3)
left.annotate("before", (0.09, 0.03), color="C1")
left.annotate("after", (0.17, 0.003), color="C0")
left.set(
    title="Nothing of her is left",
    xlabel="weight in a fit without her",
    ylabel="difference from it",
)

favorite = listens[is_hers].nlargest(1, "count")["item"].item()
rows = {"before": before.loc[favorite], "after": after.loc[favorite], "never": never.loc[favorite]}
moved = pd.DataFrame(rows)
moved = moved.loc[abs(moved["after"] - moved["before"]).nlargest(10).index[::-1]]
right.hlines(moved.index, moved["before"], moved["after"], color="0.8", zorder=0)
right.plot(moved["before"], moved.index, "o", color="C1", label="before")
right.plot(moved["after"], moved.index, "o", color="C0", label="after", markersize=4)
right.plot(
    moved["never"],
    moved.index,
    "o",
    color="C0",
    fillstyle="none",
    markersize=9,
    label="without her",
)
right.set(title="Her favorite song", xlabel=f"weight from {favorite}")
right.legend(
    loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=3, handletextpad=0, columnspacing=1
)
plt.show()
