"""
A map of artists
================

The model gets no genres. It learns weights between artists from their listeners only. A map that is
drawn from these weights shows artists of the same genre close together. It shows most artists who
mix two genres between these genres.
"""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke
from sklearn.manifold import TSNE

from shallow_ae import ShallowAutoEncoder

# %%
# Made-up listeners
# -----------------
#
# Each artist plays one of six genres, and one artist in eight mixes this genre with the next one. A
# listener has a taste, which is a share for each genre. The chance that a listener knows an artist
# is proportional to the artist's popularity and to the listener's taste for the artist's genre.

genres = ["Jazz", "Soul", "Folk", "Rock", "Techno", "Ambient"]
n_users, n_artists = 4000, 240

rng = np.random.default_rng(0)
genre = rng.integers(len(genres), size=n_artists)
is_mixed = rng.random(n_artists) < 1 / 8
style = np.eye(len(genres))[genre]
style[is_mixed] = (style[is_mixed] + np.roll(style[is_mixed], 1, axis=1)) / 2

tastes = rng.dirichlet(np.full(len(genres), 0.2), size=n_users)
popularity = 1 / (40 + rng.permutation(n_artists))
chance = 150 * popularity / popularity.sum() * (tastes @ style.T)
X = (rng.random(chance.shape) < chance).astype(float)
print(f"{X.sum(axis=1).mean():.0f} artists per listener")

# %%
# Weights as distances
# --------------------
#
# A weight is the contribution of one artist to the score of another artist. For each pair of
# artists, the model has a weight in each direction, and the map uses the larger weight. t-SNE
# places artists with a large weight close together.

P = ShallowAutoEncoder(0.05, solver="exact").fit(X).item_weights_
similarity = np.maximum(P, P.T).clip(min=0)
distance = 1 - similarity / similarity.max()
np.fill_diagonal(distance, 0)
tsne = TSNE(metric="precomputed", init="random", perplexity=30, method="exact", random_state=0)
place = tsne.fit_transform(distance)

# %%
# The map
# -------
#
# A line connects each artist with the artist that it predicts best. Artists with more listeners
# have larger dots. A dot of two colours is an artist who mixes two genres.

n_listeners = X.sum(axis=0)
lines = np.stack([place, place[P.argmax(axis=1)]], axis=1)

fig, ax = plt.subplots(figsize=(7, 5.5))
ax.add_collection(LineCollection(lines, color="0.8", linewidth=0.6, zorder=0))
colors = [f"C{number}" for number in genre]
ax.scatter(*place.T, s=n_listeners / 6, c=colors, edgecolor="white", linewidth=0.5)
for artist in np.flatnonzero(is_mixed):
    ax.plot(
        *place[artist],
        marker="o",
        markersize=np.sqrt(n_listeners[artist] / 6),
        fillstyle="left",
        color=colors[artist],
        markerfacecoloralt=f"C{(genre[artist] + 1) % len(genres)}",
        markeredgecolor="black",
    )
for number, name in enumerate(genres):
    x, y = np.median(place[(genre == number) & ~is_mixed], axis=0)
    label = ax.text(x, y, name, fontsize=15, fontweight="bold", ha="center", va="center")
    label.set_path_effects([withStroke(linewidth=4, foreground="white")])
ax.set_axis_off()
ax.set_title("The weights draw a map of genres that the model has never seen")
plt.show()
