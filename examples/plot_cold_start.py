"""
How many songs a new listener must name
=======================================

A fitted model recommends to listeners who were not in the training data. It needs only their songs,
and no new fit. This example shows how many songs are needed for better recommendations than the
most popular songs.
"""

# %%
# A fifth of the listeners are new: the models learn only from the other listeners. Ten songs of
# each new listener are hidden. A model should recommend them, given the songs that the listener
# names.

from matplotlib import pyplot as plt

from shallow_ae import (
    LogCountTransformer,
    PopularityRecommender,
    ShallowAutoEncoder,
    evaluate,
    hold_out_users,
    make_recommender,
)
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists

listens, _ = make_listens(items_per_user=60, random_state=0)
train, named, hidden = hold_out_users(listens, users=0.2, holdout=10, random_state=0)
recommenders = {
    "model": make_recommender(
        LogCountTransformer(), ShallowAutoEncoder(regularization=0.5, solver="exact")
    ),
    "popularity": make_recommender(PopularityRecommender()),
}
for recommender in recommenders.values():
    recommender.fit(train)

# %%
# Each listener names 1, 2, 5, 10 or 20 songs, and ``recommend`` takes these songs. Only listeners
# with 20 songs or more are measured, so that all points show the same listeners.

n_named = [1, 2, 5, 10, 20]
named = named[named.groupby("user")["item"].transform("size") >= max(n_named)]
truth = item_lists(hidden[hidden["user"].isin(named["user"])])
quality = {
    name: [
        evaluate(
            truth,
            item_lists(recommender.recommend(named.groupby("user").head(n), k=20)),
            "ndcg",
            k=20,
            confidence=0.95,
        ).loc[0, ["mean", "low", "high"]]
        for n in n_named
    ]
    for name, recommender in recommenders.items()
}

# %%
# From one song, the model is as good as popularity. Each further song improves it, and from five
# songs on the 95 % confidence intervals (bands) do not overlap.

figure, axes = plt.subplots()
for name, rows in quality.items():
    mean, low, high = zip(*rows, strict=True)
    (line,) = axes.plot(n_named, mean, marker="o")
    axes.fill_between(n_named, low, high, alpha=0.2, linewidth=0)
    axes.annotate(
        name,
        (n_named[-1], mean[-1]),
        xytext=(10, 0),
        textcoords="offset points",
        color=line.get_color(),
        va="center",
    )
axes.set_xscale("log")
axes.set_xticks(n_named, n_named)
axes.minorticks_off()
axes.set(
    title="Five songs of a new listener are enough to beat popularity",
    xlabel="songs that the listener names",
    ylabel=f"NDCG@20 of {len(truth)} new listeners",
    ylim=(0, None),
)
plt.show()
