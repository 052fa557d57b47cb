"""1 + log(1 + count), zeros left zero."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import rounding
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shallow_ae import LogCountTransformer

COUNTS = np.array([[0.0, 1.0, 0.5], [352698.0, 0.0, 3.0]])
LAYOUTS = [np.asarray, sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array]


def dense(X):
    return X.toarray() if sp.issparse(X) else X


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_are_one_plus_log_one_plus_count_and_zero_stays_zero(layout, dtype):
    X = layout(COUNTS.astype(dtype))
    weights = LogCountTransformer().fit_transform(X)
    expected = np.where(COUNTS > 0, 1 + np.log(1 + COUNTS), 0)
    assert weights.dtype == dtype
    assert sp.issparse(weights) == sp.issparse(X)
    np.testing.assert_allclose(dense(weights), expected, rtol=rounding(2, dtype))
    np.testing.assert_array_equal(dense(weights) == 0, COUNTS == 0)


@given(arrays(np.float64, (3, 4), elements=st.just(0.0) | st.floats(1e-3, 1e12)))
def test_inverse_is_exact_to_rounding(counts):
    transformer = LogCountTransformer()
    weights = transformer.fit_transform(counts)
    # A rounding of the weight, eps * (1 + log(1 + c)), is worth that times 1 + c. Some of NumPy's
    # vectorized logarithms and powers are off by four times eps.
    error = rounding(1) * weights * (1 + counts)
    assert np.all(np.abs(transformer.inverse_transform(weights) - counts) <= error)
    back = transformer.inverse_transform(sp.csr_array(weights))
    np.testing.assert_array_equal(back.toarray(), transformer.inverse_transform(weights))


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        (np.uint8, np.asarray),
        (np.uint8, sp.csr_array),
        (np.int32, sp.coo_array),
        (bool, np.asarray),
        (bool, sp.csr_array),
        (np.float16, np.asarray),  # scipy has no sparse float16
    ],
)
def test_other_types_become_float32(dtype, layout):
    weights = LogCountTransformer().fit_transform(layout(np.array([[0, 1], [1, 0]], dtype=dtype)))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(
        dense(weights), [[0, 1.6931472], [1.6931472, 0]], rtol=rounding(1, np.float32)
    )


@pytest.mark.parametrize("layout", [sp.csr_array, sp.coo_array])
def test_duplicates_are_summed_first_in_a_type_that_holds_the_sum(layout):
    entries = (np.array([200, 100, 0], dtype=np.uint8), (np.zeros(3, int), np.array([1, 1, 0])))
    X = sp.coo_array(entries, shape=(1, 2))
    if layout is sp.csr_array:
        X = sp.csr_array((entries[0], entries[1][1], [0, 3]), shape=(1, 2))
    weights = LogCountTransformer().fit_transform(X)
    np.testing.assert_allclose(
        weights.toarray(), [[0, 1 + np.log(301)]], rtol=rounding(1, np.float32)
    )
    assert weights.nnz == 1
    assert X.nnz == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_callers_data_are_not_changed(layout):
    X = layout(COUNTS.copy())
    LogCountTransformer().fit(X).transform(X)
    np.testing.assert_array_equal(dense(X), COUNTS)


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("value", "told"),
    [(-1.0, "Negative values .*: -1"), (np.nan, ".*: NaN"), (np.inf, ".*: inf")],
)
def test_unusable_counts_are_an_error_that_says_where(layout, value, told):
    X = np.array([[0.0, 1.0, 2.0], [3.0, value, 0.0], [value, 0.0, 1.0]])
    transformer = LogCountTransformer().fit(COUNTS[:, :2])
    message = rf"{told} in row 1, column 1, the first of 2\. Expected counts that are 0 or finite"
    with pytest.raises(ValueError, match=message):
        transformer.fit(layout(X))
    assert transformer.n_features_in_ == 2


def test_an_unusable_count_is_told_with_the_name_of_its_item():
    frame = pd.DataFrame({"Kashmir": [1.0, 0.0], "Clocks": [2.0, -3.0]})
    with pytest.raises(ValueError, match=r"-3 in row 1, column 1 \('Clocks'\)"):
        LogCountTransformer().fit(frame)


@pytest.mark.parametrize("weight", [0.5, -1.0, np.inf])
def test_a_weight_that_no_count_has_cannot_be_inverted(weight):
    transformer = LogCountTransformer().fit(COUNTS)
    with pytest.raises(ValueError, match="Expected weights that are 0 or finite and > 1"):
        transformer.inverse_transform(np.array([[0.0, weight, 2.0]]))


def test_pandas_in_pandas_out():
    frame = pd.DataFrame(COUNTS, columns=["x", "y", "z"], index=[5, 6])
    weights = LogCountTransformer().set_output(transform="pandas").fit_transform(frame)
    assert list(weights.columns) == ["x", "y", "z"]
    assert list(weights.index) == [5, 6]


def test_items_in_another_order_are_refused():
    frame = pd.DataFrame(COUNTS, columns=["x", "y", "z"])
    transformer = LogCountTransformer().fit(frame)
    with pytest.raises(ValueError, match="must be in the same order"):
        transformer.transform(frame[["y", "x", "z"]])
