"""The weights of every solver against their definitions, in float64."""

import harness  # isort: skip: it comes before what imports Numba
import numpy as np
import scipy.sparse as sp
from bounds import condition, rounding
from hypothesis import strategies as st
from problems import PARAMETERS, problems
from references import FORMS, computed, ridge_columns, scaled_rows, weights_between

from shallow_ae import LowRankAutoEncoder, ShallowAutoEncoder, SparseShallowAutoEncoder
from shallow_ae._solvers.gradient_descent.step import random_start

STEPS, LENGTH, DECAY, SCALE = 5, 0.005, 0.9, 0.01  # a step of twice the length does not diverge
APPROXIMATION = 1e-6  # of the randomized SVD where singular values stand out


@st.composite
def cases(draw):
    """Return rows, sample weights, and the parameters of the objective."""
    X, sample_weight = draw(problems())
    return {
        "X": X * draw(st.sampled_from([1.0, 1.0, 0.01, 100.0])),
        "sample_weight": sample_weight,
        "parameters": draw(PARAMETERS),
        "regularization": draw(st.sampled_from([0.01, 0.3, 1.0, 10.0])),
        "is_sparse": draw(st.booleans()),
        "n_components": draw(st.integers(1, 14)),
        "n_neighbors": draw(st.integers(11, 14)),
        "dtype": draw(st.sampled_from(["float64", "float32"])),
    }


def given_as(case, dtype):
    """Return the rows as an array or a sparse matrix."""
    X = case["X"].astype(dtype)
    return sp.csc_array(X) if case["is_sparse"] else X


def check(case):
    """Each solver returns the solution of the problem that its documentation states."""
    check_closed_form(case)
    check_low_rank(case)
    check_descent(case)


def check_closed_form(case):
    """Compare with a ridge regression for each column; a small penalty needs float64."""
    X, sample_weight, parameters = case["X"], case["sample_weight"], case["parameters"]
    size_of_rows = np.square(X).sum(axis=1).max()
    penalty = case["regularization"] * max(1.0, size_of_rows)
    wide = case["regularization"] < 0.3
    dtype = np.float64 if wide else np.dtype(case["dtype"])
    parameters = {"regularization": penalty, **parameters}
    expected = ridge_columns(X, sample_weight, parameters)
    size = max(np.abs(expected).max(), 1e-3)
    off = rounding(12, dtype) * condition(X, penalty, parameters["dropout"])
    made = {form: ShallowAutoEncoder(solver="exact", **parameters) for form in FORMS}
    for form, model in made.items():
        with computed(form):
            model.fit(given_as(case, dtype), sample_weight=sample_weight)
    nearest = SparseShallowAutoEncoder(n_neighbors=case["n_neighbors"], **parameters)
    made["all others"] = nearest.fit(given_as(case, dtype), sample_weight=sample_weight)
    for form, model in made.items():
        P = model.item_weights_
        P = P.toarray() if sp.issparse(P) else P
        assert P.dtype == dtype, f"{form}: {P.dtype}"
        np.testing.assert_allclose(P, expected, rtol=0, atol=off * size, err_msg=form)


def check_low_rank(case):
    """Compare with NumPy's SVD, where the components to keep stand out from the others."""
    X, sample_weight, k = case["X"], case["sample_weight"], case["n_components"]
    parameters = {
        "item_normalization": case["parameters"]["item_exponent"],
        "user_exponent": case["parameters"]["user_exponent"],
    }
    exponent, soft = case["parameters"]["diagonal_slack"], min(case["regularization"], 1.0)
    model = LowRankAutoEncoder(
        k, regularization=soft, item_exponent=exponent, random_state=0, **parameters
    ).fit(given_as(case, np.float64), sample_weight=sample_weight)
    scaled, counts = scaled_rows(X, sample_weight, **parameters)
    _, s, Vt = np.linalg.svd(scaled, full_matrices=False)
    if k < len(s) and s[k] > 0.5 * s[k - 1]:
        return  # which vectors are the leading ones is decided by rounding
    share = s[:k] ** 2 / (s[:k] ** 2 + soft * (s[0] ** 2 or 1))
    expected = weights_between((Vt[:k].T * share) @ Vt[:k], counts, exponent)
    off = rounding(12) / soft + (APPROXIMATION if k < len(s) else 0)
    size = (counts.max() / counts.min()) ** exponent
    np.testing.assert_allclose(
        model.item_weights_, expected, rtol=0, atol=off * size, err_msg="low rank"
    )


def check_descent(case):
    """Compare a few steps on all users with the same steps in NumPy.

    Rows and columns of zeros make all problems one size, for which JAX compiles once.
    """
    X, dtype = case["X"] / max(1.0, case["X"].max() / 2), np.dtype(case["dtype"])
    more = 12 - np.array(X.shape)
    X, sample_weight = np.pad(X, [(0, more[0]), (0, more[1])]), case["sample_weight"]
    if sample_weight is not None:
        sample_weight = np.pad(sample_weight, (0, more[0]), constant_values=0.5)
    parameters = {name: case["parameters"][name] for name in ("dropout", "user_exponent")}
    regularization = min(case["regularization"], 1.0)
    model = ShallowAutoEncoder(
        regularization,
        **parameters,
        learning_rate=LENGTH,
        learning_rate_decay=DECAY,
        max_iter=STEPS,
        batch_size=len(X),
        init_scale=SCALE,
        tol=0.0,
        random_state=3,
    )
    rows = X.astype(dtype)
    model.fit(sp.csr_array(rows) if case["is_sparse"] else rows, sample_weight=sample_weight)
    expected = descended(rows.astype(np.float64), sample_weight, parameters, regularization, dtype)
    off = rounding(STEPS * X.size, dtype) * (1 + np.abs(expected).max())
    np.testing.assert_allclose(
        model.item_weights_, expected, rtol=0, atol=off, err_msg="gradient descent"
    )


def descended(X, sample_weight, parameters, regularization, dtype):
    """Return P after steps of gradient descent on the objective, with an empty diagonal."""
    seen, dropout = X != 0, parameters["dropout"]
    own = np.ones(len(X)) if sample_weight is None else sample_weight
    w = own * np.maximum(seen.sum(axis=1), 1.0) ** -parameters["user_exponent"]
    w = w / w.mean()
    G = (w[:, None] * X).T @ X / len(X)
    penalty = regularization + dropout / (1 - dropout) * G.diagonal()
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    start = np.random.default_rng(seed).spawn(4)[0]
    P = random_start((own @ seen).astype(dtype), SCALE, dtype, start).astype(np.float64)
    length = LENGTH
    for _ in range(STEPS):
        P = P - length * 2 * (G @ (P - np.eye(len(P))) + penalty[:, None] * P)
        np.fill_diagonal(P, 0)
        length *= DECAY
    return P


if __name__ == "__main__":
    harness.run(check, cases())
