"""Every method of every estimator, given a matrix in every form of storage."""

import harness  # isort: skip: it comes before what imports Numba
from copy import deepcopy

import numpy as np
import scipy.sparse as sp
from bounds import rounding
from comparison import check_same
from estimators import CALLS, arguments, made, methods
from hypothesis import strategies as st
from matrix_forms import DENSE, DTYPES, SPARSE, fits, in_form, snapshot
from outcomes import outcome

SHAPES = [(6, 4), (6, 4), (4, 6), (5, 3), (1, 4), (4, 1), (1, 1), (2, 2)]  # few, as JAX compiles
ROUNDED = {"fit", "partial_fit", "forget", "fit_transform", "transform", "inverse_transform"}
NOT_THE_SAME = {  # for float32 and float64, or for arrays and sparse matrices
    "plan": "an array and a csr_array differ in cost",
    "fit_transform of low rank": "singular vectors have either sign",
}


@st.composite
def cases(draw):
    """Return a call, and a matrix in one form."""
    form = draw(st.sampled_from(sorted(DENSE | SPARSE)))
    return {
        "call": draw(st.sampled_from(CALLS)),
        "form": form,
        "dtype": draw(st.sampled_from([dtype for dtype in DTYPES if fits(form, dtype)])),
        "shape": draw(st.sampled_from(SHAPES)),
        "seed": draw(st.integers(0, 9999)),
        "density": draw(st.sampled_from([0.0, 0.4, 0.8, 1.0])),
        "put": draw(st.sampled_from([None, None, None, -1.0, np.nan, np.inf, -np.inf])),
    }


def drawn(case):
    """Return small whole numbers, with one other number where the type holds it."""
    rng = np.random.default_rng(case["seed"])
    kind = "f" if case["dtype"] == "g" else np.dtype(case["dtype"]).kind
    high = 2 if kind == "b" else 6
    values = rng.integers(1, high, case["shape"]) * (rng.random(case["shape"]) < case["density"])
    values = values.astype(np.float64)
    put = case["put"]
    if put is not None and (kind in "fO" or (put == -1 and kind == "i")):
        values.flat[rng.integers(values.size)] = put
    return values


def check(case):
    """What is returned or raised is as for a csr_array of floats with the same values."""
    (name, method), rng = case["call"], np.random.default_rng(case["seed"])
    values = drawn(case)
    X = in_form(case["form"], values.astype(case["dtype"]), rng)
    plain = sp.csr_array(values)
    if "search" in name and values.shape[1] == 1:
        return  # one item cannot be held out
    model = fitted(name, method, values)
    before = snapshot(X)
    found = answer(model, method, X)
    expected = answer(model, method, plain)
    what = f"{name}.{method} of {case['form']}"
    assert found.kind == expected.kind, f"{what}: {found}, and of a csr_array: {expected}"
    assert snapshot(X) == before, f"{what}: the caller's matrix was changed"
    if expected.error is None and not {method, f"{method} of {name}"} & NOT_THE_SAME.keys():
        check_same(what, found.value, expected.value, tolerance(method, values))


def fitted(name, method, values):
    """Return a model that is fitted to the values and more rows, or not yet for `fit`."""
    model = made(name)
    if method in ("fit", "fit_transform"):
        return model
    own = np.abs(np.nan_to_num(values, posinf=1, neginf=1))
    full = np.ones((3, values.shape[1]))  # so that each half has users of whom items can be hidden
    return model.fit(sp.csr_array(np.vstack([full, own, full])))


def answer(model, method, X):
    """Return the outcome of one call of a copy of the model; an error leaves the copy as it was."""
    own = deepcopy(model)
    others = arguments(methods(model)[method], np.shape(X))
    came = outcome(getattr(own, method), X, **others)
    if came.error is not None:
        check_same(f"{type(model).__name__}.{method} after an error", own, model)
    return came


def tolerance(method, values):
    """Return how far answers to float32 rows may be from those to float64 rows.

    The regularization of all models is 1 / 2 or more, so the condition is at most 1 + 2 |x|^2. The
    counts of weights of at most 6 are less than exp(6), and as far off as the weights times that.
    """
    if method not in ROUNDED:
        return 0.0
    size = 1 + 2 * np.square(values).sum(axis=1).max()
    size = np.exp(6) if method == "inverse_transform" else size
    return float(rounding(values.size, np.float32) * size)


if __name__ == "__main__":
    harness.run(check, cases())
