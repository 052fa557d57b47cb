"""
A score is a sum of reasons
===========================

The score of a song is a sum over the songs that the listener has. ``explain`` returns the terms of
this sum. They are the reasons for a recommendation.
"""

# %%
# A model learns from all listens, and recommends eight new songs to one listener.

from matplotlib import pyplot as plt

from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
from shallow_ae.datasets import make_listens

listens, _ = make_listens(random_state=0)
recommender = make_recommender(
    LogCountTransformer(), ShallowAutoEncoder(regularization=2.0, solver="exact")
).fit(listens)
history = listens[listens["user"] == "user_0010"]
recommended = recommender.recommend(history, k=8)

# %%
# With ``k`` at least as large as the number of the listener's songs, ``explain`` returns all parts
# of each score, and they add up to it.

reasons = recommender.explain(history, recommended, k=len(history))
parts = reasons.pivot(index="item", columns="reason", values="contribution")
scores = recommended.set_index("item")["score"]
print(f"largest difference of a score from its parts: {abs(parts.sum(axis=1) - scores).max():.0e}")

# %%
# Each of the five songs that add most to the eight scores has a color. Two of these songs (blue and
# green) contribute to some recommendations, and the other three songs contribute to others.
# Negative parts are drawn left of zero, so the score (black) can be left of the end of a bar.

named = parts.sum().nlargest(5).index
shown = parts[named].assign(others=parts.drop(columns=named).sum(axis=1)).loc[scores.index]

figure, axes = plt.subplots()
plays = history.set_index("item")["count"]
right_ends, left_ends = 0 * scores, 0 * scores  # positive parts to the right, negative to the left
for reason in shown:
    part = shown[reason]
    label = f"{reason} ({plays[reason]:,} plays)" if reason in plays else "all others"
    color = "0.8" if reason == "others" else None
    axes.barh(
        part.index, part, left=right_ends.where(part > 0, left_ends), label=label, color=color
    )
    right_ends, left_ends = right_ends + part.clip(lower=0), left_ends + part.clip(upper=0)
axes.plot(scores, scores.index, "k|", markersize=16, markeredgewidth=2)
for item, score in scores.items():
    label = f"score {score:.2f}" if item == scores.index[0] else f"{score:.2f}"
    axes.annotate(label, (right_ends[item], item), (6, 0), textcoords="offset points", va="center")
axes.axvline(0, color="black", linewidth=0.8)
axes.invert_yaxis()
axes.set(
    title="Two tastes of one listener, and what each recommends",
    xlabel="part of the score",
    xlim=(None, 0.6),
)
axes.legend(title="songs of the listener", loc="lower right", alignment="left")
plt.show()
