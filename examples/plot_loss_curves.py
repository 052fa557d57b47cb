"""
When to stop training
=====================

The training loss falls with each step, but from some step on the recommendations get worse. Early
stopping finds this step on held-out listeners, and returns its weights.
"""

from matplotlib import pyplot as plt

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder
from shallow_ae.datasets import make_listens
from shallow_ae.display import LossCurveDisplay

listens, _ = make_listens(n_items=500, random_state=0)
X = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens))

# %%
# A fit that ends by itself
# -------------------------
#
# ``early_stopping`` holds out a tenth of the listeners, hides a fifth of their songs, and scores
# the recommendations after every fifth step. Training ends if no step of the last 80 has a new best
# score. All steps have the same length and use all training listeners, so the curve is smooth.

model = ShallowAutoEncoder(
    learning_rate=0.01,
    learning_rate_decay=1,
    batch_size=X.shape[0],
    max_iter=300,
    early_stopping=True,
    n_iter_no_change=80,
    random_state=0,
).fit(X)
print(f"{len(model.loss_curve_)} steps taken, the weights after step {model.n_iter_} kept")

# %%
# Loss and score
# --------------
#
# The dotted line marks the step whose weights the model keeps.

display = LossCurveDisplay.from_estimator(model)
display.ax_.set_title(f"After step {model.n_iter_} only the loss still improves")
display.ax_.yaxis.label.set_color("C0")
display.score_ax_.yaxis.label.set_color("C1")
display.score_ax_.spines["right"].set_visible(True)
display.score_ax_.axvline(model.n_iter_, color="gray", linestyle=":")
display.score_ax_.annotate(
    f"best score {max(model.validation_curve_):.3f}\nafter step {model.n_iter_}",
    (model.n_iter_, max(model.validation_curve_)),
    xytext=(6, -40),
    textcoords="offset points",
)
plt.show()
