"""Rankings by hand, and item weights in every form, for tests of the ranking order."""

import numpy as np
import scipy.sparse as sp

from shallow_ae._weights.dual import DualWeights
from shallow_ae._weights.item_weights import DenseWeights, SparseWeights


def in_order(scores, offered, k):
    """Return the k best of the offered columns in Python, -1 in places that are left."""
    offered = [i for i in offered if scores[i] > -np.inf]
    best = sorted(offered, key=lambda i: (-scores[i], i))[:k]
    return best + [-1] * (k - len(best))


def dual(P):
    """Return P as dual weights: users who have met one item each, and an M that takes any form.

    P is the product but for its diagonal, which is dropped.
    """
    ones = np.ones(len(P))
    return DualWeights(sp.eye_array(len(P), format="csr"), P, ones, ones, np.diag(P).copy())


FORMS = {
    "dense": DenseWeights,
    "fortran": lambda P: DenseWeights(np.asfortranarray(P)),
    "sparse": lambda P: SparseWeights(sp.csr_array(P)),
    "dual": dual,
}


def listed(given, user):
    """Return what a list for everyone, or one for each, holds for a user."""
    if given and isinstance(given[0], list):
        given = given[user]
    return {item for item in given if item >= 0}
