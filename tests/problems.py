"""Small made-up problems that have everything that goes wrong, for property tests."""

import numpy as np
from hypothesis import strategies as st

PARAMETERS = st.fixed_dictionaries(
    {
        "dropout": st.sampled_from([0.0, 0.4]),
        "diagonal_slack": st.sampled_from([0.0, 0.15, 0.9, 1.0]),
        "user_exponent": st.sampled_from([0.0, 0.5, -0.5]),
        "item_exponent": st.sampled_from([0.0, 0.3, -0.3]),
    }
)


@st.composite
def problems(draw):
    """Return interactions, with empty and repeated rows, empty columns, one user or one item."""
    n_users, n_items = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = (rng.random((n_users, n_items)) < draw(st.sampled_from([0.2, 0.5, 0.9]))) * 1.0
    X *= rng.uniform(0.5, 2, size=X.shape)
    X = X[rng.integers(n_users, size=n_users)] if draw(st.booleans()) else X
    X[draw(st.integers(0, n_users - 1)) :, draw(st.integers(0, n_items - 1)) :] = 0
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], size=n_users) if draw(st.booleans()) else None
    return X, (weights if weights is None or weights.any() else None)
