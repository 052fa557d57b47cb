"""Hiding a fraction of each user's items."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shallow_ae import hold_out_items


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    X=arrays(np.float32, (6, 9), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])),
    holdout=st.sampled_from([0.01, 0.2, 0.5, 1.0]),
    layout=st.sampled_from([np.asarray, sp.csr_array, sp.csc_matrix]),
)
def test_visible_and_hidden_part_the_interactions(X, holdout, layout):
    visible, hidden = hold_out_items(layout(X), holdout, random_state=0)
    np.testing.assert_array_equal((visible + hidden).toarray(), X)
    assert not visible.multiply(hidden).nnz
    assert visible.nnz + hidden.nnz == np.count_nonzero(X)
    per_user = np.count_nonzero(X, axis=1)
    n_hidden = np.clip(np.rint(holdout * per_user), 1, np.maximum(per_user - 1, 0))
    np.testing.assert_array_equal(hidden.count_nonzero(axis=1), np.where(per_user < 2, 0, n_hidden))


def test_a_seed_gives_the_same_split_and_another_another():
    X = np.ones((20, 30))
    first, again, other = (hold_out_items(X, random_state=s)[1].toarray() for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_every_item_is_as_likely_to_be_hidden():
    _, hidden = hold_out_items(np.ones((4000, 10)), 0.2, random_state=0)
    share = hidden.toarray().mean(axis=0)
    # Four standard deviations of a mean of 4000 draws with probability 0.2.
    np.testing.assert_allclose(share, 0.2, atol=4 * np.sqrt(0.2 * 0.8 / 4000))


@pytest.mark.parametrize("holdout", [0, 1.5, -1, np.nan])
def test_a_fraction_out_of_range_is_refused(holdout):
    with pytest.raises(
        ValueError, match=r"`holdout`=.* must be an? (integer >= 1|finite number > 0 and <= 1)"
    ):
        hold_out_items(np.ones((2, 2)), holdout)
