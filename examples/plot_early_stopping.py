r"""
Why early stopping regularizes
==============================

Gradient descent that stops after a few steps shrinks each direction of the data almost as a ridge
penalty does. This example shows the penalty that corresponds to a number of steps. Early stopping
and ridge regression recommend best at the same point.
"""

import numpy as np
from matplotlib import pyplot as plt

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder, hold_out_items, ndcg_score
from shallow_ae.datasets import make_listens

listens, _ = make_listens(500, 150, n_groups=10, items_per_user=20, random_state=0)
X = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens)).astype(float)
visible, hidden = hold_out_items(X, random_state=0)
n_users = visible.shape[0]

# %%
# Theory
# ------
#
# Let :math:`v` be an eigenvector of :math:`X^\top X / n` with the eigenvalue :math:`\lambda`. A
# step of length :math:`\eta` on all :math:`n` listeners, without a penalty, leads from the weights
# :math:`P` to
#
# .. math:: P + \tfrac{2 \eta}{n} X^\top X (I - P).
#
# The weights reconstruct the share :math:`v^\top P v` of the direction :math:`v`. A step multiplies
# the missing share by :math:`1 - 2 \eta \lambda`. The shares after :math:`t` steps from zero
# weights, and with a ridge penalty, are
#
# .. math:: 1 - (1 - 2 \eta \lambda)^t \qquad \text{and} \qquad
#    \frac{\lambda}{\lambda + \text{regularization}}.
#
# For small :math:`\lambda` these are :math:`2 \eta t \lambda` and :math:`\lambda /
# \text{regularization}`. Thus :math:`t` steps correspond to the regularization
# :math:`1 / (2 \eta t)`.

# %%
# Practice
# --------
#
# These fits take full steps of constant length from zero weights, without a penalty.


def descend(t, **parameters):
    """Fit by t steps as in the theory."""
    return ShallowAutoEncoder(
        regularization=0,
        max_iter=t,
        learning_rate_decay=1,
        init_scale=0,
        batch_size=n_users,
        **parameters,
    ).fit(visible)


step = descend(1).learning_rate_
eigenvalues, V = np.linalg.eigh((visible.T @ visible).toarray() / n_users)
print(f"Step length {step:.4f} = 1 / (2 * largest eigenvalue) = {0.5 / eigenvalues[-1]:.4f}")


def share_after(t, eigenvalue):
    """Return the share that t steps reconstruct."""
    return 1 - (1 - 2 * step * eigenvalue) ** t


def share_with(regularization, eigenvalue):
    """Return the share that a model with a ridge penalty reconstructs."""
    return eigenvalue / (eigenvalue + regularization)


# %%
# Left: the shares. With ``diagonal_slack=1``, songs may predict themselves in training, as in the
# theory. A fit returns weights with the diagonal 0, so we add the diagonal of the theory to them.
#
# Right: the recommendations of models in which no song predicts itself.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5))
grid = np.geomspace(eigenvalues[0], eigenvalues[-1], 200)
for number, t in enumerate((1, 10, 100)):
    theory = (V * share_after(t, eigenvalues)) @ V.T
    P = descend(t, diagonal_slack=1).item_weights_ + np.diag(theory.diagonal())
    print(f"t = {t}: weights differ from the theory by at most {np.abs(P - theory).max():.0e}")
    color = f"C{number}"
    left.plot(grid, share_after(t, grid), color=color)
    left.plot(grid, share_with(1 / (2 * step * t), grid), color=color, linestyle="--")
    left.plot(eigenvalues[::-4], ((P @ V) * V).sum(axis=0)[::-4], ".", color=color)
    left.text(grid[share_after(t, grid) < 0.6][-1], 0.62, f"t = {t} ", color=color, ha="right")
left.plot([], [], "k-", label="t steps in theory")
left.plot([], [], "k.", label="fit by t steps")
left.plot([], [], "k--", label="regularization 1 / (2ηt), exact")
left.set(title="t steps shrink almost like a ridge penalty", xscale="log")
left.margins(x=0.08)
left.set(xlabel="Eigenvalue", ylabel="Reconstructed share of the direction")

steps = np.array([1, 2, 5, 10, 20, 50, 100])
stopped = [descend(t) for t in steps]
exact = [ShallowAutoEncoder(1 / (2 * step * t), solver="exact").fit(visible) for t in steps]
for models, style in ((stopped, "k.-"), (exact, "k--")):
    right.plot(steps, [ndcg_score(hidden, m.recommend(visible, k=20)) for m in models], style)
right.set(title="Both are best at the same point", xscale="log")
right.set(xlabel="Steps t, and 1 / (2ηt)", ylabel="NDCG@20 of hidden songs")
right.set_xticks(steps, [f"{t}\n{1 / (2 * step * t):.2g}" for t in steps], minor=False)
right.minorticks_off()
fig.legend(loc="outside lower center", ncols=3)
plt.show()
