"""The ranking order: by score, then by smaller index, whatever the block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from shallow_ae._blocks import block_rows, blocks
from shallow_ae._top_k import top_k

FEW_VALUES = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.25, 3.0])  # so that ties are common


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    scores=arrays(
        np.float64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FEW_VALUES
    ),
    k=st.sampled_from([1, 2, 5, 12]),
    padding=st.sampled_from([0, 3]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_top_k_is_a_stable_sort_without_minus_infinity(scores, k, padding, dtype):
    before = scores.copy()
    items, values = top_k(scores.astype(dtype), k, n_rows=len(scores) + padding)

    assert items.shape == values.shape == (len(scores), k)
    assert values.dtype == dtype
    for row, got_items, got_values in zip(scores, items, values, strict=True):
        order = [i for i in np.argsort(-row, kind="stable") if row[i] > -np.inf][:k]
        np.testing.assert_array_equal(got_items, order + [-1] * (k - len(order)))
        np.testing.assert_array_equal(got_values, [*row[order], *[np.nan] * (k - len(order))])
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize(("n_rows", "size"), [(1, 1), (10, 3), (10, 10), (10, 100), (0, 5)])
def test_blocks_cover_the_rows_in_order(n_rows, size):
    rows = [row for block in blocks(n_rows, size) for row in range(block.start, block.stop)]
    assert rows == list(range(n_rows))


def test_a_block_holds_at_least_a_row_and_no_more_than_there_are():
    assert block_rows(10, 10**9) == 1
    assert block_rows(10, 2) == 10
    assert block_rows(10**9, 2**12) == 2**10
