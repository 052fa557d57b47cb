"""Weights by their definitions, in float64, and the closed form in each of its forms."""

from contextlib import contextmanager

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.linear_model import Ridge

from shallow_ae._objective import training_data
from shallow_ae._solvers import closed_form


def ridge_columns(X, sample_weight, parameters):
    """Return P, each column a ridge regression by scikit-learn.

    Penalties that differ by item are put into the scale of the columns. With no slack, an item is
    left out of its own regression; with some, its own weight has the least extra penalty, found by
    a root finder, that holds it there.
    """
    seen, slack, p = X != 0, parameters["diagonal_slack"], parameters["dropout"]
    given_weights = np.ones(len(X)) if sample_weight is None else sample_weight
    w = given_weights * np.maximum(seen.sum(axis=1), 1.0) ** -parameters["user_exponent"]
    penalty = w.sum() * parameters["regularization"] + p / (1 - p) * (w @ X**2)
    P = np.zeros((X.shape[1], X.shape[1]))

    def regress(j, inputs, extra=0.0):
        scale = np.sqrt(penalty + extra * (np.arange(len(penalty)) == j))[inputs]
        ridge = Ridge(1.0, fit_intercept=False, solver="cholesky")
        return ridge.fit(X[:, inputs] / scale, X[:, j], sample_weight=w).coef_ / scale

    for j in range(X.shape[1]):
        inputs = np.arange(X.shape[1]) if slack else np.delete(np.arange(X.shape[1]), j)
        if not len(inputs):
            continue
        column = regress(j, inputs)
        if slack and column[j] > slack:
            excess = brentq(
                lambda log, j=j, inputs=inputs: regress(j, inputs, np.exp(log))[j] - slack,
                -30,
                30,
                xtol=1e-14,
            )
            column = regress(j, inputs, np.exp(excess))
        P[inputs, j] = column
    np.fill_diagonal(P, 0)
    counts = np.where(given_weights @ seen > 0, given_weights @ seen, 1)
    return P * (counts[None, :] / counts[:, None]) ** parameters["item_exponent"]


FORMS = {
    "primal": {"is_dual": False, "keeps_gram": False},
    "dual": {"is_dual": True, "keeps_gram": False},
    "primal, of a kept Gram matrix": {"is_dual": False, "keeps_gram": True},
}


@contextmanager
def computed(form):
    """Compute in one form, whatever the shape of the data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_form, "is_dual", lambda *_: FORMS[form]["is_dual"])
        patch.setattr(training_data, "keeps_gram", lambda *_: FORMS[form]["keeps_gram"])
        yield


def scaled_rows(X, sample_weight, item_normalization, user_exponent):
    """Return X with users weighted and items normalized, and the users of each item."""
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    counts = weights @ (X != 0)
    weights = weights * np.maximum((X != 0).sum(axis=1), 1.0) ** -user_exponent
    counts = np.where(counts > 0, counts, counts.max() or 1)
    return np.sqrt(weights)[:, None] * X / counts**item_normalization, counts


def weights_between(core, counts, item_exponent):
    """Return P for V f(s) V' = core."""
    P = core * (counts[None, :] / counts[:, None]) ** item_exponent
    np.fill_diagonal(P, 0)
    return P
