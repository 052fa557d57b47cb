"""Updated pipelines against pipelines that are fitted to all interactions."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from shallow_ae import make_recommender

EQUAL = {"rtol": 0, "atol": 1e-8}  # in float64


def learner(model, *between, **params):
    """Return a pipeline that keeps its interactions."""
    return make_recommender(*between, model, keep_interactions=True, **params)


def weights_by_id(recommender):
    """Return the weights as a frame whose rows and columns are sorted item ids."""
    P, items = recommender[-1].item_weights_, recommender[0].items_
    P = P.toarray() if hasattr(P, "toarray") else P
    return pd.DataFrame(P, index=items, columns=items).sort_index(axis=0).sort_index(axis=1)


def assert_same(recommender, interactions, **fit_params):
    """Check that the recommender equals one that is fitted to the interactions."""
    whole = clone(recommender).fit(interactions, **fit_params)
    found, expected = weights_by_id(recommender), weights_by_id(whole)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, **EQUAL)
    assert list(recommender[0].users_) == list(whole[0].users_)
    assert list(recommender[0].items_) == list(whole[0].items_)
    np.testing.assert_array_equal(recommender[-1].item_counts_, whole[-1].item_counts_)
    assert recommender[-1].n_samples_seen_ == whole[-1].n_samples_seen_
    asked = list(whole[0].users_[:3])
    left, right = (r.recommend(users=asked, k=4) for r in (recommender, whole))
    pd.testing.assert_frame_equal(left, right, check_exact=False, **EQUAL)
