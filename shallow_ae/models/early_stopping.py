"""Early stopping: held-out users, and the scores that end training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae._typing import Array, Interactions
from shallow_ae.evaluation import HoldoutProtocol

if TYPE_CHECKING:
    from shallow_ae._solvers.gradient_descent.fit import GradientDescent

EVERY = 5  # steps between two scores
_PROTOCOL = HoldoutProtocol()


class HeldOutUsers(NamedTuple):
    """The users that early stopping scores, and those that are left to learn from."""

    X: Interactions  # of those left, as their weights
    sample_weight: Array
    visible: sp.csr_array[Any]  # items of the others that they are recommended from
    hidden: sp.csr_array[Any]  # and those that recommendations are to find


def hold_out(
    X: Interactions,
    sample_weight: Array,
    validation_fraction: float,
    seed: int,
    rng: np.random.Generator,
) -> HeldOutUsers:
    """Hold out a share of the users, and hide some of their items.

    Raises
    ------
    ValueError
        If none of them has an item to hide, or nobody is left to learn from.
    """
    n_users = X.shape[0]
    n_held_out = int(np.ceil(validation_fraction * n_users))
    order = rng.permutation(n_users)
    chosen, others = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
    visible, hidden = replace(_PROTOCOL, random_state=seed).split(X[chosen], None)
    if not hidden.nnz or not sample_weight[others].any():
        raise ValueError(
            f"`early_stopping` holds out {n_held_out} of {n_users} users, and needs one among "
            "them with two items, and one of weight > 0 among the others. Pass more users, or "
            f"another `validation_fraction` than {validation_fraction:g}."
        )
    return HeldOutUsers(X[others], sample_weight[others], visible, hidden)


class EarlyStopping:
    """Scores the held-out users every few steps, and ends the descent when the scores have peaked.

    Parameters
    ----------
    n_iter_no_change : int
        Steps that a new best score may take.
    tol : float
        A score must exceed the best before by more than this.
    """

    every = EVERY

    def __init__(self, users: HeldOutUsers, n_iter_no_change: int, tol: float) -> None:
        self.scores: list[float] = []
        self._users = users
        self._n_scores = -(-n_iter_no_change // EVERY)
        self._tol = tol

    def is_done(self, descent: GradientDescent) -> bool:
        """Add a score where one is due, and return whether the scores have peaked."""
        if descent.is_at_end or len(descent.losses) % EVERY == 0:
            with descent.lent_weights() as (weights, _):
                found = _PROTOCOL.score_weights(weights, self._users.visible, self._users.hidden)
                self.scores.append(found)
        return has_peaked(self.scores, self._n_scores, self._tol)

    def best_step(self, n_steps: int) -> int:
        """Return how many of the steps led to the best score."""
        if not self.scores:
            return n_steps
        return min((int(np.argmax(self.scores)) + 1) * EVERY, n_steps)

    def steps(self, n_steps: int) -> list[int]:
        """Return how many of the steps were taken before each score."""
        return [min(EVERY * (i + 1), n_steps) for i in range(len(self.scores))]


def has_peaked(scores: Sequence[float], n_scores: int, tol: float) -> bool:
    """Return whether none of the last `n_scores` is more than `tol` above all before them."""
    best_before = max(scores[:-n_scores], default=-np.inf)
    return len(scores) > n_scores and max(scores[-n_scores:]) <= best_before + tol
