"""Sparse matrices whose indices or pointers are damaged at random: refused, or read as they say."""

import harness  # isort: skip: it comes before what imports Numba
from copy import deepcopy

import numpy as np
import scipy.sparse as sp
from comparison import check_same
from estimators import CALLS, arguments, made, methods
from hypothesis import strategies as st
from matrix_forms import snapshot
from outcomes import outcome

SHAPE = (6, 4)
PARTS = {"csr": ("indptr", "indices", "data"), "csc": ("indptr", "indices", "data")}
PARTS["coo"] = ("row", "col", "data")
NUMBERS = [-(2**63), -(2**31), -7, -1, 0, 1, 2, 3, 4, 5, 6, 7, 24, 999_999, 2**31 - 1, 2**63 - 1]
FITTED = {name: made(name) for name in sorted({name for name, _ in CALLS})}


@st.composite
def cases(draw):
    """Return a call, a format, and up to three changes of its arrays."""
    form = draw(st.sampled_from(sorted(PARTS)))
    change = st.tuples(
        st.sampled_from(PARTS[form]),
        st.sampled_from(["write", "cut", "append", "swap", "int64"]),
        st.integers(0, 30),
        st.sampled_from(NUMBERS),
    )
    return {
        "call": draw(st.sampled_from(CALLS)),
        "form": form,
        "seed": draw(st.integers(0, 99)),
        "changes": draw(st.lists(change, min_size=1, max_size=3)),
    }


def check(case):
    """What cannot be read by the definition of the format is refused; all else is answered."""
    name, method = case["call"]
    X = damaged(case)
    model, before = fitted(name), snapshot(X)
    others = arguments(methods(model)[method], SHAPE)
    own = deepcopy(model)
    found = outcome(getattr(own, method), X, **others)
    assert snapshot(X) == before, f"{name}.{method}: the caller's matrix was changed"
    if found.error is not None:
        check_same(f"{name}.{method} after an error", own, model)
    values = read(X)
    if values is None:
        assert found.error is not None, f"{name}.{method}: took a damaged matrix"
        return
    expected = outcome(getattr(deepcopy(model), method), sp.csr_array(values), **others)
    assert found.kind == expected.kind, f"{name}.{method}: {found}, not {expected}"
    if found.error is None and method != "plan":
        check_same(f"{name}.{method}", found.value, expected.value, 1e-12)


def fitted(name):
    """Return a model that is fitted to the rows before their damage, and to two more."""
    model = FITTED[name]
    if not hasattr(model, "n_features_in_"):
        model.fit(np.vstack([np.ones((3, SHAPE[1])), np.tile(rows(0), (100, 1)), np.eye(SHAPE[1])]))
    return model


def rows(seed):
    """Return whole numbers, most of them not 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 6, SHAPE) * (rng.random(SHAPE) < 0.7) * 1.0


def damaged(case):
    """Return a matrix whose arrays have been changed."""
    X = sp.csr_array(rows(case["seed"])).asformat(case["form"])
    for part, what, place, number in case["changes"]:
        array = getattr(X, part).copy()
        if what == "int64" and part != "data":
            array = array.astype(np.int64)
        fits = part == "data" or np.iinfo(array.dtype).min <= number <= np.iinfo(array.dtype).max
        if what == "write" and fits and len(array):
            array[place % len(array)] = number if part != "data" else place
        elif what == "swap" and len(array) > 1:
            array[[place % len(array), 0]] = array[[0, place % len(array)]]
        elif what == "cut":
            array = array[: max(0, len(array) - 1 - place % 3)]
        elif what == "append":
            array = np.append(array, array[: 1 + place % 3])
        put(X, part, array)
    return X


def put(X, part, array):
    """Put an array in the place of a part; coo matrices keep both coordinates in a tuple."""
    if part in ("row", "col"):
        coords = list(X.coords)
        coords[part == "col"] = array
        X.coords = tuple(coords)
    else:
        setattr(X, part, array)


def read(X):
    """Return the values of a matrix by the definition of its format, or None if it has none."""
    values = np.zeros(SHAPE)
    if X.format == "coo":
        if not len(X.row) == len(X.col) == len(X.data):
            return None
        entries = zip(X.row.tolist(), X.col.tolist(), X.data, strict=True)
    else:
        pointer, n_major = X.indptr.tolist(), SHAPE[X.format == "csc"]
        if len(X.indices) != len(X.data) or len(pointer) != n_major + 1:
            return None
        if pointer[0] != 0 or pointer != sorted(pointer) or pointer[-1] > len(X.data):
            return None
        lines = np.repeat(np.arange(n_major), np.diff(pointer)).tolist()
        pairs = zip(lines, X.indices.tolist(), strict=False)
        entries = zip(*zip(*pairs, strict=True), X.data, strict=False) if lines else ()
        if X.format == "csc":
            entries = ((row, column, value) for column, row, value in entries)
    for row, column, value in entries:
        if not (0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]):
            return None
        values[row, column] += value
    return values


if __name__ == "__main__":
    harness.run(check, cases())
