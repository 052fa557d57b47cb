"""Matrices as they come in: checked before an index is followed, summed without overflow."""

from copy import deepcopy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.utils import validation

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    hold_out_items,
    hold_out_users,
    make_ranking_scorer,
    ndcg_score,
)
from shallow_ae.data.matrices import canonical, check_interactions
from shallow_ae.data.sparse_formats import check_format

SHAPE = (6, 4)
DENSE = np.random.default_rng(0).integers(2, 9, SHAPE) * (np.arange(24).reshape(SHAPE) % 5 > 0)
DENSE = DENSE.astype(np.float64)
RANKED = np.tile([0, 1], (6, 1))
FORMATS = ["csr", "csc", "bsr", "coo", "dia", "lil", "dok"]


def layout(name, dense=DENSE):
    if name == "bsr":
        return sp.bsr_array(dense, blocksize=(2, 2))
    return sp.csr_array(dense).asformat(name)


def put(name, place, value):
    """Return a corruption that writes a number into an array."""

    def corrupt(X):
        array = getattr(X, name).copy()
        array[place] = value
        setattr(X, name, array)

    return corrupt


def replace(name, function):
    """Return a corruption that puts another array in the place of one."""
    return lambda X: setattr(X, name, function(getattr(X, name)))


def put_coordinate(axis, function):
    def corrupt(X):
        coords = list(X.coords)
        coords[axis] = function(coords[axis].copy())
        X.coords = tuple(coords)

    return corrupt


def first(value):
    def write(array):
        array[0] = value
        return array

    return write


def wrap_around(X):
    """Let the index pointer fall where the differences of int32 overflow, and none is negative."""
    n = len(X.indptr)
    X.indptr = np.zeros(n, np.int32)
    if n > 4:
        X.indptr[1:4] = 2**31 - 1, -(2**31), -1
        X.indptr[4:] = len(X.indices)
    else:
        X.indptr[1:3] = 2**31 - 1, -(2**31)


def set_list(row, column, value, of="rows"):
    def corrupt(X):
        getattr(X, of)[row][column] = value

    return corrupt


COMPRESSED = {
    "index too large": put("indices", 0, 999_999),
    "index one too large": put("indices", -1, 6),
    "index negative": put("indices", 0, -1),
    "index far below": put("indices", 1, -999_999),
    "indices of floats": replace("indices", lambda a: a + 0.5),
    "indices of bools": replace("indices", lambda a: a > 0),
    "indices of objects": replace("indices", lambda a: a.astype(object)),
    "indices of uint64": replace("indices", lambda a: a.astype(np.uint64)),
    "indices in two dimensions": replace("indices", lambda a: a[None]),
    "a list of indices": replace("indices", lambda a: a.tolist()),
    "too few indices": replace("indices", lambda a: a[:-1]),
    "too many indices": replace("indices", lambda a: np.append(a, a)),
    "too few data": replace("data", lambda a: a[:-1]),
    "too many data": replace("data", lambda a: np.concatenate([a, a])),
    "data in another dimension": replace("data", lambda a: a[None]),
    "pointer falls": put("indptr", 1, 10**6),
    "pointer falls at once": put("indptr", 1, -3),
    "pointer wraps around": wrap_around,
    "pointer starts late": put("indptr", 0, 1),
    "pointer starts below": put("indptr", 0, -1),
    "pointer ends beyond": put("indptr", -1, 10**6),
    "pointer too short": replace("indptr", lambda a: a[:-1]),
    "pointer too long": replace("indptr", lambda a: np.append(a, a[-1])),
    "pointer empty": replace("indptr", lambda a: a[:0]),
    "pointer of floats": replace("indptr", lambda a: a.astype(float)),
    "pointer of objects": replace("indptr", lambda a: a.astype(object)),
}
BAD_KEYS = [
    (999_999, 0),
    (0, 999_999),
    (6, 0),
    (0, 4),
    (-1, 0),
    (0, -1),
    (0.5, 0),
    (0,),
    (0, 0, 0),
    3,
    ("a", 0),
    (2**70, 0),
]
CORRUPTIONS = {
    "csr": COMPRESSED,
    "csc": COMPRESSED,
    "bsr": COMPRESSED
    | {
        "blocks that do not fit": replace("data", lambda a: np.ones((len(a), 4, 3))),
        "blocks of nothing": replace("data", lambda a: a[:, :0]),
        "no blocks": replace("data", lambda a: a.ravel()[: len(a)]),
    },
    "coo": {
        f"{what}, axis {axis}": put_coordinate(axis, change)
        for axis in (0, 1)
        for what, change in {
            "too large": first(999_999),
            "one too large": first(SHAPE[axis]),
            "negative": first(-1),
            "far below": first(-999_999),
            "floats": lambda a: a + 0.5,
            "objects": lambda a: a.astype(object),
            "bools": lambda a: a > 0,
            "too few": lambda a: a[:-1],
            "too many": lambda a: np.append(a, a),
            "two dimensions": lambda a: a[None],
        }.items()
    }
    | {
        "too few data": replace("data", lambda a: a[:-1]),
        "too many data": replace("data", lambda a: np.append(a, a)),
        "three axes": replace("coords", lambda c: (*c, c[0])),
        "one axis": replace("coords", lambda c: c[:1]),
    },
    "dia": {
        "too few offsets": replace("offsets", lambda a: a[:-1]),
        "too many offsets": replace("offsets", lambda a: np.append(a, 99)),
        "offsets twice": replace("offsets", lambda a: np.append(a[:-1], a[0])),
        "offsets of floats": replace("offsets", lambda a: a + 0.5),
        "too few data": replace("data", lambda a: a[:-1]),
        "data in one dimension": replace("data", lambda a: a[0]),
        "offset far above": put("offsets", 0, 2**31 - 1),
        "offset far below": put("offsets", 0, -(2**31)),
    },
    "lil": {
        "index too large": set_list(0, 0, 999_999),
        "index one too large": set_list(0, -1, 4),
        "index negative": set_list(1, 0, -1),
        "index far below": set_list(1, 0, -999_999),
        "index a float": set_list(2, 0, 0.5),
        "index a bool": set_list(2, 0, True),
        "index no number": set_list(2, 0, "a"),
        "index larger than any": set_list(2, 0, 10**30),
        "too many indices": lambda X: X.rows[0].append(3),
        "too few indices": lambda X: X.rows[0].pop(),
        "too many data": lambda X: X.data[0].append(3.0),
        "no list": lambda X: X.rows.__setitem__(0, None),
        "too few rows": replace("rows", lambda a: a[:-1]),
        "too few rows of data": replace("data", lambda a: a[:-1]),
        "too many rows": lambda X: [
            setattr(X, name, np.append(getattr(X, name), getattr(X, name)))
            for name in ("rows", "data")
        ],
    },
    "dok": {f"key {key}": (lambda X, key=key: X.setdefault(key, 1.0)) for key in BAD_KEYS},
}
CASES = [(name, what) for name, cases in CORRUPTIONS.items() for what in cases]


def corrupted(name, what):
    X = layout(name)
    CORRUPTIONS[name][what](X)
    return X


MODEL = ShallowAutoEncoder(solver="exact").fit(DENSE)
NEAREST = SparseShallowAutoEncoder(n_neighbors=2).fit(DENSE)
WEIGHTS = LogCountTransformer().fit(DENSE)
MAPPER = IdMapper().fit([(user, item) for user in range(6) for item in range(4)])

ENTRIES = {
    "fit sgd": lambda X: ShallowAutoEncoder().fit(X),
    "fit exact": lambda X: ShallowAutoEncoder(solver="exact").fit(X),
    "fit sparse": lambda X: SparseShallowAutoEncoder(n_neighbors=2).fit(X),
    "fit CV": lambda X: ShallowAutoEncoderCV([1.0], cv=2).fit(X),
    "fit CV y": lambda X: ShallowAutoEncoderCV([1.0], cv=2).fit(DENSE, X),
    "fit LogCountTransformer": lambda X: LogCountTransformer().fit(X),
    "transform": WEIGHTS.transform,
    "inverse_transform": WEIGHTS.inverse_transform,
    "inverse_transform of ids": MAPPER.inverse_transform,
    "plan": MODEL.plan,
    "plan sparse": NEAREST.plan,
    "partial_fit": lambda X: deepcopy(MODEL).partial_fit(X),
    "forget": lambda X: deepcopy(NEAREST).forget(X),
    "predict": MODEL.predict,
    "recommend": lambda X: MODEL.recommend(X, 2),
    "candidates": lambda X: MODEL.recommend(DENSE, 2, candidates=X),
    "exclude": lambda X: MODEL.recommend(DENSE, 2, exclude=X),
    "similar_items": lambda X: MODEL.similar_items([0, 1, 2, 3, 0, 1], 2, exclude=X),
    "explain": lambda X: NEAREST.explain(X, [0] * 6),
    "score X": MODEL.score,
    "score y": lambda X: MODEL.score(DENSE, X),
    "scorer X": lambda X: make_ranking_scorer()(MODEL, X),
    "scorer y": lambda X: make_ranking_scorer()(MODEL, DENSE, X),
    "hold_out_items": hold_out_items,
    "hold_out_users": lambda X: hold_out_users(X, 1),
    "ndcg_score": lambda X: ndcg_score(X, RANKED),
    "ndcg_score of ids": lambda X: ndcg_score(X, [["a"]] * 6),
}


@pytest.mark.parametrize(("name", "what"), CASES)
def test_no_index_is_followed_before_it_is_checked(name, what):
    for entry in ENTRIES.values():
        with pytest.raises((ValueError, TypeError)):
            entry(corrupted(name, what))


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_sparse_array_of_other_than_two_dimensions_is_refused(entry):
    lines = [sp.coo_array(DENSE[0]), sp.csr_array(DENSE[0])]
    if entry in ("score y", "scorer y"):
        lines = []  # the target of other estimators: it means nothing here
    for X in (*lines, sp.coo_array(DENSE[None])):
        with pytest.raises((ValueError, TypeError)):
            ENTRIES[entry](X)


def test_an_index_out_of_range_is_told_with_what_was_expected():
    X = sp.csc_array(([1.0], [999_999], [0, 1, 1]), shape=(6, 2))
    message = "csc_array of shape .6, 2.: an index of 999999 in `indices`, expected 0 to 5"
    with pytest.raises(ValueError, match=message):
        ShallowAutoEncoder().fit(X)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_well_formed_is_taken_in_every_format(name):
    for dense in (DENSE, DENSE * 0, DENSE[:0], DENSE.astype(np.int64)):
        if name == "bsr" and not len(dense):
            continue  # there are no blocks of no rows
        X = layout(name, dense)
        check_format(X)
        np.testing.assert_array_equal(canonical(X).toarray(), dense)
    for wide in (sp.csr_array, sp.csc_array):
        X = wide(DENSE)
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
        np.testing.assert_array_equal(canonical(X).toarray(), DENSE)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_array])
def test_the_check_changes_nothing_in_the_callers_matrix(kind):
    X = kind(DENSE)
    n_entries = X.nnz
    # Room to grow beyond the last pointer is no fault.
    X.data, X.indices = np.append(X.data, [7.0, 7.0]), np.append(X.indices, [99, 99])
    before = dict(vars(X))
    np.testing.assert_array_equal(canonical(X).toarray(), DENSE)
    ShallowAutoEncoder(solver="exact").fit(X).recommend(X, 1)
    assert len(X.data) == len(X.indices) == n_entries + 2
    assert all(vars(X)[name] is before[name] for name in ("data", "indices", "indptr"))


def twice(dtype, values, kind="coo"):
    """Return a matrix of one row whose item 0 is stored several times, item 1 once."""
    values = np.array([*values, 1], dtype)
    columns = np.array([0] * (len(values) - 1) + [1])
    if kind == "coo":
        return sp.coo_array((values, (columns * 0, columns)), shape=(1, 4))
    if kind == "csc":
        return sp.csc_array((values, columns * 0, [0, len(values) - 1] + [len(values)] * 3))
    return sp.csr_array((values, columns, [0, len(values)]), shape=(1, 4))


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
@pytest.mark.parametrize(
    ("dtype", "values", "expected", "expected_type"),
    [
        (np.uint8, [128, 128], 256, np.int64),
        (np.uint8, [100, 100], 200, np.uint8),
        (np.int8, [100, 100], 200, np.int64),
        (np.int8, [-100, -100], -200, np.int64),
        (np.int32, [2**31 - 1, 1], 2**31, np.int64),
        (np.int64, [2**62, 2**62], 2.0**63, np.float64),
        (np.uint64, [2**63, 2**63], 2.0**64, np.float64),
        (np.int64, [2**53 + 1], 2**53 + 1, np.int64),  # no duplicate, no float
        (bool, [True, True], True, bool),
        (np.float32, [1.5, 1.5], 3.0, np.float32),
    ],
)
def test_duplicates_are_summed_in_a_type_that_holds_them(
    kind, dtype, values, expected, expected_type
):
    X = canonical(twice(dtype, values, kind))
    assert X.dtype == expected_type
    assert X.nnz == 2
    assert X.toarray()[0, 0] == expected


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
def test_counts_that_wrap_around_to_zero_are_not_lost(kind):
    wraps = twice(np.uint8, [128, 128], kind)
    visible, hidden = hold_out_items(wraps, random_state=0)
    assert visible.nnz + hidden.nnz == 2
    assert visible.sum() + hidden.sum() == 257
    assert 0 not in MODEL.recommend(DENSE[:1] * 0, 4, exclude=wraps)
    assert ndcg_score(wraps, [[0, 1]]) == 1
    assert ndcg_score(wraps, [["a"]]) == 0
    assert MODEL.score(sp.csr_array([[0, 0, 0, 1]]), wraps) == 1
    assert make_ranking_scorer()(MODEL, np.array([[0, 0, 0, 1]]), wraps) == 1
    mapper = IdMapper().fit([("ann", item) for item in "abcd"])
    assert mapper.inverse_transform(wraps)["count"].tolist() == [256, 1]
    assert LogCountTransformer().fit_transform(wraps).toarray()[0, 0] == np.float32(1 + np.log(257))


def test_sums_of_integers_are_taken_before_they_are_rounded():
    X = twice(np.int32, [2**24 + 1, 1])
    rows = check_interactions(ShallowAutoEncoder(), X, reset=True)
    assert rows.dtype == np.float32
    assert rows.toarray().tolist() == [[2**24 + 2, 1, 0, 0]]


def test_sums_beyond_the_largest_float_are_refused():
    X = twice(np.float32, [3e38, 3e38], "csr")
    with pytest.raises(ValueError, match="infinity"):
        ShallowAutoEncoder(solver="exact").fit(X)


@pytest.mark.parametrize("name", [None, "csr", "csc", "bsr", "coo", "dia"])
def test_the_order_of_bytes_does_not_matter(name):
    for dtype in (np.float64, np.float32, np.int32):
        swapped = np.dtype(dtype).newbyteorder("S")
        X = DENSE.astype(swapped) if name is None else layout(name)
        if name is not None:
            X.data = X.data.astype(swapped)  # SciPy's constructors refuse it
        model = ShallowAutoEncoder(solver="exact").fit(X)
        expected = ShallowAutoEncoder(solver="exact").fit(DENSE.astype(dtype))
        assert model.item_weights_.dtype == expected.item_weights_.dtype
        np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)
        np.testing.assert_array_equal(canonical(X).toarray(), DENSE)


def test_the_order_of_bytes_of_a_frame_does_not_matter():
    swapped = pd.DataFrame(DENSE.astype(np.dtype(np.float64).newbyteorder("S")))
    for entry in ("recommend", "predict", "explain", "score X", "transform"):
        expected = ENTRIES[entry](pd.DataFrame(DENSE))
        np.testing.assert_array_equal(ENTRIES[entry](swapped), expected, err_msg=entry)
    model = ShallowAutoEncoder(solver="exact").fit(swapped)
    np.testing.assert_array_equal(model.item_weights_, MODEL.item_weights_)


@pytest.mark.parametrize("entry", ["hold_out_items", "score X", "score y", "scorer X", "scorer y"])
def test_half_precision_is_taken_where_matrices_are_split_and_compared(entry):
    seeded = {"hold_out_items": lambda X: hold_out_items(X, random_state=0)[1].toarray()}
    call = seeded.get(entry, ENTRIES[entry])
    np.testing.assert_array_equal(call(DENSE.astype(np.float16)), call(DENSE))


get_names = validation._get_feature_names
NAMES = ["Kashmir", "Clocks", "Yellow", "Help!"]
FRAME = pd.DataFrame(DENSE, columns=NAMES)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_the_names_of_every_frame_are_remembered_and_its_columns_aligned(kind, monkeypatch):
    make = {"pandas": lambda f: f, "polars": pl.from_pandas}
    make["pyarrow"] = lambda f: pl.from_pandas(f).to_arrow()
    # Whether scikit-learn finds the names of other frames than pandas' depends on its version.
    monkeypatch.setattr(
        validation, "_get_feature_names", lambda X: get_names(X) if hasattr(X, "iloc") else None
    )
    frame, other = (make[kind](part) for part in (FRAME, FRAME[["Help!", "Clocks", "Kashmir"]]))
    for model in (
        ShallowAutoEncoder(solver="exact"),
        SparseShallowAutoEncoder(n_neighbors=2),
        ShallowAutoEncoderCV([1.0], cv=2),
        LogCountTransformer(),
    ):
        model.fit(frame)
        assert model.feature_names_in_.tolist() == NAMES
        if isinstance(model, LogCountTransformer):
            with pytest.raises(ValueError, match=r"same order|missing"):
                model.transform(other)
            continue
        expected = model.recommend(FRAME.assign(Yellow=0.0), 2)
        np.testing.assert_array_equal(model.recommend(other, 2), expected)


def test_a_lazy_frame_of_users_x_items_is_refused():
    lazy = pl.from_pandas(FRAME).lazy()
    for entry in ("fit exact", "predict", "recommend", "score X", "score y", "scorer X"):
        with pytest.raises(TypeError, match=r"got LazyFrame: call its `collect\(\)`"):
            ENTRIES[entry](lazy)


@pytest.mark.parametrize("form", [np.array, list])
def test_objects_that_are_numbers_are_split_as_numbers(form):
    X = np.array([[1, 2, 0], [0, 3, 1]])
    given = form(list(X.astype(object)))
    for found, expected in zip(
        hold_out_items(given, 1, random_state=0), hold_out_items(X, 1, random_state=0), strict=True
    ):
        np.testing.assert_array_equal(found.toarray(), expected.toarray())
    with pytest.raises(ValueError, match="users x items matrix of numbers"):
        hold_out_items(form([np.array([1, {}], object)]), 1)
