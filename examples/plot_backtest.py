"""
A back-test over time
=====================

A back-test measures how good recommendations would have been in the past. ``TimeWindowSplit``
divides the listens into windows of time. A model learns from the listens before a window, and its
recommendations are compared with the listens in the window.
"""

# %%
# The data are two years of made-up listens. Each month a listener hears four songs, and a tenth of
# the listeners change to other genres.

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.model_selection import cross_val_score

from shallow_ae import (
    PopularityRecommender,
    SparseShallowAutoEncoder,
    TimeWindowSplit,
    make_ranking_scorer,
    make_recommender,
)

rng = np.random.default_rng(0)
n_users, n_songs, n_genres = 600, 600, 12
genre = rng.integers(n_genres, size=n_songs)
popularity = 1 / (rng.permutation(n_songs) + 10)
tastes = rng.dirichlet(np.full(n_genres, 0.1), size=n_users)
months = []
for month in pd.date_range("2024-01-31", periods=24, freq="ME"):
    turns = rng.random(n_users) < 0.1
    tastes[turns] = rng.dirichlet(np.full(n_genres, 0.1), size=turns.sum())
    chances = np.log(popularity * (tastes[:, genre] + 0.01)) + rng.gumbel(size=(n_users, n_songs))
    heard = np.argsort(-chances, axis=1)[:, :4]
    users = np.repeat(np.arange(n_users), 4)
    months.append(pd.DataFrame({"user": users, "item": heard.ravel(), "time": month}))
listens = pd.concat(months, ignore_index=True)

# %%
# The windows are the last six quarters. In each window, the recommendations are compared with the
# songs that a listener has never heard before. With a half-life of 90 days, a listen from a quarter
# ago counts half as much as a listen of today.

cv = TimeWindowSplit(6, test_size="91D")
windows = cv.windows_of(listens)
model = SparseShallowAutoEncoder(regularization=0.5)
recommenders = {
    "half-life of\n90 days": make_recommender(model, time="time", half_life="90D"),
    "no decay": make_recommender(model),
    "popularity": make_recommender(PopularityRecommender()),
}
scorer = make_ranking_scorer("ndcg", k=20)
quality = pd.DataFrame(
    {
        name: cross_val_score(recommender, listens, windows, cv=cv, scoring=scorer)
        for name, recommender in recommenders.items()
    },
    index=windows.cat.categories.left,
)

# %%
# The model is always better than popularity. With each quarter, more of a listener's songs belong
# to tastes that the listener no longer has. Without decay, recommendations therefore become worse
# from quarter to quarter. With decay, they lose half as much.

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
axes.set_xticks(quality.index, [f"{start:%b}\n{start:%Y}" for start in quality.index])
axes.set(
    title="When tastes change, old listens mislead",
    xlabel="first month of the quarter to predict",
    ylabel="NDCG@20 of new songs in the quarter",
    ylim=(0, None),
)
plt.show()
