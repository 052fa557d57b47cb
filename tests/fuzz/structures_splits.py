"""Splits, scorers and lists of items, given a matrix in every form of storage."""

import harness  # isort: skip: it comes before what imports Numba
import numpy as np
import scipy.sparse as sp
from comparison import check_same
from hypothesis import strategies as st
from matrix_forms import DENSE, DTYPES, SPARSE, fits, in_form, snapshot
from outcomes import outcome

from shallow_ae import (
    IdMapper,
    SparseShallowAutoEncoder,
    hold_out_items,
    hold_out_users,
    make_ranking_scorer,
    ndcg_score,
)

SHAPE = (6, 4)
ROWS = np.array(
    [[1, 0, 0, 2], [0, 3, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 1], [0, 2, 0, 0]]
)
MODEL = SparseShallowAutoEncoder(1.0, n_neighbors=2).fit(ROWS)
MAPPER = IdMapper().fit([(user, item) for user in "uvwxyz" for item in "abcd"])
RANKED = np.tile([2, 0, 1], (SHAPE[0], 1))
SCORER = make_ranking_scorer(k=2)
TAKE_ALL = {  # arrays and sparse matrices
    "hold_out_items": lambda X: hold_out_items(X, 1, random_state=0),
    "hold_out_users": lambda X: hold_out_users(X, 2, 1, random_state=0),
    "score y": lambda X: MODEL.score(ROWS, X),
    "scorer X": lambda X: SCORER(MODEL, X),
    "scorer y": lambda X: SCORER(MODEL, ROWS, X),
    "inverse_transform": MAPPER.inverse_transform,
}
TAKE_SPARSE = {  # arrays are lists of indices here
    "candidates": lambda X: MODEL.recommend(ROWS, 3, candidates=X),
    "exclude": lambda X: MODEL.recommend(ROWS, 3, exclude=X),
    "similar_items": lambda X: MODEL.similar_items([0, 1, 2, 3, 0, 1], 2, exclude=X),
    "ndcg_score": lambda X: ndcg_score(X, RANKED, per_user=True),
}
FORMS = [*SPARSE, "array", "fortran", "strided", "reversed", "read-only", "masked"]
assert set(FORMS) <= {*SPARSE, *DENSE}


@st.composite
def cases(draw):
    """Return an entry, and a matrix in one form."""
    form = draw(st.sampled_from(sorted(FORMS)))
    entries = TAKE_ALL if form in DENSE else TAKE_ALL | TAKE_SPARSE
    dtypes = [dtype for dtype in DTYPES if fits(form, dtype) and dtype != "O"]  # SciPy has none
    return {
        "entry": draw(st.sampled_from(sorted(entries))),
        "form": form,
        "dtype": draw(st.sampled_from(dtypes)),
        "seed": draw(st.integers(0, 9999)),
        "density": draw(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
    }


def check(case):
    """The answer is as for a csr_array of floats with the same values."""
    rng, entry = np.random.default_rng(case["seed"]), (TAKE_ALL | TAKE_SPARSE)[case["entry"]]
    high = 2 if case["dtype"] == "?" else 6
    values = rng.integers(1, high, SHAPE) * (rng.random(SHAPE) < case["density"]) * 1.0
    X = in_form(case["form"], values.astype(case["dtype"]), rng)
    before = snapshot(X)
    found, expected = outcome(entry, X), outcome(entry, sp.csr_array(values))
    what = f"{case['entry']} of {case['form']}"
    assert found.kind == expected.kind, f"{what}: {found}, and of a csr_array: {expected}"
    assert snapshot(X) == before, f"{what}: the caller's matrix was changed"
    if expected.error is not None:
        return
    if case["entry"] == "inverse_transform":
        parts = [own.drop(columns="count") for own in (found.value, expected.value)]
        check_same(what, *parts)
        parts = [np.asarray(own["count"], float) for own in (found.value, expected.value)]
        check_same(what, *parts)
    else:
        check_same(what, found.value, expected.value)


if __name__ == "__main__":
    harness.run(check, cases())
