"""Early stopping: held-out users, and the scores that end training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models.descent_rows import DescentRows

if TYPE_CHECKING:
    from shallow_ae._cluster.rows import PartitionedRows
    from shallow_ae._solvers.gradient_descent.fit import Descent

EVERY = 5  # steps between two scores
_PROTOCOL = HoldoutProtocol()


class HeldOutUsers(NamedTuple):
    """The training rows, and the visible and hidden items of the held-out users."""

    others: DescentRows | PartitionedRows  # rows of the training users
    visible: sp.csr_array[Any]  # items of the held-out users that the model receives
    hidden: sp.csr_array[Any]  # items of the held-out users that are compared with recommendations


def hold_out(
    rows: DescentRows | PartitionedRows,
    validation_fraction: float,
    seed: int,
    rng: np.random.Generator,
) -> HeldOutUsers:
    """Hold out a share of the users, and hide some of their items.

    Raises
    ------
    ValueError
        If no held-out user has an item to hide, or no user of weight > 0 remains for training.
    """
    n_users = rows.n_rows
    n_held_out = int(np.ceil(validation_fraction * n_users))
    chosen, others = rows.split(rng.permutation(n_users)[:n_held_out])
    visible, hidden = replace(_PROTOCOL, random_state=seed).split(chosen, None)
    if not hidden.nnz or not others.total_weight:
        raise ValueError(
            f"`early_stopping` holds out {n_held_out} of {n_users} users. At least one held-out "
            "user needs two items, and at least one other user needs a weight > 0. Pass more "
            f"users, or a `validation_fraction` other than {validation_fraction:g}."
        )
    return HeldOutUsers(others, visible, hidden)


class EarlyStopping:
    """Scores the held-out users every few steps, and ends the descent when the scores have peaked.

    Parameters
    ----------
    users : HeldOutUsers
        The held-out users.
    n_iter_no_change : int
        Number of steps without a new best score after which the descent ends.
    tol : float
        A new best score must exceed the previous best score by more than this.
    """

    every = EVERY

    def __init__(self, users: HeldOutUsers, n_iter_no_change: int, tol: float) -> None:
        self.scores: list[float] = []
        self._users = users
        self._n_scores = -(-n_iter_no_change // EVERY)
        self._tol = tol

    def is_done(self, descent: Descent) -> bool:
        """Add a score at every fifth step and the last; return whether the scores have peaked."""
        if descent.is_at_end or len(descent.losses) % EVERY == 0:
            with descent.lent_weights() as (weights, _):
                found = _PROTOCOL.score_weights(weights, self._users.visible, self._users.hidden)
                self.scores.append(found)
        return has_peaked(self.scores, self._n_scores, self._tol)

    def best_step(self, n_steps: int) -> int:
        """Return the number of steps after which the score was best."""
        if not self.scores:
            return n_steps
        return min((int(np.argmax(self.scores)) + 1) * EVERY, n_steps)

    def steps(self, n_steps: int) -> list[int]:
        """Return the number of steps taken before each score."""
        return [min(EVERY * (i + 1), n_steps) for i in range(len(self.scores))]


def has_peaked(scores: Sequence[float], n_scores: int, tol: float) -> bool:
    """Return whether no score of the last `n_scores` exceeds all earlier scores by over `tol`."""
    best_before = max(scores[:-n_scores], default=-np.inf)
    return len(scores) > n_scores and max(scores[-n_scores:]) <= best_before + tol
