"""Fits in closed form: memory check, solution, fitted state."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._objective.objective import Objective
from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingData
from shallow_ae._objective.training_gram import TrainingGram
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._solvers.closed_form import solve
from shallow_ae._solvers.costs import MemoryNeed, check_memory, descent_need, exact_need
from shallow_ae._solvers.gradient_descent.sizes import choose_layout
from shallow_ae._typing import Interactions
from shallow_ae.models.fitted import AutoEncoderState, solved_state


def check_fit_fits(X: Interactions, batch_size: int, max_iter: int) -> None:
    """Raise a MemoryError if a fit to checked rows needs more than the free memory.

    The error suggests gradient descent if a fit by gradient descent fits in memory; the estimate
    for it needs `batch_size` and `max_iter`.
    """

    def by_descent() -> MemoryNeed:
        layout = choose_layout(X, backend())
        return descent_need(X, batch_size, max_iter, layout)

    n_entries = X.nnz if sp.issparse(X) else np.count_nonzero(X)
    need = exact_need(X.shape, int(n_entries), X.dtype.itemsize)
    check_memory("exact", need, {"sgd": by_descent})


def check_update_fits(kept: TrainingData, rows: sp.csr_array[Any], *, is_added: bool) -> None:
    """Raise a MemoryError if adding or removing rows needs more than the free memory."""
    n_rows, n_entries, itemsize = kept.n_rows, kept.n_entries, kept.dtype.itemsize
    if is_added:
        n_rows, n_entries = n_rows + rows.shape[0], n_entries + rows.nnz
        itemsize = np.result_type(rows.dtype, kept.dtype).itemsize
    if isinstance(kept, TrainingGram):  # which stays one, even if there are new items
        n_entries = max(n_entries, rows.shape[1] ** 2)
    check_memory("exact", exact_need((n_rows, rows.shape[1]), n_entries, itemsize), {})


def fit(data: TrainingData, objective: Objective, *, verbose: int = 0) -> AutoEncoderState:
    """Return the state of a model fitted to this training data only."""
    problem = problem_of(data, objective)
    return solved_state(problem, solve(problem, verbose=verbose))
