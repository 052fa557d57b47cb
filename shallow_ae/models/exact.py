"""One fit in closed form: from checked data to the attributes of a trained model."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae._objective.solution import Solution, objective_of, warn_if_inexact
from shallow_ae._objective.training_data import TrainingData, training_data
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._runtime.memory import check_memory
from shallow_ae._solvers.closed_form import minimize
from shallow_ae._solvers.costs import descent_need, exact_need
from shallow_ae._solvers.gradient_descent.minibatches import choose_layout
from shallow_ae._typing import Array, Interactions


def fit_exactly(model: Any, X: Interactions, sample_weight: Array) -> Any:
    """Return the model as one that has learned from the checked rows X alone."""
    rows = sp.csr_array(X)
    layout = choose_layout(X, backend())
    descent = descent_need(X, model.batch_size, model.max_iter, layout)
    need = exact_need(X.shape, rows.nnz, X.dtype.itemsize)
    check_memory("exact", need, {"sgd": descent})
    return _solve(model, training_data(rows, sample_weight, model.user_exponent))


def learn_exactly(model: Any, X: Interactions, sample_weight: Array) -> Any:
    """Return the model as one that has learned from the checked rows X, too."""
    rows, history = sp.csr_array(X), model._history
    itemsize = np.result_type(X.dtype, history.dtype).itemsize
    n_rows, n_entries = history.n_rows + X.shape[0], history.n_entries + rows.nnz
    check_memory("exact", exact_need((n_rows, X.shape[1]), n_entries, itemsize), {})
    return _solve(model, history.learn(rows, sample_weight, model.user_exponent))


def forget_exactly(model: Any, X: Interactions, sample_weight: Array) -> Any:
    """Return the model as one that has not learned from the checked rows X."""
    history = model._history
    n_rows, itemsize = history.n_rows, history.dtype.itemsize
    check_memory("exact", exact_need((n_rows, X.shape[1]), history.n_entries, itemsize), {})
    return _solve(model, history.forget(sp.csr_array(X), sample_weight, model.user_exponent))


def _solve(model: Any, history: TrainingData) -> Any:
    return settle(model, history, minimize(history, objective_of(model), verbose=model.verbose))


def settle(model: Any, history: TrainingData, minimum: Solution) -> Any:
    """Give a model all attributes that a fit with this outcome has, and warn if it is inexact."""
    warn_if_inexact(minimum, history.dtype, model.regularization, stacklevel=5)
    model._history, model._weights = history, minimum.weights
    model._parameters = objective_of(model)  # as they were for these weights
    model._diagonal, model._item_exponent = minimum.diagonal, float(model.item_exponent)
    model._n_decays, model.n_iter_ = 0, 1
    model.item_counts_, model.n_samples_seen_ = history.item_counts, history.n_rows
    for name in ("learning_rate_", "batch_layout_"):  # of a fit before, by the other solver
        vars(model).pop(name, None)
    model.residual_ = minimum.residual
    model.loss_curve_ = [minimum.objective]
    model.validation_curve_, model.validation_steps_ = [], []
    return model
