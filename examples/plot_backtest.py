"""
A back-test over time
=====================

A back-test measures how good recommendations would have been in the past. ``hold_out_after``
divides the listens at a date. A model learns from the listens before the date, and its
recommendations are compared with the listens after the date.
"""

# %%
# The data are two years of made-up listens. Each month a listener hears four songs, and a tenth of
# the listeners change to other genres.

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from shallow_ae import (
    PopularityRecommender,
    SparseShallowAutoEncoder,
    evaluate,
    hold_out_after,
    make_recommender,
)
from shallow_ae.evaluation import item_lists

rng = np.random.default_rng(0)
n_users, n_songs, n_genres = 600, 600, 12
genre = rng.integers(n_genres, size=n_songs)
popularity = 1 / (rng.permutation(n_songs) + 10)
tastes = rng.dirichlet(np.full(n_genres, 0.1), size=n_users)
months = []
for month in pd.date_range("2024-01-01", periods=24, freq="MS"):
    turns = rng.random(n_users) < 0.1
    tastes[turns] = rng.dirichlet(np.full(n_genres, 0.1), size=turns.sum())
    chances = np.log(popularity * (tastes[:, genre] + 0.01)) + rng.gumbel(size=(n_users, n_songs))
    heard = np.argsort(-chances, axis=1)[:, :4]
    users = np.repeat(np.arange(n_users), 4)
    months.append(pd.DataFrame({"user": users, "item": heard.ravel(), "time": month}))
listens = pd.concat(months, ignore_index=True)

# %%
# At each date, the models learn from all earlier listens. They recommend songs that a listener has
# never heard. The recommendations are computed from all songs of the listener, or only from the
# songs of the last quarter. They are compared with the songs of the next quarter.

quarter, rows = pd.DateOffset(months=3), []
for cut in pd.date_range("2024-07-01", "2025-10-01", freq="QS"):
    past, future = hold_out_after(listens[listens["time"] < cut + quarter], cut)
    recent = past[past["time"] >= cut - quarter]
    model = make_recommender(SparseShallowAutoEncoder(regularization=0.5)).fit(past)
    popular = make_recommender(PopularityRecommender()).fit(past)
    for name, recommender, history in (
        ("model, from\nthe last quarter", model, recent),
        ("model, from\nall songs", model, past),
        ("popularity", popular, past),
    ):
        answer = recommender.recommend(history, k=20, exclude=past)
        ndcg = evaluate(item_lists(future), item_lists(answer), "ndcg", k=20).loc[0, "mean"]
        rows.append((cut, name, ndcg))
quality = pd.DataFrame(rows, columns=["cut", "name", "ndcg"])
quality = quality.pivot(index="cut", columns="name", values="ndcg")

# %%
# The model is always better than popularity. With each quarter, more of a listener's songs belong
# to tastes that the listener no longer has. Recommendations from recent songs are therefore better
# than recommendations from all songs.

figure, axes = plt.subplots()
for name in quality:
    (line,) = axes.plot(quality.index, quality[name], marker="o")
    axes.annotate(
        name,
        (quality.index[-1], quality[name].iloc[-1]),
        xytext=(10, 0),
        textcoords="offset points",
        color=line.get_color(),
        va="center",
    )
axes.set_xticks(quality.index, [f"{cut:%b}\n{cut:%Y}" for cut in quality.index])
axes.set(
    title="When tastes change, old listens mislead",
    xlabel="first month of the quarter to predict",
    ylabel="NDCG@20 of new songs in the quarter",
    ylim=(0, None),
)
plt.show()
