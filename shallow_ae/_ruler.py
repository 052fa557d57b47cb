"""How models are judged: what is hidden, how much is recommended, and by which measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from shallow_ae.data.arguments import check_choice, check_integer
from shallow_ae.data.holdout import check_holdout, hold_out_pairs
from shallow_ae.data.matrices import canonical
from shallow_ae.data.splits import hold_out_items
from shallow_ae.data.tables import are_interactions, take_rows
from shallow_ae.metrics.formulas import MEASURES, values_of_users
from shallow_ae.metrics.hits import match


@dataclass(frozen=True)
class Ruler:
    """Hides items, and says how well recommendations have found them again."""

    metric: str | Callable[..., float] = "ndcg"
    k: int = 100
    holdout: float = 0.2
    random_state: Any = 0

    def check(self) -> None:
        """Raise an error that names the first parameter out of its range."""
        if not callable(self.metric):
            check_choice("metric", self.metric, tuple(MEASURES))
        check_integer("k", self.k, low=1)
        check_holdout(self.holdout)
        check_random_state(self.random_state)

    def split(self, X: Any, y: Any) -> tuple[sp.csr_array[Any], sp.csr_array[Any]]:
        """Return what a model is shown of a users x items matrix, and what it is to find."""
        if y is None or np.ndim(y) == 1:
            return hold_out_items(X, self.holdout, random_state=self.random_state)
        visible, hidden = canonical(X), canonical(y)
        if hidden.shape != visible.shape:
            raise ValueError(f"y has shape {hidden.shape}, expected that of X, {visible.shape}.")
        return visible, hidden

    def split_pairs(self, interactions: Any, y: Any, names: dict[str, str]) -> tuple[Any, Any]:
        """Return what a pipeline is shown of interactions, and what it is to find."""
        if y is None:
            parts = hold_out_pairs(
                interactions, self.holdout, **names, random_state=self.random_state
            )
        else:
            parts = _given_pairs(interactions, y)
        if not len(parts[1]):
            raise ValueError("Nothing to measure: no user has two items, for one to be held out.")
        return parts

    def measure(self, hidden: sp.csr_array[Any], items: NDArray[np.int64]) -> float:
        """Return the measure of recommended items, the mean over users."""
        if callable(self.metric):
            return float(self.metric(hidden, items, k=self.k))
        matches = match(hidden, items, self.k)
        values = values_of_users(self.metric, matches, omit_unanswered=False)
        return float(np.nanmean(values))


def _given_pairs(interactions: Any, y: Any) -> tuple[Any, Any]:
    """Return interactions without those that are held out, and those."""
    if are_interactions(y):
        return interactions, y
    if isinstance(y, Mapping):
        if any(isinstance(own, str) for own in y.values()):
            raise TypeError("Each user in `y` needs a list of items, found a single string.")
        return interactions, [(whose, what) for whose, own in y.items() for what in own]
    given = np.asarray(y)
    if given.ndim == 2:
        return interactions, given
    if given.dtype != np.bool_ or len(given) != len(interactions):
        raise ValueError(
            f"`y` is an array of {given.dtype} of shape {given.shape}. Expected held-out "
            "interactions (a frame, list of tuples, dict of user to items), or an array of bool "
            f"of shape ({len(interactions)},) that says which rows of X they are."
        )
    return take_rows(interactions, ~given), take_rows(interactions, given)
