"""
Forgetting a user
=================

A user asks to be forgotten. ``forget`` removes her listens from a fitted model. The result is the
same as a fit without her listens.
"""

# %%
# A model learns from 300 listeners. Then the listener with the most songs asks to be forgotten.

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
from shallow_ae.datasets import make_listens

listens, _ = make_listens(n_users=300, n_items=200, random_state=0)
recommender = make_recommender(
    LogCountTransformer(), ShallowAutoEncoder(regularization=0.5, solver="exact")
).fit(listens)
is_hers = listens["user"] == listens["user"].mode()[0]
print(f"{is_hers.sum()} of {len(listens):,} listens are hers.")

# %%
# ``forget`` takes her row of interactions, which the steps before the model compute. For
# comparison, ``never`` are the weights of a fit to all listeners but her.

to_rows, model = recommender[:-1], recommender[-1]
before = model.item_weights_
after = model.forget(to_rows.transform(listens[is_hers])).item_weights_
never = model.fit(to_rows.transform(listens[~is_hers])).item_weights_
print(f"largest difference to the fit without her, before: {abs(before - never).max():.1e}")
print(f"largest difference to the fit without her, after:  {abs(after - never).max():.1e}")

# %%
# In the left plot, each dot is a weight between two songs. Its position shows the difference from
# the fit without her. The right plot shows the ten weights that changed most, of the song that she
# played most.

figure, (left, right) = plt.subplots(1, 2, width_ratios=[3, 2])
is_pair = ~np.eye(len(never), dtype=bool)
left.plot(never[is_pair], (before - never)[is_pair], ",", color="C1")
left.plot(never[is_pair], (after - never)[is_pair], ".", color="C0", markersize=3)
left.annotate("before", (0.09, 0.03), color="C1")
left.annotate("after", (0.17, 0.003), color="C0")
left.set(
    title="Nothing of her is left",
    xlabel="weight in a fit without her",
    ylabel="difference from it",
)

songs = recommender[0].items_
favorite = listens[is_hers].nlargest(1, "count")["item"].item()
row = int(np.flatnonzero(songs == favorite)[0])
moved = pd.DataFrame({"before": before[row], "after": after[row], "never": never[row]}, songs)
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
